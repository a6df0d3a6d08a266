/* A card's side of a network back end: see fake_net.h. */
#include "devices/test/fake_net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/test/fake.h"

char fake_log_line[512];
unsigned fake_log_count;

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    if (level > LOG_WARN)
        return;
    fake_log_count++;
    snprintf(fake_log_line, sizeof(fake_log_line), "%s", line);
}

void fake_log_start(void)
{
    fake_log_count = 0;
    fake_log_line[0] = '\0';
    log_set_sink(keep_line, NULL);
}

static void readable(void *opaque, unsigned queue)
{
    struct fake_end *end = opaque;
    struct iovec iov = {end->last, sizeof(end->last)};
    ssize_t n;

    while (end->take && (n = net_recv(end->net, queue, &iov, 1)) != -EAGAIN) {
        if (n == -EMSGSIZE) {
            end->too_long++;
            continue;
        }
        ck_assert_int_ge(n, NET_HEADER_BYTES);
        end->last_len = (size_t)n;
        end->got++;
    }
}

static void writable(void *opaque, unsigned queue)
{
    struct fake_end *end = opaque;

    (void)queue;
    end->writable++;
}

static void link_change(void *opaque, bool up)
{
    struct fake_end *end = opaque;

    ck_assert_int_eq(up, net_link_up(end->net));
    end->link_changes++;
}

int fake_end_open(struct fake_end *end, const char *text, struct loop *loop)
{
    struct net_user user = {readable, writable, link_change, end};
    struct net_config config;
    char why[512];
    int err = params_parse(&net_params, text, &config, why, sizeof(why));

    ck_assert_msg(err == 0, "%s", why);
    memset(end, 0, sizeof(*end));
    err = net_open(&config, loop, &end->net);
    params_free(&net_params, &config);
    if (err) {
        ck_assert_ptr_null(end->net);
        return err;
    }
    net_attach(end->net, &user);
    end->take = true;
    for (unsigned q = 0; q < net_queues(end->net); q++)
        net_want_read(end->net, q, true);
    return 0;
}

void fake_end_close(struct fake_end *end)
{
    net_close(end->net);
    end->net = NULL;
}

static uint8_t byte_of(size_t i, uint8_t tag)
{
    return (uint8_t)(i * 7 + (i >> 8) + tag);
}

int fake_end_send(struct fake_end *end, size_t len, uint8_t tag)
{
    static uint8_t buf[NET_HEADER_BYTES + NET_FRAME_MAX + 16];
    /* Cut at odd places: back ends must not rely on where segments end. */
    struct iovec iov[] = {{buf, 5}, {buf + 5, 20}, {buf + 25, NET_HEADER_BYTES + len - 25}};

    memset(buf, 0, NET_HEADER_BYTES);
    for (size_t i = 0; i < len; i++)
        buf[NET_HEADER_BYTES + i] = byte_of(i, tag);
    return net_send(end->net, 0, iov, 3);
}

bool fake_end_has(const struct fake_end *end, size_t len, uint8_t tag)
{
    if (end->last_len != NET_HEADER_BYTES + len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (end->last[NET_HEADER_BYTES + i] != byte_of(i, tag))
            return false;
    return true;
}

static bool step(struct loop *loop, uint64_t end)
{
    if (loop_step(loop) == 0)
        usleep(500);
    return loop_now_ns() < end;
}

bool fake_until(struct loop *loop, const unsigned *count, unsigned want, unsigned ms)
{
    uint64_t end = loop_now_ns() + ms * UINT64_C(1000000);

    while (*count < want)
        if (!step(loop, end))
            return false;
    return true;
}

bool fake_until_link(struct loop *loop, const struct fake_end *end, bool up, unsigned ms)
{
    uint64_t limit = loop_now_ns() + ms * UINT64_C(1000000);

    while (net_link_up(end->net) != up)
        if (!step(loop, limit))
            return false;
    return true;
}

void fake_run_ms(struct loop *loop, unsigned ms)
{
    uint64_t end = loop_now_ns() + ms * UINT64_C(1000000);

    while (step(loop, end))
        ;
}
