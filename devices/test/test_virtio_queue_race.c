/*
 * Queues with the guest on another processor: one that rewrites descriptors while they are read,
 * and a legal one with which no notification may get lost. For the sanitizers, too.
 */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define N      1 /* descriptor flags */
#define W      2
#define I      4
#define PACKED VIRTIO_F_RING_PACKED
#define EVENT  VIRTIO_F_EVENT_IDX
#define MS     UINT64_C(1000000)

static struct driver d;
static struct null_device *n;
static struct virtq *q;
static uint64_t buf;

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    driver_loop(&d);
    n = null_device_create(1, 256, 0);
    driver_create(&d, &n->v);
    buf = driver_alloc(&d, 4096);
    q = &n->v.queue[0];
}

static void tear_down(void)
{
    driver_destroy(&d);
}

/* A guest that rewrites one descriptor (two words, each in one store) until it is told to stop. */
struct rewriter {
    pthread_t thread;
    uint64_t *desc;
    uint64_t addr[2], rest[2]; /* rest: length, flags, next */
    bool stop;                 /* atomic */
};

static void *rewrite(void *opaque)
{
    struct rewriter *r = opaque;

    for (unsigned i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); i++) {
        __atomic_store_n(&r->desc[0], r->addr[i & 1], __ATOMIC_RELAXED);
        __atomic_store_n(&r->desc[1], r->rest[i >> 1 & 1], __ATOMIC_RELAXED);
    }
    return NULL;
}

static void start_rewriting(struct rewriter *r, uint64_t table, unsigned i)
{
    r->desc = (uint64_t *)driver_ptr(&d, table) + 2 * (size_t)i;
    r->stop = false;
    ck_assert_int_eq(pthread_create(&r->thread, NULL, rewrite, r), 0);
}

static void stop_rewriting(struct rewriter *r)
{
    __atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
    pthread_join(r->thread, NULL);
}

