/*
 * Reset of devices and of single queues (virtio 1.2, 2.4, 2.6.1), with requests that the host still
 * works on: vCPUs wait on threads of their own, the host ends requests on this one.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define STATUS    0x70
#define QUEUE_SEL 0x30
#define READY     0x44
#define RESET     0xc0
#define PENDING   0x60
#define ALL_BUSY  4 /* requests in flight: as many as the ring holds */

static struct driver d;
static struct null_device *n;
static struct driver_buf ping[2];

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    driver_loop(&d);
    n = null_device_create(2, 256, 0);
    driver_create(&d, &n->v);
    ping[0] = (struct driver_buf){driver_alloc(&d, 16), 16, false};
    ping[1] = (struct driver_buf){driver_alloc(&d, 16), 16, true};
}

static void tear_down(void)
{
    driver_destroy(&d);
}

/* Running, with `count` requests of queue 0 in flight. */
static void start_busy(uint64_t features, unsigned count)
{
    n->mode = NULL_ASYNC;
    driver_start(&d, features, 8);
    for (unsigned i = 0; i < count; i++)
        driver_add(&d, 0, ping, 2);
    driver_kick(&d, 0);
    ck_assert_uint_eq(n->held_count, count);
}

static void complete(unsigned count)
{
    pthread_mutex_lock(&d.dev->lock);
    null_device_complete(n, count);
    pthread_mutex_unlock(&d.dev->lock);
}

/* A vCPU that writes one register. */
struct vcpu {
    pthread_t thread;
    unsigned reg;
    uint32_t value;
    pid_t tid; /* atomic; 0 until the thread runs */
    bool done; /* atomic */
};

static void *vcpu_main(void *opaque)
{
    struct vcpu *cpu = opaque;

    __atomic_store_n(&cpu->tid, gettid(), __ATOMIC_RELEASE);
    driver_write(&d, cpu->reg, cpu->value);
    __atomic_store_n(&cpu->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* The thread sleeps: nobody holds dev.lock here, so that it waits for the host. */
static bool is_asleep(const struct vcpu *cpu)
{
    pid_t tid = __atomic_load_n(&cpu->tid, __ATOMIC_ACQUIRE);
    char path[64], state = '?';
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    f = tid ? fopen(path, "r") : NULL;
    if (f) {
        ck_assert_int_eq(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
        fclose(f);
    }
    return state == 'S';
}

/* Returns when the vCPU waits, for a few looks one after the other. */
static void vcpu_write(struct vcpu *cpu, unsigned reg, uint32_t value)
{
    *cpu = (struct vcpu){.reg = reg, .value = value};
    ck_assert_int_eq(pthread_create(&cpu->thread, NULL, vcpu_main, cpu), 0);
    for (unsigned asleep = 0, looks = 0; asleep < 3; looks++) {
        asleep = is_asleep(cpu) ? asleep + 1 : 0;
        ck_assert_uint_lt(looks, 6000);
        usleep(500);
    }
}

static bool returned(const struct vcpu *cpu)
{
    return __atomic_load_n(&cpu->done, __ATOMIC_ACQUIRE);
}

static void *run_loop(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(loop_run(d.loop), 0);
    return NULL;
}

static uint16_t used_index(unsigned queue)
{
    return load_le16((uint8_t *)driver_ptr(&d, d.q[queue].used) + 2);
}

static void expect_alive(void)
{
    n->mode = NULL_ECHO;
    driver_start(&d, 0, 8);
    ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
    ck_assert_uint_eq(driver_do(&d, 1, ping, 2), 16);
}

/* Devices. */

START_TEST(reset_of_an_idle_device_is_done_at_once)
{
    n->mode = NULL_ECHO;
    driver_start(&d, 0, 8);
    driver_do(&d, 0, ping, 2);
    ck_assert_uint_ne(driver_read(&d, PENDING), 0);
    driver_write(&d, STATUS, 0);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0);
    ck_assert_uint_eq(driver_read(&d, PENDING), 0);
    for (unsigned i = 0; i < 2; i++) {
        driver_write(&d, QUEUE_SEL, i);
        ck_assert_uint_eq(driver_read(&d, READY), 0);
        ck_assert(!n->v.queue[i].active);
    }
    ck_assert_uint_eq(n->stops, 1);
    ck_assert_ptr_null(n->v.mem);
    expect_alive();
}
END_TEST

START_TEST(reset_waits_for_requests_in_flight)
{
    struct vcpu cpu;

    start_busy(0, ALL_BUSY);
    vcpu_write(&cpu, STATUS, 0);
    for (unsigned i = 0; i < ALL_BUSY; i++) {
        ck_assert(!returned(&cpu));
        ck_assert_uint_ne(driver_read(&d, STATUS), 0); /* another vCPU looks */
        complete(1);
    }
    pthread_join(cpu.thread, NULL);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0);
    /* The queues' memory was the driver's again from the reset on. */
    ck_assert_uint_eq(used_index(0), 0);
    ck_assert_uint_eq(d.irq.rises, 0);
    expect_alive();
}
END_TEST

START_TEST(registers_written_while_a_reset_lasts_are_ignored)
{
    struct vcpu cpu;

    start_busy(VIRTIO_F_RING_RESET, 1);
    vcpu_write(&cpu, STATUS, 0);
    driver_write(&d, STATUS, 0x0f);
    driver_write(&d, QUEUE_SEL, 0);
    driver_write(&d, 0x38, 4);
    driver_write(&d, READY, 1);
    driver_write(&d, READY, 0);
    driver_write(&d, RESET, 1);
    driver_write(&d, 0x20, 0xffffffff);
    fake_write(d.dev, 0x100, 1, 0xee);
    driver_kick(&d, 0);
    ck_assert(!returned(&cpu));
    ck_assert_uint_eq(n->v.config[0], 1);
    complete(1);
    pthread_join(cpu.thread, NULL);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0);
    ck_assert_uint_eq(n->v.accepted, 0);
    expect_alive();
}
END_TEST

