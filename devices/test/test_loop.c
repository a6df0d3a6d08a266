/* The event loop: watches, timers, and what other threads may do to them. */
#include "devices/core/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "devices/test/fake.h"

#define MS UINT64_C(1000000)

static struct loop *loop;
static int fds[2];
static unsigned calls;
static uint32_t seen;
static struct loop_watch *watch, *other;
static struct loop_timer *timer;

static void set_up(void)
{
    loop = loop_create();
    ck_assert_ptr_nonnull(loop);
    ck_assert_int_eq(pipe(fds), 0);
    calls = seen = 0;
}

static void tear_down(void)
{
    loop_destroy(loop);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
}

static void count_fd(void *opaque, uint32_t events)
{
    (void)opaque;
    calls++;
    seen |= events;
}

static void count_timer(void *opaque)
{
    (void)opaque;
    calls++;
}

START_TEST(readable_fd_is_reported_until_read)
{
    watch = loop_watch_add(loop, fds[0], EPOLLIN, count_fd, NULL);
    ck_assert_int_eq(loop_step(loop), 0);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(loop_step(loop), 1);
    ck_assert_int_eq(loop_step(loop), 1);
    ck_assert_uint_eq(seen, EPOLLIN);
    loop_watch_remove(watch);
    ck_assert_int_eq(loop_step(loop), 0);
}
END_TEST

START_TEST(watch_of_nothing_is_silent_even_on_hangup)
{
    watch = loop_watch_add(loop, fds[0], 0, count_fd, NULL);
    close(fds[1]);
    fds[1] = -1;
    ck_assert_int_eq(loop_step(loop), 0);
    loop_watch_set(watch, EPOLLIN);
    ck_assert_int_eq(loop_step(loop), 1);
    ck_assert(seen & EPOLLHUP);
    loop_watch_set(watch, 0);
    ck_assert_int_eq(loop_step(loop), 0);
}
END_TEST