static uint64_t rest(uint32_t len, uint16_t flags, uint16_t next)
{
    return len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

/* Pops head 0 over and over for 50 ms; a broken ring is started anew. `both`: how many of the pops
 * saw the old and how many the new length, to see that there was a race. */
static void pop_while_rewritten(const struct rewriter *r, unsigned both[2])
{
    uint64_t end = loop_now_ns() + 50 * MS;
    static struct virtq_chain chain;

    both[0] = both[1] = 0;
    while (loop_now_ns() < end) {
        driver_publish(&d, 0, 0);
        if (virtq_pop(q, &chain) < 0) {
            q->broken = false;
            q->next_avail++;
            continue;
        }
        for (unsigned i = 0; i < (unsigned)chain.out_count + chain.in_count; i++) {
            uint64_t gpa = DRIVER_GPA + (uint64_t)((uint8_t *)chain.iov[i].iov_base - d.ram.host);
            uint64_t len = chain.iov[i].iov_len;

            ck_assert(gmem_contains(&d.mem, gpa, len));
            if (len == (uint32_t)r->rest[0] || len == (uint32_t)r->rest[1])
                both[len == (uint32_t)r->rest[1]]++;
            else
                ck_assert_uint_eq(len, 64); /* the second descriptor of a chain */
            ck_assert(gpa == r->addr[0] || gpa == r->addr[1] || gpa == buf + 1024);
        }
        virtq_push(q, &chain, 0);
    }
}

START_TEST(rewritten_address_length_and_flags_are_old_or_new)
{
    struct rewriter r = {.addr = {buf, buf + 256}, .rest = {rest(16, 0, 0), rest(128, N | W, 1)}};
    unsigned both[2];

    driver_start(&d, 0, 8);
    driver_put_desc(&d, d.q[0].desc, 1, buf + 1024, 64, W, 0);
    start_rewriting(&r, d.q[0].desc, 0);
    pop_while_rewritten(&r, both);
    stop_rewriting(&r);
    ck_assert_uint_gt(both[0] + both[1], 0);
}
END_TEST

START_TEST(length_and_address_that_turn_bad_are_never_used)
{
    struct rewriter r = {.addr = {buf, DRIVER_GPA + DRIVER_RAM - 16},
                         .rest = {rest(16, W, 0), rest(UINT32_MAX, W | N, 0xffff)}};
    unsigned both[2];

    driver_start(&d, 0, 8);
    start_rewriting(&r, d.q[0].desc, 0);
    pop_while_rewritten(&r, both);
    stop_rewriting(&r);
    ck_assert_uint_eq(both[1], 0);
}
END_TEST

START_TEST(direct_that_turns_indirect_and_back_is_one_or_the_other)
{
    uint64_t table = buf + 2048;
    struct rewriter r = {.addr = {buf, table}, .rest = {rest(16, 0, 0), rest(32, I, 0)}};
    unsigned both[2];

    driver_start(&d, VIRTIO_F_INDIRECT_DESC, 8);
    driver_put_desc(&d, table, 0, buf + 1024, 64, N, 1);
    driver_put_desc(&d, table, 1, buf + 1024, 64, W, 0);
    start_rewriting(&r, d.q[0].desc, 0);
    pop_while_rewritten(&r, both);
    stop_rewriting(&r);
    ck_assert_uint_eq(both[1], 0); /* an indirect descriptor is no buffer */
}
END_TEST

START_TEST(indirect_entry_that_is_rewritten_is_old_or_new)
{
    uint64_t table = buf + 2048;
    struct rewriter r = {.addr = {buf, buf + 256}, .rest = {rest(16, W, 0), rest(128, W | I, 7)}};
    unsigned both[2];

    driver_start(&d, VIRTIO_F_INDIRECT_DESC, 8);
    driver_put_desc(&d, d.q[0].desc, 0, table, 32, I, 0);
    driver_put_desc(&d, table, 0, buf + 1024, 64, N, 1);
    start_rewriting(&r, table, 1);
    pop_while_rewritten(&r, both);
    stop_rewriting(&r);
    ck_assert_uint_eq(both[1], 0);
}
END_TEST

/* The available index runs wild. */
static void *wild_index(void *opaque)
{
    struct rewriter *r = opaque;
    uint16_t *idx = (uint16_t *)(void *)((uint8_t *)driver_ptr(&d, d.q[0].avail) + 2);
    uint64_t seed = 3;

    while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
        __atomic_store_n(idx, (uint16_t)(fake_random(&seed) & 15), __ATOMIC_RELAXED);
    return NULL;
}

START_TEST(available_index_that_runs_wild_ends_each_batch)
{
    uint64_t end = loop_now_ns() + 50 * MS;
    struct rewriter r = {.stop = false};
    static struct virtq_chain chain;

    driver_start(&d, 0, 8);
    for (uint16_t i = 0; i < 8; i++)
        driver_put_desc(&d, d.q[0].desc, i, buf, 16, 0, 0);
    ck_assert_int_eq(pthread_create(&r.thread, NULL, wild_index, &r), 0);
    while (loop_now_ns() < end) {
        unsigned taken = 0;

        /* None is given back meanwhile: no more than the queue is large. */
        while (virtq_pop(q, &chain) > 0)
            ck_assert_uint_le(++taken, 8);
        ck_assert_int_eq(virtq_activate(q, &d.mem, VIRTIO_F_VERSION_1), 0);
    }
    stop_rewriting(&r);
}
END_TEST

/*
 * A legal driver on this thread, the device on another. Both sleep as soon as they may; one that is
 * not woken shows as a timeout.
 */
static sem_t kicked, interrupted;
static bool finished; /* atomic */

static void *device_main(void *opaque)
{
    static struct virtq_chain chain;

    (void)opaque;
    for (;;) {
        sem_wait(&kicked);
        if (__atomic_load_n(&finished, __ATOMIC_ACQUIRE))
            return NULL;
        virtq_set_kicks(q, false);
        do {
            while (virtq_pop(q, &chain) > 0) {
                virtq_push(q, &chain, (uint32_t)chain.in_len);
                if (virtq_must_notify(q))
                    sem_post(&interrupted);
            }
        } while (virtq_set_kicks(q, true));
        ck_assert(!q->broken);
    }
}

static uint16_t *field(uint64_t gpa, unsigned offset)
{
    return (uint16_t *)(void *)((uint8_t *)driver_ptr(&d, gpa) + offset);
}

static uint16_t look(uint64_t gpa, unsigned offset)
{
    return __atomic_load_n(field(gpa, offset), __ATOMIC_ACQUIRE);
}

static void say(uint64_t gpa, unsigned offset, uint16_t value)
{
    __atomic_store_n(field(gpa, offset), value, __ATOMIC_RELEASE);
}

/* Whether the device wants a notification for the chain that was added last: of one descriptor,
 * the one before next_free. */
static bool wants_kick(void)
{
    const struct driver_queue *dq = &d.q[0];
    uint16_t flags, event;

    __sync_synchronize();
    if (!(d.features & PACKED) && d.features & EVENT)
        return (uint16_t)(dq->avail_idx - 1) == look(dq->used, 4 + 8u * dq->size);
    if (!(d.features & PACKED))
        return !(look(dq->used, 0) & 1);
    flags = look(dq->used, 2);
    event = look(dq->used, 0);
    if (flags != 2)
        return flags == 0;
    if (dq->next_free == 0)
        return event == (dq->size - 1u) + (dq->avail_wrap ? 0 : 0x8000u);
    return event == dq->next_free - 1u + (dq->avail_wrap ? 0x8000u : 0);
}

/* Tells the device that the next used entry is waited for. */
static void want_interrupt(void)
{
    const struct driver_queue *dq = &d.q[0];

    if (d.features & PACKED) {
        say(dq->avail, 0, (uint16_t)(dq->used_idx | (dq->used_wrap ? 0x8000 : 0)));
        say(dq->avail, 2, d.features & EVENT ? 2 : 0);
    } else {
        say(dq->avail, 4 + 2u * dq->size, dq->used_idx);
    }
    __sync_synchronize();
}

static void wait_for_interrupt(unsigned at)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 10;
    ck_assert_msg(sem_timedwait(&interrupted, &end) == 0, "nobody told of chain %u", at);
}