START_TEST(two_vcpus_that_reset_both_wait)
{
    struct vcpu cpu[2];

    start_busy(0, 2);
    vcpu_write(&cpu[0], STATUS, 0);
    vcpu_write(&cpu[1], STATUS, 0);
    complete(1);
    ck_assert(!returned(&cpu[0]) && !returned(&cpu[1]));
    complete(1);
    pthread_join(cpu[0].thread, NULL);
    pthread_join(cpu[1].thread, NULL);
    ck_assert_uint_eq(n->stops, 1);
    expect_alive();
}
END_TEST

START_TEST(reset_that_waits_ends_with_the_run)
{
    struct vcpu cpu;

    start_busy(0, 1);
    vcpu_write(&cpu, STATUS, 0);
    ck_assert(!returned(&cpu));
    loop_stop(d.loop);
    pthread_join(cpu.thread, NULL);
    ck_assert_uint_ne(driver_read(&d, STATUS), 0);
    complete(1);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0);
}
END_TEST

START_TEST(reset_that_waits_ends_after_the_loop_has_ended)
{
    struct vcpu cpu;
    pthread_t loop;

    start_busy(0, 1);
    vcpu_write(&cpu, STATUS, 0);
    ck_assert_int_eq(pthread_create(&loop, NULL, run_loop, NULL), 0);
    loop_stop(d.loop);
    pthread_join(loop, NULL); /* long before the vCPU looks again */
    pthread_join(cpu.thread, NULL);
    complete(1);
}
END_TEST

START_TEST(reset_of_the_machine_does_not_wait_but_a_driver_does)
{
    struct vcpu cpu;

    start_busy(0, 1);
    dev_reset(d.dev);
    driver_write(&d, STATUS, 0x01);
    ck_assert_uint_ne(driver_read(&d, STATUS), 0x01);
    vcpu_write(&cpu, STATUS, 0);
    ck_assert(!returned(&cpu));
    complete(1);
    pthread_join(cpu.thread, NULL);
    ck_assert_uint_eq(used_index(0), 0);
    expect_alive();
}
END_TEST

START_TEST(reset_after_a_broken_ring_waits_too)
{
    struct vcpu cpu;

    start_busy(0, 2);
    driver_publish(&d, 0, 0xffff);
    driver_kick(&d, 0);
    ck_assert(driver_broken(&d));
    complete(1); /* of before: not given back any more */
    ck_assert_uint_eq(used_index(0), 0);
    vcpu_write(&cpu, STATUS, 0);
    ck_assert(!returned(&cpu));
    complete(1);
    pthread_join(cpu.thread, NULL);
    expect_alive();
}
END_TEST

START_TEST(broken_device_with_requests_in_flight_is_saved)
{
    struct state_writer w = {0};

    start_busy(0, 1);
    driver_publish(&d, 0, 0xffff);
    driver_kick(&d, 0);
    complete(1);
    dev_save(d.dev, &w);
    ck_assert_int_eq(w.error, 0);
    state_writer_free(&w);
}
END_TEST

/* Queues. */

