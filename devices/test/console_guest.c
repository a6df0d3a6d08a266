/* The guest of the console's tests: see console_guest.h. */
#include "devices/test/console_guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/models.h"

struct driver guest;
struct virtio *con;
static uint64_t control_bufs; /* what the driver gave for messages */

struct console_host host;

static size_t host_data(void *opaque, const uint8_t *buf, size_t len)
{
    size_t n = len < host.appetite ? len : host.appetite;

    ck_assert_ptr_eq(opaque, &host);
    ck_assert_uint_le(host.len + n, sizeof(host.data));
    memcpy(host.data + host.len, buf, n);
    host.len += n;
    host.appetite -= n;
    return n;
}

static void host_room(void *opaque)
{
    (void)opaque;
    host.room_calls++;
}

static void host_opened(void *opaque, bool open)
{
    (void)opaque;
    if (open)
        host.opens++;
    else
        host.closes++;
}

int console_add_status_port(void)
{
    const struct virtio_console_port port = {.name = "org.hv.status",
                                             .data = host_data,
                                             .room = host_room,
                                             .opened = host_opened,
                                             .opaque = &host};

    return virtio_console_add(con, &port);
}

void console_create(const char *text)
{
    struct loop *loop = driver_loop(&guest);

    memset(&host, 0, sizeof(host));
    host.appetite = sizeof(host.data);
    ck_assert_int_eq(virtio_console_create(text, loop, &con), 0);
}

void console_give_control_bufs(void)
{
    struct driver_buf buf = {.len = 80, .writable = true};

    control_bufs = driver_alloc(&guest, 80 * CONTROL_BUFS);
    for (unsigned i = 0; i < CONTROL_BUFS; i++) {
        buf.gpa = control_bufs + 80 * i;
        driver_add(&guest, CONTROL_RX, &buf, 1);
    }
    driver_kick(&guest, CONTROL_RX);
}

void console_start(uint64_t features)
{
    driver_create(&guest, con);
    driver_start(&guest, features, 64);
    if (features & F_MULTIPORT)
        console_give_control_bufs();
}

int host_in, host_out;

void console_create_piped(const char *rest)
{
    char text[100];
    int in[2], out[2];

    ck_assert(pipe(in) == 0 && pipe(out) == 0);
    host_in = in[1];
    host_out = out[0];
    fcntl(host_out, F_SETFL, O_NONBLOCK);
    fcntl(host_in, F_SETFL, O_NONBLOCK);
    /* A console has one descriptor; a port takes the other direction where a test wants it. */
    snprintf(text, sizeof(text), "console=fd:%d,port=in:fd:%d%s", out[1], in[0], rest);
    console_create(text);
    close(out[1]);
    close(in[0]);
}

void console_close_pipes(void)
{
    close(host_in);
    close(host_out);
}

void send_control(uint32_t id, uint16_t event, uint16_t value)
{
    struct driver_buf buf = {driver_alloc(&guest, 8), 8, false};
    uint8_t *m = driver_ptr(&guest, buf.gpa);

    store_le32(m, id);
    store_le16(m + 4, event);
    store_le16(m + 6, value);
    ck_assert_uint_eq(driver_do(&guest, CONTROL_TX, &buf, 1), 0);
}

/* The next message; its text, if any, NUL-terminated. False: none. */
static bool next_message(uint32_t *id, unsigned *event, unsigned *value, char *text)
{
    uint16_t head;
    uint32_t len;
    uint8_t *m;

    if (!driver_used(&guest, CONTROL_RX, 0, &head, &len))
        return false;
    m = driver_ptr(&guest, control_bufs + 80 * head);
    ck_assert_uint_ge(len, 8);
    *id = load_le32(m);
    *event = load_le16(m + 4);
    *value = load_le16(m + 6);
    memcpy(text, m + 8, len - 8);
    text[len - 8] = '\0';
    return true;
}

void expect_message(uint32_t want_id, unsigned want_event, const char *want_text)
{
    uint32_t id;
    unsigned event, value;
    char text[80];

    ck_assert(next_message(&id, &event, &value, text));
    ck_assert_uint_eq(id, want_id);
    ck_assert_uint_eq(event, want_event);
    ck_assert_uint_eq(value, 1);
    ck_assert_str_eq(text, want_text);
}

void expect_silence(void)
{
    uint32_t id;
    unsigned event, value;
    char text[80];

    ck_assert(!next_message(&id, &event, &value, text));
}

unsigned rx_queue(unsigned port)
{
    return port ? 2 * port + 2 : 0;
}

unsigned tx_queue(unsigned port)
{
    return rx_queue(port) + 1;
}

void guest_write(unsigned port, const void *data, uint32_t len)
{
    struct driver_buf buf = {driver_alloc(&guest, len), len, false};

    memcpy(driver_ptr(&guest, buf.gpa), data, len);
    driver_add(&guest, tx_queue(port), &buf, 1);
    driver_kick(&guest, tx_queue(port));
}

uint64_t guest_read_buf(unsigned port, uint32_t len)
{
    struct driver_buf buf = {driver_alloc(&guest, len), len, true};

    driver_add(&guest, rx_queue(port), &buf, 1);
    driver_kick(&guest, rx_queue(port));
    return buf.gpa;
}

size_t host_read(char *buf, size_t cap)
{
    ssize_t n;

    driver_run(&guest);
    usleep(15000); /* the chardev's lag */
    driver_run(&guest);
    n = read(host_out, buf, cap - 1);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}
