/* The tests' stand-ins: see fake.h. */
#include "devices/test/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/loop.h"

#define PAGE 4096

int fake_run(TCase *tc)
{
    Suite *suite = suite_create("devices");
    SRunner *runner;
    int failed;

    signal(SIGPIPE, SIG_IGN);  /* as hv does */
    tcase_set_timeout(tc, 30); /* sanitizers */
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void fake_ram_create(struct fake_ram *ram, size_t size)
{
    ram->size = size;
    ram->map = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(ram->map != MAP_FAILED);
    ram->host = ram->map + PAGE;
    ck_assert_int_eq(mprotect(ram->host, size, PROT_READ | PROT_WRITE), 0);
}

void fake_ram_destroy(struct fake_ram *ram)
{
    munmap(ram->map, ram->size + 2 * PAGE);
}

static void irq_changed(void *opaque, bool level)
{
    struct fake_irq *irq = opaque;

    /* Devices call only when the level changes. */
    ck_assert(level != irq->level);
    irq->level = level;
    if (level)
        irq->rises++;
    else
        irq->falls++;
}

struct irq_line fake_irq_line(struct fake_irq *irq)
{
    return (struct irq_line){.set = irq_changed, .opaque = irq};
}

static void keep_event(void *opaque, enum guest_event event, uint32_t value)
{
    struct fake_sink *sink = opaque;

    if (sink->count < FAKE_EVENTS) {
        sink->event[sink->count] = event;
        sink->value[sink->count] = value;
    }
    sink->count++;
}

struct guest_event_sink fake_sink_of(struct fake_sink *sink)
{
    return (struct guest_event_sink){.report = keep_event, .opaque = sink};
}

static void make_pipe(int *reader, int *writer)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    *reader = fds[0];
    *writer = fds[1];
}

void fake_console_open(struct fake_console *c, const struct chardev_config *config)
{
    struct chardev_config full = {.in_fd = -1};

    if (config)
        full = *config;
    make_pipe(&c->chr_in, &c->in_fd);
    make_pipe(&c->out_fd, &c->chr_out);
    /* Ours only: what chardev is given keeps the flags of an ordinary, blocking pipe. */
    fcntl(c->in_fd, F_SETFL, O_NONBLOCK);
    fcntl(c->out_fd, F_SETFL, O_NONBLOCK);
    full.in_fd = c->chr_in;
    full.out_fd = c->chr_out;
    c->loop = loop_create();
    ck_assert_ptr_nonnull(c->loop);
    c->chr = chardev_create(c->loop, &full);
    ck_assert_ptr_nonnull(c->chr);
}

void fake_console_close(struct fake_console *c)
{
    /* The reader first: chardev_destroy waits a while for one that is merely slow. */
    if (c->out_fd >= 0)
        close(c->out_fd);
    if (c->in_fd >= 0)
        close(c->in_fd);
    chardev_destroy(c->chr);
    loop_destroy(c->loop);
    close(c->chr_in);
    close(c->chr_out);
}

void fake_console_run(struct fake_console *c, unsigned ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};

    while (loop_step(c->loop) > 0)
        ;
    if (!ms)
        return;
    nanosleep(&pause, NULL);
    while (loop_step(c->loop) > 0)
        ;
}

size_t fake_console_read(struct fake_console *c, char *buf, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    while (len < cap - 1 && (n = read(c->out_fd, buf + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    buf[len] = '\0';
    return len;
}

void fake_console_type(struct fake_console *c, const char *text)
{
    ck_assert_int_eq(write(c->in_fd, text, strlen(text)), (ssize_t)strlen(text));
}

uint64_t fake_read(struct dev *dev, uint64_t offset, unsigned size)
{
    uint64_t value;

    pthread_mutex_lock(&dev->lock);
    value = dev->ops->read(dev, offset, size);
    pthread_mutex_unlock(&dev->lock);
    return value;
}

void fake_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    pthread_mutex_lock(&dev->lock);
    dev->ops->write(dev, offset, size, value);
    pthread_mutex_unlock(&dev->lock);
}

uint8_t fake_in(struct dev *dev, uint64_t offset)
{
    return (uint8_t)fake_read(dev, offset, 1);
}

void fake_out(struct dev *dev, uint64_t offset, uint8_t value)
{
    fake_write(dev, offset, 1, value);
}

int fake_transfer(struct dev *from, struct dev *to)
{
    struct state_writer w = {0};
    struct state_reader r;
    int err;

    dev_save(from, &w);
    ck_assert_int_eq(w.error, 0);
    state_reader_init(&r, w.data, w.len);
    err = dev_load(to, &r);
    state_writer_free(&w);
    return err;
}

/* A heap copy of just `len` bytes, so that AddressSanitizer sees a reader that runs past it. */
static int load_copy(struct dev *dev, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    struct state_reader r;
    int err;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, len);
    state_reader_init(&r, copy, len);
    err = dev_load(dev, &r);
    free(copy);
    return err;
}

static void poke_all(struct dev *dev, uint64_t window)
{
    for (uint64_t offset = 0; offset < window; offset++) {
        fake_in(dev, offset);
        fake_out(dev, offset, 0);
    }
}

void fake_hostile_states(struct dev *dev, uint64_t window)
{
    static const uint8_t evil[] = {0x80, 0xff};
    struct state_writer w = {0};

    dev_save(dev, &w);
    ck_assert_int_eq(w.error, 0);
    ck_assert_int_eq(load_copy(dev, w.data, 0), -ENOENT);
    for (size_t len = 1; len < w.len; len++)
        ck_assert_int_eq(load_copy(dev, w.data, len), -EINVAL);
    for (size_t at = 0; at < w.len; at++) {
        for (unsigned i = 0; i < sizeof(evil); i++) {
            uint8_t kept = w.data[at];

            w.data[at] = evil[i];
            if (load_copy(dev, w.data, w.len) == 0)
                poke_all(dev, window);
            w.data[at] = kept;
        }
    }
    ck_assert_int_eq(load_copy(dev, w.data, w.len), 0);
    state_writer_free(&w);
}

void fake_expect_refused(struct dev *dev, size_t at, uint8_t value)
{
    struct state_writer w = {0};

    at += STATE_TAG_LEN + 2 + 4;
    dev_save(dev, &w);
    ck_assert_int_eq(w.error, 0);
    ck_assert_uint_lt(at, w.len);
    w.data[at] = value;
    ck_assert_int_eq(load_copy(dev, w.data, w.len), -EINVAL);
    state_writer_free(&w);
}

uint64_t fake_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}