START_TEST(unpollable_file_is_told_apart)
{
    int fd = open("/dev/null", O_RDONLY);

    ck_assert_ptr_null(loop_watch_add(loop, fd, 0, count_fd, NULL));
    ck_assert_int_eq(errno, EPERM);
    close(fd);
    ck_assert_ptr_null(loop_watch_add(loop, -1, EPOLLIN, count_fd, NULL));
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

/* Whichever runs first takes both away: the other's event of the same round must not run. */
static void remove_both(void *opaque, uint32_t events)
{
    (void)opaque;
    (void)events;
    calls++;
    loop_watch_remove(watch);
    loop_watch_remove(other);
}

START_TEST(watch_removed_by_another_callback_does_not_run)
{
    int more[2];

    ck_assert_int_eq(pipe(more), 0);
    watch = loop_watch_add(loop, fds[0], EPOLLIN, remove_both, NULL);
    other = loop_watch_add(loop, more[0], EPOLLIN, remove_both, NULL);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(write(more[1], "x", 1), 1);
    close(more[1]); /* a hang-up is reported unasked, but not to the removed */
    close(fds[1]);
    fds[1] = -1;
    ck_assert_int_eq(loop_step(loop), 1);
    ck_assert_int_eq(loop_step(loop), 0);
    ck_assert_uint_eq(calls, 1);
    close(more[0]);
}
END_TEST

START_TEST(timer_fires_once_when_due)
{
    uint64_t start = loop_now_ns();

    timer = loop_timer_add(loop, count_timer, NULL);
    ck_assert_int_eq(loop_step(loop), 0);
    loop_timer_arm(timer, 20 * MS);
    ck_assert_int_eq(loop_step(loop), 0);
    while (loop_step(loop) == 0 && loop_now_ns() - start < 5000 * MS)
        usleep(500);
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_ge(loop_now_ns() - start, 20 * MS);
    usleep(1000);
    ck_assert_int_eq(loop_step(loop), 0);
}
END_TEST

static void rearm(void *opaque)
{
    (void)opaque;
    calls++;
    loop_timer_arm(timer, 0);
}

START_TEST(timer_that_rearms_itself_does_not_own_the_loop)
{
    timer = loop_timer_add(loop, rearm, NULL);
    loop_timer_arm(timer, 0);
    usleep(1000);
    ck_assert_int_eq(loop_step(loop), 1);
    ck_assert_int_le(loop_step(loop), 1);
    ck_assert_uint_le(calls, 2);
}
END_TEST

START_TEST(disarmed_moved_and_removed_timers_do_not_fire)
{
    struct loop_timer *gone = loop_timer_add(loop, count_timer, NULL);

    timer = loop_timer_add(loop, count_timer, NULL);
    loop_timer_arm(timer, 0);
    loop_timer_arm(gone, 0);
    loop_timer_disarm(timer);
    loop_timer_remove(gone);
    usleep(1000);
    ck_assert_int_eq(loop_step(loop), 0);
    loop_timer_arm(timer, 0);
    loop_timer_arm(timer, UINT64_MAX); /* moved to never */
    usleep(1000);
    loop_step(loop);
    ck_assert_uint_eq(calls, 0);
}
END_TEST

static void remove_self(void *opaque)
{
    (void)opaque;
    calls++;
    loop_timer_remove(timer);
}

START_TEST(timer_may_remove_itself)
{
    timer = loop_timer_add(loop, remove_self, NULL);
    loop_timer_arm(timer, 0);
    usleep(1000);
    ck_assert_int_eq(loop_step(loop), 1);
    ck_assert_int_eq(loop_step(loop), 0);
}
END_TEST

static void stop(void *opaque)
{
    calls++;
    loop_stop(opaque);
}

static void *arm_from_thread(void *opaque)
{
    for (unsigned i = 0; i < 1000; i++) {
        loop_timer_arm(timer, (i + 1) * 100 * MS);
        loop_watch_set(watch, i % 2 ? EPOLLIN : 0);
    }
    loop_timer_arm(timer, 1 * MS);
    return opaque;
}

START_TEST(other_thread_arms_and_the_sleeping_loop_ends)
{
    pthread_t thread;

    timer = loop_timer_add(loop, stop, loop);
    watch = loop_watch_add(loop, fds[0], EPOLLIN, count_fd, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, arm_from_thread, NULL), 0);
    ck_assert_int_eq(loop_run(loop), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

static void *stop_from_thread(void *opaque)
{
    usleep(2000);
    loop_stop(opaque);
    return NULL;
}

START_TEST(stop_before_and_during_run_ends_it)
{
    pthread_t thread;

    loop_stop(loop);
    ck_assert_int_eq(loop_run(loop), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_from_thread, loop), 0);
    ck_assert_int_eq(loop_run(loop), 0);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(destroy_takes_null_and_leaves_no_fd)
{
    int before = dup(0), after;

    close(before);
    loop_destroy(NULL);
    for (unsigned i = 0; i < 10; i++) {
        struct loop *l = loop_create();

        loop_watch_add(l, fds[0], EPOLLIN, count_fd, NULL);
        loop_timer_add(l, count_timer, NULL);
        loop_destroy(l);
    }
    after = dup(0);
    close(after);
    ck_assert_int_eq(before, after);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("loop");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, readable_fd_is_reported_until_read);
    tcase_add_test(tc, watch_of_nothing_is_silent_even_on_hangup);
    tcase_add_test(tc, unpollable_file_is_told_apart);
    tcase_add_test(tc, watch_removed_by_another_callback_does_not_run);
    tcase_add_test(tc, timer_fires_once_when_due);
    tcase_add_test(tc, timer_that_rearms_itself_does_not_own_the_loop);
    tcase_add_test(tc, disarmed_moved_and_removed_timers_do_not_fire);
    tcase_add_test(tc, timer_may_remove_itself);
    tcase_add_test(tc, other_thread_arms_and_the_sleeping_loop_ends);
    tcase_add_test(tc, stop_before_and_during_run_ends_it);
    tcase_add_test(tc, destroy_takes_null_and_leaves_no_fd);
    return fake_run(tc);
}
