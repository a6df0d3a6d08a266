/* The balloon: only the guest's own pages go back to the host, and statistics are believed to be
 * nothing but numbers. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/models.h"

#define PAGE         4096
#define FIRST_PFN    (DRIVER_GPA / PAGE)
#define LAST_PFN     ((DRIVER_GPA + DRIVER_RAM) / PAGE - 1)
#define F_STATS      (UINT64_C(1) << 1)
#define F_OOM        (UINT64_C(1) << 2)
#define F_REPORTING  (UINT64_C(1) << 5)
#define F_ALL        (F_STATS | F_OOM | F_REPORTING)
#define HOLE_GPA     UINT64_C(0x600000) /* not RAM, one page before the second region */
#define SECOND_GPA   (HOLE_GPA + PAGE)
#define SECOND_PAGES 4

static struct driver d;
static struct fake_ram second;

/* What the device gave back, as offsets into RAM; the second region from 1 << 32 on. */
static struct {
    uint64_t at, len;
} gone[2048];
static unsigned gone_count;
static int discard_result;

static int keep_discard(void *opaque, void *host, size_t len)
{
    uint8_t *p = host;

    ck_assert_ptr_eq(opaque, &gone);
    ck_assert_uint_lt(gone_count, ARRAY_SIZE(gone));
    if (p >= d.ram.host && p < d.ram.host + DRIVER_RAM)
        gone[gone_count].at = (uint64_t)(p - d.ram.host);
    else
        gone[gone_count].at = (UINT64_C(1) << 32) + (uint64_t)(p - second.host);
    gone[gone_count++].len = len;
    return discard_result;
}

static void open_device(const char *text, uint64_t features)
{
    struct virtio *v;
    struct loop *loop = driver_loop(&d);

    gone_count = 0;
    discard_result = 0;
    ck_assert_int_eq(virtio_balloon_create(text, loop, &v), 0);
    virtio_balloon_set_discard(v, keep_discard, &gone);
    driver_create(&d, v);
    fake_ram_create(&second, SECOND_PAGES * PAGE);
    ck_assert_int_eq(gmem_add(&d.mem, SECOND_GPA, second.size, second.host), 0);
    driver_start(&d, features, 128);
}

static void close_device(void)
{
    driver_destroy(&d);
    fake_ram_destroy(&second);
}

static void expect_gone(unsigned i, uint64_t at, uint64_t len)
{
    ck_assert_uint_lt(i, gone_count);
    ck_assert_uint_eq(gone[i].at, at);
    ck_assert_uint_eq(gone[i].len, len);
}

/* A chain of `len` bytes of page numbers, to inflate (0) or deflate (1). */
static void send_pfns(unsigned queue, const uint32_t *pfns, uint32_t len)
{
    struct driver_buf buf = {driver_alloc(&d, len + 1), len, false};

    for (unsigned i = 0; i < (len + 3) / 4; i++) {
        uint8_t pfn[4];

        store_le32(pfn, pfns[i]);
        memcpy((uint8_t *)driver_ptr(&d, buf.gpa) + 4 * i, pfn, len - 4 * i < 4 ? len - 4 * i : 4);
    }
    ck_assert_uint_eq(driver_do(&d, queue, &buf, 1), 0);
}

#define SEND(queue, ...)                                                                           \
    do {                                                                                           \
        const uint32_t list[] = {__VA_ARGS__};                                                     \
        send_pfns(queue, list, sizeof(list));                                                      \
    } while (0)

START_TEST(neighbours_go_in_one_piece)
{
    open_device("", F_ALL);
    SEND(0, FIRST_PFN + 8, FIRST_PFN + 9, FIRST_PFN + 10, FIRST_PFN + 40, FIRST_PFN + 39,
         FIRST_PFN + 100);
    ck_assert_uint_eq(gone_count, 3);
    expect_gone(0, 8 * PAGE, 3 * PAGE);
    expect_gone(1, 39 * PAGE, 2 * PAGE);
    expect_gone(2, 100 * PAGE, PAGE);
    ck_assert(!driver_broken(&d));
    close_device();
}
END_TEST

/* 2. row 16; table (a), row 74. */
START_TEST(pfn_of_hole_or_beyond_ram_is_left_alone)
{
    open_device("", F_ALL);
    SEND(0, 0, FIRST_PFN - 1, LAST_PFN + 1, 0xffffffff, 0x80000000, HOLE_GPA / PAGE,
         SECOND_GPA / PAGE + SECOND_PAGES, 0xd0000);
    ck_assert_uint_eq(gone_count, 0);
    ck_assert(!driver_broken(&d));
    close_device();
}
END_TEST

