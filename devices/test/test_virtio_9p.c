/* The device around the 9P server: its thread, its queue, and reset while files are served. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/fs/p9_proto.h"
#include "devices/test/driver.h"
#include "devices/virtio/models.h"

#define ROOM 8192

static struct driver d;
static char dir[32], option[128];

static void open_device(uint64_t features, const char *suffix)
{
    struct loop *loop = driver_loop(&d);
    struct virtio *v;

    strcpy(dir, "/tmp/hv-9p.XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(option, sizeof(option), "%s:/mnt/src%s", dir, suffix);
    ck_assert_int_eq(virtio_share_create(option, loop, &v), 0);
    driver_create(&d, v);
    driver_start(&d, features, 64);
}

static void close_device(void)
{
    driver_destroy(&d);
    ck_assert_int_eq(rmdir(dir), 0);
}

static uint64_t put_message(const void *bytes, uint32_t len)
{
    uint64_t gpa = driver_alloc(&d, len);

    memcpy(driver_ptr(&d, gpa), bytes, len);
    return gpa;
}

static const uint8_t version[] = {21, 0, 0,   0,   P9_VERSION, 0xff, 0xff, 0,   32,  0,  0,
                                  8,  0, '9', 'P', '2',        '0',  '0',  '0', '.', 'L'};
static const uint8_t attach[] = {28,  0,    0,    0,    P9_ATTACH, 1, 0, 0,   0,   0,
                                 0,   0xff, 0xff, 0xff, 0xff,      5, 0, 'g', 'u', 'e',
                                 's', 't',  0,    0,    0,         0, 0, 0};

/* Sends the message; its answer's type. */
static uint8_t ask(const uint8_t *message, uint32_t len)
{
    struct driver_buf buf[2] = {{put_message(message, len), len, false},
                                {driver_alloc(&d, ROOM), ROOM, true}};
    uint32_t got = driver_do(&d, 0, buf, 2);
    const uint8_t *answer = driver_ptr(&d, buf[1].gpa);

    ck_assert_uint_ge(got, P9_HEADER);
    ck_assert_uint_eq(load_le32(answer), got);
    return answer[4];
}

static void serves(uint64_t features)
{
    open_device(features, ":rw");
    ck_assert_uint_eq(ask(version, sizeof(version)), P9_VERSION + 1);
    ck_assert_uint_eq(ask(attach, sizeof(attach)), P9_ATTACH + 1);
    close_device();
}

START_TEST(requests_are_answered_split_and_packed)
{
    serves(0);
    serves(VIRTIO_F_EVENT_IDX);
    serves(VIRTIO_F_RING_PACKED);
    serves(VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
}
END_TEST

START_TEST(tag_stands_in_the_configuration)
{
    open_device(0, "");
    ck_assert_uint_eq(driver_read(&d, 0x08), 9);
    ck_assert_uint_eq(driver_config(&d, 0, 2), 8);
    ck_assert_uint_eq(driver_config(&d, 2, 1), '/');
    ck_assert_uint_eq(driver_config(&d, 9, 1), 'c');
    close_device();
}
END_TEST

/* More than there are slots, and more than the thread has done when the next ones come. */
START_TEST(many_requests_at_once_all_end)
{
    enum { MANY = 30, ROUNDS = 10 };
    struct driver_buf buf[2];
    uint32_t len;
    uint16_t id;

    open_device(0, "");
    ck_assert_uint_eq(ask(version, sizeof(version)), P9_VERSION + 1);
    buf[0] = (struct driver_buf){put_message(attach, sizeof(attach)), sizeof(attach), false};
    buf[1] = (struct driver_buf){driver_alloc(&d, 64), 64, true};
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < MANY; i++)
            driver_add(&d, 0, buf, 2);
        driver_kick(&d, 0);
        for (unsigned i = 0; i < MANY; i++)
            ck_assert(driver_used(&d, 0, 5000, &id, &len));
    }
    close_device();
}
END_TEST

static atomic_bool reset_over;

/* A vCPU: it waits in there for what the thread of files is at. */
static void *reset_device(void *opaque)
{
    (void)opaque;
    driver_write(&d, 0x70, 0);
    atomic_store(&reset_over, true);
    return NULL;
}

/* The loop has to turn meanwhile: requests come back through it. */
static void reset_while_the_loop_turns(void)
{
    pthread_t vcpu;

    atomic_store(&reset_over, false);
    ck_assert_int_eq(pthread_create(&vcpu, NULL, reset_device, NULL), 0);
    while (!atomic_load(&reset_over))
        if (loop_step(d.loop) == 0)
            sched_yield();
    pthread_join(vcpu, NULL);
    ck_assert_uint_eq(driver_read(&d, 0x70), 0);
}