START_TEST(queue_reset_without_negotiation_is_ignored)
{
    n->mode = NULL_ECHO;
    driver_start(&d, 0, 8);
    driver_write(&d, QUEUE_SEL, 0);
    driver_write(&d, RESET, 1);
    ck_assert_uint_eq(driver_read(&d, RESET), 0);
    ck_assert_uint_eq(driver_read(&d, READY), 1);
    ck_assert_uint_eq(n->stops, 0);
    ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
}
END_TEST

START_TEST(queue_that_was_reset_moves_and_never_touches_its_old_place)
{
    struct driver_queue old;
    static uint8_t before[4096];
    uint8_t *place;
    size_t len;

    n->mode = NULL_ECHO;
    driver_start(&d, VIRTIO_F_RING_RESET, 8);
    driver_do(&d, 0, ping, 2);
    old = d.q[0];
    driver_write(&d, QUEUE_SEL, 0);
    driver_write(&d, RESET, 1);
    ck_assert_uint_eq(driver_read(&d, RESET), 0);
    ck_assert_uint_eq(driver_read(&d, READY), 0);
    ck_assert_uint_eq(n->stopped, 0);
    driver_write(&d, 0x50, 0); /* nobody is there */
    driver_run(&d);
    place = driver_ptr(&d, old.desc);
    len = old.used + 6 + 8 * 8 - old.desc;
    ck_assert_uint_le(len, sizeof(before));
    memcpy(before, place, len);
    driver_set_queue(&d, 0, 16);
    for (unsigned i = 0; i < 40; i++)
        ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
    ck_assert_mem_eq(before, place, len);
    ck_assert_uint_eq(driver_do(&d, 1, ping, 2), 16);
}
END_TEST

START_TEST(queue_reset_waits_for_its_own_requests_only)
{
    struct vcpu cpu;

    start_busy(VIRTIO_F_RING_RESET, 1);
    driver_add(&d, 1, ping, 2);
    driver_kick(&d, 1);
    driver_write(&d, QUEUE_SEL, 0);
    vcpu_write(&cpu, RESET, 1);
    ck_assert(!returned(&cpu));
    ck_assert_uint_eq(driver_read(&d, RESET), 1); /* as long as it lasts */
    driver_write(&d, READY, 1);
    driver_write(&d, 0x38, 4);
    ck_assert_uint_eq(n->v.queue[0].size, 8);
    complete(1); /* the oldest is queue 0's */
    pthread_join(cpu.thread, NULL);
    ck_assert_uint_eq(driver_read(&d, RESET), 0);
    ck_assert_uint_eq(driver_read(&d, READY), 0);
    ck_assert_uint_eq(used_index(0), 0);
    ck_assert_uint_eq(n->v.busy, 1);
    complete(1);
}
END_TEST

/* The second may neither return early nor undo what the driver does after the first. */
START_TEST(two_vcpus_that_reset_one_queue_both_wait)
{
    struct vcpu cpu[2];

    start_busy(VIRTIO_F_RING_RESET, 1);
    driver_write(&d, QUEUE_SEL, 0);
    vcpu_write(&cpu[0], RESET, 1);
    vcpu_write(&cpu[1], RESET, 1);
    ck_assert(!returned(&cpu[0]) && !returned(&cpu[1]));
    pthread_mutex_lock(&d.dev->lock);
    null_device_complete(n, 1);
    /* Before either of them wakes. */
    n->v.queue[0].enabled = true;
    pthread_mutex_unlock(&d.dev->lock);
    pthread_join(cpu[0].thread, NULL);
    pthread_join(cpu[1].thread, NULL);
    ck_assert_uint_eq(driver_read(&d, READY), 1);
    ck_assert_uint_eq(n->stops, 1);
}
END_TEST

START_TEST(device_reset_while_a_queue_reset_waits)
{
    struct vcpu cpu[2];

    start_busy(VIRTIO_F_RING_RESET, 2);
    driver_write(&d, QUEUE_SEL, 0);
    vcpu_write(&cpu[0], RESET, 1);
    vcpu_write(&cpu[1], STATUS, 0);
    complete(1);
    ck_assert(!returned(&cpu[0]) && !returned(&cpu[1]));
    complete(1);
    pthread_join(cpu[0].thread, NULL);
    pthread_join(cpu[1].thread, NULL);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0);
    expect_alive();
}
END_TEST