START_TEST(last_page_of_a_region_goes_alone)
{
    open_device("", F_ALL);
    SEND(0, LAST_PFN, LAST_PFN + 1, HOLE_GPA / PAGE, SECOND_GPA / PAGE);
    ck_assert_uint_eq(gone_count, 2);
    expect_gone(0, DRIVER_RAM - PAGE, PAGE);
    expect_gone(1, UINT64_C(1) << 32, PAGE);
    close_device();
}
END_TEST

START_TEST(same_page_twice_harms_nobody)
{
    open_device("", F_ALL);
    SEND(0, FIRST_PFN + 8, FIRST_PFN + 8, FIRST_PFN + 8);
    ck_assert_uint_eq(gone_count, 3);
    close_device();
}
END_TEST

START_TEST(odd_lengths_of_page_arrays_lose_the_rest)
{
    const uint32_t pfns[] = {FIRST_PFN + 8, FIRST_PFN + 20};

    open_device("", F_ALL);
    for (uint32_t len = 1; len < 4; len++)
        send_pfns(0, pfns, len);
    ck_assert_uint_eq(gone_count, 0);
    send_pfns(0, pfns, 7);
    ck_assert_uint_eq(gone_count, 1);
    expect_gone(0, 8 * PAGE, PAGE);
    close_device();
}
END_TEST

START_TEST(chain_without_readable_bytes_is_returned)
{
    struct driver_buf buf = {.len = 64, .writable = true};

    open_device("", F_ALL);
    buf.gpa = driver_alloc(&d, 64);
    ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 0);
    ck_assert_uint_eq(driver_do(&d, 1, &buf, 1), 0);
    ck_assert_uint_eq(gone_count, 0);
    close_device();
}
END_TEST

START_TEST(only_1024_pages_of_one_chain_are_looked_at)
{
    static uint32_t pfns[3000];

    open_device("", F_ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(pfns); i++)
        pfns[i] = (uint32_t)FIRST_PFN + 2 * (i % 500);
    send_pfns(0, pfns, sizeof(pfns));
    ck_assert_uint_eq(gone_count, 1024);
    close_device();
}
END_TEST

START_TEST(many_chains_all_come_back)
{
    uint32_t len;
    uint16_t id;
    struct driver_buf buf;

    open_device("", F_ALL | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
    buf = (struct driver_buf){driver_alloc(&d, 400), 400, false}; /* PFN 0: not RAM */
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 100; i++)
            driver_add(&d, 0, &buf, 1);
        driver_kick(&d, 0);
        for (unsigned i = 0; i < 100; i++)
            ck_assert(driver_used(&d, 0, 1000, &id, &len));
    }
    close_device();
}
END_TEST

START_TEST(deflating_takes_nothing_away)
{
    open_device("", F_ALL);
    SEND(0, FIRST_PFN + 8);
    SEND(1, FIRST_PFN + 8, 0xffffffff);
    ck_assert_uint_eq(gone_count, 1);
    close_device();
}
END_TEST

/* Table (a), row 12: the rings' own memory is among what is discarded. */
START_TEST(pages_of_the_rings_may_be_given_away)
{
    struct virtio *v;
    struct loop *loop = driver_loop(&d);
    struct driver_buf buf;

    ck_assert_int_eq(virtio_balloon_create("", loop, &v), 0);
    driver_create(&d, v);
    driver_start(&d, F_ALL, 128);
    buf = (struct driver_buf){DRIVER_GPA, DRIVER_RAM, true};
    driver_add(&d, 3, &buf, 1);
    driver_kick(&d, 3);
    driver_start(&d, F_ALL, 128); /* after a reset all is well */
    buf = (struct driver_buf){driver_alloc(&d, 4), 4, false};
    ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 0);
    driver_destroy(&d);
}
END_TEST

static unsigned errors;

static void count_errors(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)line;
    errors += level == LOG_ERROR;
}

/* The host's refusal is the host's matter: the guest goes on. */
START_TEST(host_that_takes_nothing_back_is_told_of_once)
{
    open_device("", F_ALL);
    errors = 0;
    log_set_sink(count_errors, NULL);
    discard_result = -EINVAL;
    SEND(0, FIRST_PFN + 8, FIRST_PFN + 80);
    SEND(0, FIRST_PFN + 9);
    log_set_sink(NULL, NULL);
    ck_assert_uint_eq(gone_count, 3);
    ck_assert_uint_eq(errors, 1);
    ck_assert(!driver_broken(&d));
    close_device();
}
END_TEST