/* Whatever the thread is at when the reset comes: it ends, and a new driver finds nothing open. */
START_TEST(reset_with_requests_on_their_way)
{
    struct driver_buf buf[2];

    open_device(0, "");
    for (unsigned round = 0; round < 50; round++) {
        uint64_t before = d.brk;

        ck_assert_uint_eq(ask(version, sizeof(version)), P9_VERSION + 1);
        ck_assert_uint_eq(ask(attach, sizeof(attach)), P9_ATTACH + 1);
        buf[0] = (struct driver_buf){put_message(attach, sizeof(attach)), sizeof(attach), false};
        buf[1] = (struct driver_buf){driver_alloc(&d, 64), 64, true};
        for (unsigned i = 0; i < 20; i++)
            driver_add(&d, 0, buf, 2);
        driver_kick(&d, 0);
        if (round % 2) /* so that the thread is at one, whatever the machine's load */
            usleep(round * 4);
        reset_while_the_loop_turns();
        driver_free(&d, before);
        driver_start(&d, 0, 64);
        /* No version was agreed upon since the reset. */
        ck_assert_uint_eq(ask(attach, sizeof(attach)), P9_RLERROR);
    }
    close_device();
}
END_TEST

START_TEST(garbage_comes_back_empty)
{
    struct driver_buf buf[2];

    open_device(0, "");
    buf[0] = (struct driver_buf){put_message("xy", 2), 2, false};
    buf[1] = (struct driver_buf){driver_alloc(&d, 64), 64, true};
    ck_assert_uint_eq(driver_do(&d, 0, buf, 2), 0);
    ck_assert_uint_eq(driver_do(&d, 0, buf, 1), 0);
    ck_assert_uint_eq(driver_do(&d, 0, buf + 1, 1), 0);
    ck_assert(!driver_broken(&d));
    ck_assert_uint_eq(ask(version, sizeof(version)), P9_VERSION + 1);
    close_device();
}
END_TEST

static char said[512];

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    ck_assert_str_eq(said, "");
    snprintf(said, sizeof(said), "%s", line);
}

START_TEST(bad_option_is_told_in_one_line)
{
    static const struct {
        const char *text, *part;
        int err;
    } bad[] = {
        {"/nonexistent:/mnt",
         "/nonexistent: cannot open: No such file or directory (check the path)", -ENOENT},
        {"/etc/passwd:/mnt", "/etc/passwd: not a directory", -ENOTDIR},
        {"/tmp", "HOST:GUEST is asked for", -EINVAL},
        {"/tmp:", "HOST:GUEST is asked for", -EINVAL},
        {":/mnt", "HOST:GUEST is asked for", -EINVAL},
        {"/tmp:rw", "HOST:GUEST is asked for", -EINVAL}, /* not a place called rw */
        {"/tmp:/"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaa",
         "longer than a mount tag may be", -EINVAL},
        {"", "--share: ", -EINVAL},
        {"/tmp:/mnt,via=nfs", "--share: via=nfs", -EINVAL},
        {"/tmp:/a/tag/of/more/than/thirty-six/bytes/x,via=virtiofs",
         "longer than a mount tag may be", -EINVAL},
        {"/nonexistent:/mnt,via=virtiofs", "/nonexistent: cannot open", -ENOENT},
        {"/etc/passwd:/mnt,via=virtiofs", "/etc/passwd: not a directory", -ENOTDIR},
    };
    struct loop *loop = loop_create();

    log_set_sink(keep_line, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct virtio *v = NULL;
        int err;

        said[0] = '\0';
        err = virtio_share_create(bad[i].text, loop, &v);

        ck_assert_int_eq(err, bad[i].err);
        ck_assert_msg(strstr(said, bad[i].part) != NULL, "%s: %s", bad[i].text, said);
        ck_assert_ptr_null(v);
    }
    log_set_sink(NULL, NULL);
    loop_destroy(loop);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-9p");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, requests_are_answered_split_and_packed);
    tcase_add_test(tc, tag_stands_in_the_configuration);
    tcase_add_test(tc, many_requests_at_once_all_end);
    tcase_add_test(tc, reset_with_requests_on_their_way);
    tcase_add_test(tc, garbage_comes_back_empty);
    tcase_add_test(tc, bad_option_is_told_in_one_line);
    return fake_run(tc);
}