static void converse(uint64_t features, uint16_t size)
{
    struct driver_buf one = {buf, 16, true};
    unsigned added = 0, taken = 0;
    uint64_t end;
    pthread_t device;
    uint16_t id;
    uint32_t len;

    driver_start(&d, features, size);
    driver_run(&d);
    finished = false;
    sem_init(&kicked, 0, 0);
    sem_init(&interrupted, 0, 0);
    virtq_set_kicks(q, true);
    ck_assert_int_eq(pthread_create(&device, NULL, device_main, NULL), 0);
    end = loop_now_ns() + 40 * MS;
    while (loop_now_ns() < end || taken < added) {
        while (added - taken < size && loop_now_ns() < end) {
            driver_add(&d, 0, &one, 1);
            added++;
            if (wants_kick())
                sem_post(&kicked);
        }
        want_interrupt();
        while (taken < added && !driver_used(&d, 0, 0, &id, &len))
            wait_for_interrupt(taken);
        taken += taken < added;
    }
    __atomic_store_n(&finished, true, __ATOMIC_RELEASE);
    sem_post(&kicked);
    pthread_join(device, NULL);
    ck_assert_uint_eq(q->in_flight, 0);
    ck_assert_uint_gt(taken, 0);
}

START_TEST(no_notification_is_lost_with_a_split_ring)
{
    converse(0, 8);
    converse(EVENT, 8);
    converse(EVENT, 1);
}
END_TEST

START_TEST(no_notification_is_lost_with_a_packed_ring)
{
    converse(PACKED, 7);
    converse(PACKED | EVENT, 7);
    converse(PACKED | EVENT, 1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("race");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, rewritten_address_length_and_flags_are_old_or_new);
    tcase_add_test(tc, length_and_address_that_turn_bad_are_never_used);
    tcase_add_test(tc, direct_that_turns_indirect_and_back_is_one_or_the_other);
    tcase_add_test(tc, indirect_entry_that_is_rewritten_is_old_or_new);
    tcase_add_test(tc, available_index_that_runs_wild_ends_each_batch);
    tcase_add_test(tc, no_notification_is_lost_with_a_split_ring);
    tcase_add_test(tc, no_notification_is_lost_with_a_packed_ring);
    return fake_run(tc);
}