/* With the real advice: the memory reads as zero, and a file behind it shrinks. */
static void inflate_mapping(int flags, int fd, struct stat *st)
{
    const size_t size = 16 * PAGE;
    struct virtio *v;
    struct loop *loop = driver_loop(&d);
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

    ck_assert(p != MAP_FAILED);
    ck_assert_int_eq(virtio_balloon_create("", loop, &v), 0);
    driver_create(&d, v);
    ck_assert_int_eq(gmem_add(&d.mem, SECOND_GPA, size, p), 0);
    driver_start(&d, F_ALL, 128);
    memset(p, 0x5a, size);
    SEND(0, SECOND_GPA / PAGE + 2, SECOND_GPA / PAGE + 3);
    /* Before anything reads the hole, which fills it. */
    if (fd >= 0)
        ck_assert_int_eq(fstat(fd, st), 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(p[i], i / PAGE == 2 || i / PAGE == 3 ? 0 : 0x5a);
    driver_destroy(&d);
    munmap(p, size);
}

START_TEST(private_memory_reads_as_zero_afterwards)
{
    inflate_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1, NULL);
}
END_TEST

START_TEST(shared_memory_gets_a_hole)
{
    int fd = memfd_create("ram", MFD_CLOEXEC);
    struct stat st;

    ck_assert(fd >= 0 && ftruncate(fd, 16 * PAGE) == 0);
    inflate_mapping(MAP_SHARED, fd, &st);
    ck_assert_int_eq(st.st_blocks, 14 * PAGE / 512);
    close(fd);
}
END_TEST

/* 5.5.6.7. */
START_TEST(reported_ranges_are_rounded_inward)
{
    struct driver_buf bufs[] = {{DRIVER_GPA + 64 * PAGE, 4 * PAGE, true},
                                {DRIVER_GPA + 100 * PAGE + 1, 2 * PAGE, true},
                                {DRIVER_GPA + 200 * PAGE + 8, PAGE, true}};

    open_device("", F_ALL);
    ck_assert_uint_eq(driver_do(&d, 3, bufs, 3), 0);
    ck_assert_uint_eq(gone_count, 2);
    expect_gone(0, 64 * PAGE, 4 * PAGE);
    expect_gone(1, 101 * PAGE, PAGE);
    close_device();
}
END_TEST

START_TEST(reporting_queue_is_found_by_both_ways_of_counting)
{
    struct driver_buf buf = {DRIVER_GPA + 64 * PAGE, PAGE, true};

    open_device("", F_ALL);
    driver_do(&d, 3, &buf, 1);
    driver_do(&d, 4, &buf, 1);
    ck_assert_uint_eq(gone_count, 2);
    close_device();
    open_device("", F_REPORTING);
    driver_do(&d, 2, &buf, 1);
    driver_do(&d, 4, &buf, 1);
    ck_assert_uint_eq(gone_count, 2);
    close_device();
}
END_TEST

START_TEST(readable_buffer_is_no_report)
{
    struct driver_buf buf = {DRIVER_GPA + 64 * PAGE, PAGE, false};

    open_device("", F_ALL);
    driver_do(&d, 3, &buf, 1);
    ck_assert_uint_eq(gone_count, 0);
    close_device();
}
END_TEST

/* Without negotiation the queues beyond deflate do nothing. */
START_TEST(queues_of_refused_features_stay_silent)
{
    struct driver_buf buf = {DRIVER_GPA + 64 * PAGE, PAGE, true};
    uint16_t id;
    uint32_t len;

    open_device("", 0);
    for (unsigned queue = 2; queue < 5; queue++) {
        driver_add(&d, queue, &buf, 1);
        driver_kick(&d, queue);
        ck_assert(!driver_used(&d, queue, 0, &id, &len));
    }
    ck_assert_uint_eq(gone_count, 0);
    close_device();
}
END_TEST

/* Statistics. */

static void put_stat(uint8_t *at, uint16_t tag, uint64_t value)
{
    store_le16(at, tag);
    store_le64(at + 2, value);
}