/* 4.2.2.1: a device does not touch a queue whose QueueReady is 0. */
START_TEST(queue_ready_0_stops_a_running_queue)
{
    struct vcpu cpu;

    start_busy(0, 1);
    driver_write(&d, QUEUE_SEL, 0);
    vcpu_write(&cpu, READY, 0);
    ck_assert(!returned(&cpu));
    complete(1);
    pthread_join(cpu.thread, NULL);
    ck_assert_uint_eq(driver_read(&d, READY), 0);
    driver_add(&d, 0, ping, 2);
    driver_kick(&d, 0);
    ck_assert_uint_eq(n->held_count, 0);
    ck_assert_uint_eq(used_index(0), 0);
    driver_write(&d, READY, 1); /* without RING_RESET it cannot come back */
    ck_assert_uint_eq(driver_read(&d, READY), 0);
    driver_write(&d, READY, 0);
    ck_assert_uint_eq(n->stops, 1);
    expect_alive();
}
END_TEST

START_TEST(queue_enabled_again_at_a_bad_place_breaks_the_device)
{
    n->mode = NULL_ECHO;
    driver_start(&d, VIRTIO_F_RING_RESET, 8);
    driver_write(&d, QUEUE_SEL, 1);
    driver_write(&d, RESET, 1);
    driver_write(&d, 0x38, 8);
    driver_write(&d, 0x80, 0xfffffff0);
    driver_write(&d, READY, 1);
    ck_assert(driver_broken(&d));
    driver_write(&d, RESET, 1); /* and no queue comes to life in it */
    driver_set_queue(&d, 1, 8);
    driver_add(&d, 1, ping, 2);
    driver_kick(&d, 1);
    ck_assert_uint_eq(used_index(1), 0);
    expect_alive();
}
END_TEST

/* A loop of resets on one vCPU, kicks on another, the loop thread in between. */

static bool enough; /* atomic */

static void *kick_for_long(void *opaque)
{
    (void)opaque;
    for (uint32_t i = 0; !__atomic_load_n(&enough, __ATOMIC_RELAXED); i++) {
        driver_write(&d, 0x50, i % 3);
        driver_write(&d, QUEUE_SEL, i % 2);
    }
    return NULL;
}

START_TEST(resets_and_kicks_on_two_vcpus_for_50_ms)
{
    uint64_t end = loop_now_ns() + 50 * UINT64_C(1000000);
    pthread_t kicker, loop;

    n->mode = NULL_ECHO;
    enough = false;
    ck_assert_int_eq(pthread_create(&loop, NULL, run_loop, NULL), 0);
    ck_assert_int_eq(pthread_create(&kicker, NULL, kick_for_long, NULL), 0);
    while (loop_now_ns() < end) {
        driver_write(&d, STATUS, 0);
        ck_assert_uint_eq(driver_read(&d, STATUS), 0);
        driver_free(&d, ping[1].gpa + 16);
        /* Not driver_start, which wants QUEUE_SEL for itself. */
        driver_negotiate(&d, 0);
        driver_write(&d, STATUS, 0x0f);
    }
    __atomic_store_n(&enough, true, __ATOMIC_RELAXED);
    pthread_join(kicker, NULL);
    loop_stop(d.loop);
    pthread_join(loop, NULL);
    ck_assert(!driver_broken(&d));
    driver_free(&d, ping[1].gpa + 16);
    expect_alive();
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("reset");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, reset_of_an_idle_device_is_done_at_once);
    tcase_add_test(tc, reset_waits_for_requests_in_flight);
    tcase_add_test(tc, registers_written_while_a_reset_lasts_are_ignored);
    tcase_add_test(tc, two_vcpus_that_reset_both_wait);
    tcase_add_test(tc, reset_that_waits_ends_with_the_run);
    tcase_add_test(tc, reset_that_waits_ends_after_the_loop_has_ended);
    tcase_add_test(tc, reset_of_the_machine_does_not_wait_but_a_driver_does);
    tcase_add_test(tc, reset_after_a_broken_ring_waits_too);
    tcase_add_test(tc, broken_device_with_requests_in_flight_is_saved);
    tcase_add_test(tc, queue_reset_without_negotiation_is_ignored);
    tcase_add_test(tc, queue_that_was_reset_moves_and_never_touches_its_old_place);
    tcase_add_test(tc, queue_reset_waits_for_its_own_requests_only);
    tcase_add_test(tc, two_vcpus_that_reset_one_queue_both_wait);
    tcase_add_test(tc, device_reset_while_a_queue_reset_waits);
    tcase_add_test(tc, queue_ready_0_stops_a_running_queue);
    tcase_add_test(tc, queue_enabled_again_at_a_bad_place_breaks_the_device);
    tcase_add_test(tc, resets_and_kicks_on_two_vcpus_for_50_ms);
    return fake_run(tc);
}