/* Hands over a buffer of statistics; the device keeps it. */
static void send_stats(const uint8_t *data, uint32_t len)
{
    struct driver_buf buf = {driver_alloc(&d, len + 1), len, false};
    uint16_t id;
    uint32_t used;

    memcpy(driver_ptr(&d, buf.gpa), data, len);
    driver_add(&d, 2, &buf, 1);
    driver_kick(&d, 2);
    ck_assert(!driver_used(&d, 2, 0, &id, &used));
}

/* What was reported; the buffer comes back with that. */
static struct virtio_balloon_stats ask(void)
{
    struct virtio_balloon_stats stats;
    uint16_t id;
    uint32_t used;

    virtio_balloon_stats(d.v, &stats);
    ck_assert(driver_used(&d, 2, 0, &id, &used));
    ck_assert_uint_eq(used, 0);
    return stats;
}

static void statistics_arrive(uint64_t features)
{
    uint8_t data[30];
    struct virtio_balloon_stats stats;

    open_device("", F_ALL | features);
    virtio_balloon_stats(d.v, &stats);
    ck_assert_uint_eq(stats.when_ns, 0);
    for (unsigned round = 1; round < 300; round += 100) {
        put_stat(data, BALLOON_TOTAL, UINT64_MAX); /* in any order */
        put_stat(data + 10, 999, 7);
        put_stat(data + 20, BALLOON_FREE, round);
        send_stats(data, sizeof(data));
        stats = ask();
        ck_assert_uint_ne(stats.when_ns, 0);
        ck_assert_uint_eq(stats.valid, 1u << BALLOON_FREE | 1u << BALLOON_TOTAL);
        ck_assert_uint_eq(stats.value[BALLOON_FREE], round);
        ck_assert_uint_eq(stats.value[BALLOON_TOTAL], UINT64_MAX);
    }
    close_device();
}

START_TEST(statistics_arrive_and_the_buffer_is_kept_until_asked_for)
{
    statistics_arrive(0);
    statistics_arrive(VIRTIO_F_EVENT_IDX);
    statistics_arrive(VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
}
END_TEST

/* 2. row 7. */
START_TEST(odd_lengths_of_statistics_lose_the_rest)
{
    static const uint32_t lengths[] = {1, 2, 9, 10, 11, 19, 20, 29, 5000};
    static const uint32_t entries[] = {0, 0, 0, 1, 1, 1, 2, 2, 10};
    static uint8_t data[5000];

    open_device("", F_ALL);
    for (unsigned i = 0; i < sizeof(data) / 10; i++)
        put_stat(data + 10 * (size_t)i, (uint16_t)i, i + 1);
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct virtio_balloon_stats stats;

        send_stats(data, lengths[i]);
        stats = ask();
        ck_assert_uint_eq(stats.valid, (1u << entries[i]) - 1);
    }
    ck_assert(!driver_broken(&d));
    close_device();
}
END_TEST

START_TEST(driver_is_asked_as_often_as_the_option_says)
{
    uint8_t data[10];
    uint16_t id;
    uint32_t used;

    open_device("stats=1", F_ALL);
    put_stat(data, BALLOON_FREE, 1);
    send_stats(data, sizeof(data));
    ck_assert(!driver_used(&d, 2, 500, &id, &used));
    ck_assert(driver_used(&d, 2, 1000, &id, &used));
    close_device();
}
END_TEST

START_TEST(two_buffers_of_statistics_confuse_nobody)
{
    uint8_t data[10];

    open_device("", F_ALL | VIRTIO_F_EVENT_IDX);
    put_stat(data, BALLOON_FREE, 1);
    send_stats(data, sizeof(data));
    put_stat(data, BALLOON_FREE, 2);
    send_stats(data, sizeof(data));
    ck_assert_uint_eq(ask().value[BALLOON_FREE], 1);
    ask();
    ck_assert(!driver_broken(&d));
    close_device();
}
END_TEST

/* Configuration. */

START_TEST(target_is_told_by_configuration_and_interrupt)
{
    unsigned rises;

    open_device("size=1M", F_ALL);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 256);
    rises = d.irq.rises;
    virtio_balloon_set(d.v, 3 * MIB + 5);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 768);
    ck_assert_uint_eq(d.irq.rises, rises + 1);
    ck_assert_uint_eq(driver_read(&d, 0x60) & 2, 2);
    virtio_balloon_set(d.v, UINT64_MAX); /* no more than there is */
    ck_assert_uint_eq(driver_config(&d, 0, 4), DRIVER_RAM / PAGE + SECOND_PAGES);
    close_device();
}
END_TEST

START_TEST(driver_writes_actual_and_nothing_else)
{
    open_device("size=1M", F_ALL);
    fake_write(d.dev, 0x104, 4, 100);
    ck_assert_uint_eq(virtio_balloon_actual(d.v), 100 * PAGE);
    fake_write(d.dev, 0x100, 4, 5);
    fake_write(d.dev, 0x102, 4, 0x77777777);
    fake_write(d.dev, 0x106, 4, 0x77777777);
    fake_write(d.dev, 0x10c, 4, 5);
    fake_write(d.dev, 0x100, 8, 5);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 256);
    ck_assert_uint_eq(driver_config(&d, 4, 4), 100);
    ck_assert_uint_eq(driver_config(&d, 8, 4), 0);
    ck_assert_uint_eq(driver_config(&d, 12, 4), 0);
    driver_write(&d, 0x70, 0); /* a reset leaves the guest with all of its memory */
    ck_assert_uint_eq(virtio_balloon_actual(d.v), 0);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 256);
    close_device();
}
END_TEST

START_TEST(hinting_and_poison_are_not_offered)
{
    open_device("", UINT64_MAX);
    ck_assert_uint_eq(d.features & 0xff, F_ALL);
    ck_assert_uint_eq(driver_read(&d, 0x08), 5);
    close_device();
}
END_TEST

START_TEST(state_survives_a_transfer)
{
    static struct driver from;

    open_device("size=1M", F_ALL);
    fake_write(d.dev, 0x104, 4, 77);
    from = d;
    open_device("", F_ALL);
    ck_assert_int_eq(fake_transfer(from.dev, d.dev), 0);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 256);
    ck_assert_uint_eq(virtio_balloon_actual(d.v), 77 * PAGE);
    close_device();
    driver_destroy(&from);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    struct loop *loop = loop_create();
    struct virtio *v = NULL;

    log_set_sink(count_errors, NULL);
    errors = 0;
    ck_assert_int_eq(virtio_balloon_create("size=lots", loop, &v), -EINVAL);
    ck_assert_int_eq(virtio_balloon_create("stats=3601", loop, &v), -EINVAL);
    ck_assert_uint_eq(errors, 2);
    ck_assert_ptr_null(v);
    log_set_sink(NULL, NULL);
    loop_destroy(loop);
}
END_TEST

static void add_more_tests(TCase *tc)
{
    tcase_add_test(tc, statistics_arrive_and_the_buffer_is_kept_until_asked_for);
    tcase_add_test(tc, odd_lengths_of_statistics_lose_the_rest);
    tcase_add_test(tc, driver_is_asked_as_often_as_the_option_says);
    tcase_add_test(tc, two_buffers_of_statistics_confuse_nobody);
    tcase_add_test(tc, target_is_told_by_configuration_and_interrupt);
    tcase_add_test(tc, driver_writes_actual_and_nothing_else);
    tcase_add_test(tc, hinting_and_poison_are_not_offered);
    tcase_add_test(tc, state_survives_a_transfer);
    tcase_add_test(tc, bad_options_are_refused);
}

int main(void)
{
    TCase *tc = tcase_create("virtio-balloon");

    tcase_add_test(tc, neighbours_go_in_one_piece);
    tcase_add_test(tc, pfn_of_hole_or_beyond_ram_is_left_alone);
    tcase_add_test(tc, last_page_of_a_region_goes_alone);
    tcase_add_test(tc, same_page_twice_harms_nobody);
    tcase_add_test(tc, odd_lengths_of_page_arrays_lose_the_rest);
    tcase_add_test(tc, chain_without_readable_bytes_is_returned);
    tcase_add_test(tc, only_1024_pages_of_one_chain_are_looked_at);
    tcase_add_test(tc, many_chains_all_come_back);
    tcase_add_test(tc, deflating_takes_nothing_away);
    tcase_add_test(tc, pages_of_the_rings_may_be_given_away);
    tcase_add_test(tc, host_that_takes_nothing_back_is_told_of_once);
    tcase_add_test(tc, private_memory_reads_as_zero_afterwards);
    tcase_add_test(tc, shared_memory_gets_a_hole);
    tcase_add_test(tc, reported_ranges_are_rounded_inward);
    tcase_add_test(tc, reporting_queue_is_found_by_both_ways_of_counting);
    tcase_add_test(tc, readable_buffer_is_no_report);
    tcase_add_test(tc, queues_of_refused_features_stay_silent);
    add_more_tests(tc);
    return fake_run(tc);
}
