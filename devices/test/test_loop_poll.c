/* When the loop looks, for how long, and what it says to its pollers. */
#include "devices/core/loop_poll.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"

static struct poll_set set;
static struct loop_poller *poller;
static unsigned told[3];
static unsigned work, found_at_end; /* how often LOOK and END find something */
static bool stop;

static bool count(void *opaque, enum loop_poll what)
{
    unsigned *left = what == LOOP_POLL_LOOK ? &work : &found_at_end;

    (void)opaque;
    told[what]++;
    if (what == LOOP_POLL_BEGIN || *left == 0)
        return false;
    (*left)--;
    return true;
}

static void set_up(void)
{
    set = (struct poll_set){.allowed = true};
    memset(told, 0, sizeof(told));
    work = found_at_end = 0;
    stop = false;
    poller = poll_add(&set, count, NULL);
    ck_assert_ptr_nonnull(poller);
}

static void tear_down(void)
{
    poll_free(&set);
}

static void sleep_for(uint64_t ns, bool hit)
{
    set.hit = false;
    if (hit)
        loop_poller_hit(poller);
    poll_adapt(&set, ns);
}

START_TEST(short_sleeps_that_a_poller_could_have_saved_make_the_look_longer)
{
    ck_assert_uint_eq(set.ns, 0);
    sleep_for(1000, true);
    ck_assert_uint_eq(set.ns, POLL_FIRST_NS);
    for (unsigned i = 0; i < 10; i++)
        sleep_for(1000, true);
    ck_assert_uint_eq(set.ns, POLL_MAX_NS);
}
END_TEST

START_TEST(a_long_sleep_ends_looking_and_others_events_shorten_it)
{
    set.ns = POLL_MAX_NS;
    sleep_for(1000, false);
    ck_assert_uint_eq(set.ns, POLL_MAX_NS / 2);
    sleep_for(POLL_MAX_NS, true);
    ck_assert_uint_eq(set.ns, 0);
    ck_assert(!poll_spin(&set, &stop));
    ck_assert_uint_eq(told[LOOP_POLL_BEGIN] + told[LOOP_POLL_LOOK], 0);
}
END_TEST

START_TEST(polling_that_is_not_allowed_or_has_no_poller_never_begins)
{
    set.allowed = false;
    sleep_for(1000, true);
    ck_assert_uint_eq(set.ns, 0);
    set.allowed = true;
    loop_poller_remove(poller);
    poll_adapt(&set, 1000);
    ck_assert_uint_eq(set.ns, 0);
    loop_poller_remove(NULL);
}
END_TEST

START_TEST(work_keeps_the_look_going_without_end_being_said)
{
    set.ns = POLL_FIRST_NS;
    work = 3;
    ck_assert(poll_spin(&set, &stop));
    ck_assert_uint_eq(work, 0);
    ck_assert_uint_eq(told[LOOP_POLL_BEGIN], 1);
    ck_assert_uint_eq(told[LOOP_POLL_END], 0);
    /* The next look begins where this one stopped, and finds nothing. */
    ck_assert(!poll_spin(&set, &stop));
    ck_assert_uint_eq(told[LOOP_POLL_BEGIN], 1);
    ck_assert_uint_eq(told[LOOP_POLL_END], 1);
    ck_assert(!poll_end(&set));
    ck_assert_uint_eq(told[LOOP_POLL_END], 1);
}
END_TEST

START_TEST(what_end_finds_keeps_the_loop_awake)
{
    set.ns = POLL_FIRST_NS;
    found_at_end = 1;
    ck_assert(poll_spin(&set, &stop));
    ck_assert_uint_eq(told[LOOP_POLL_END], 1);
}
END_TEST

START_TEST(endless_work_gives_descriptors_their_turn)
{
    set.ns = POLL_MAX_NS;
    work = UINT32_MAX;
    ck_assert(poll_spin(&set, &stop)); /* or the test hangs */
    ck_assert_uint_gt(work, 0);
}
END_TEST

START_TEST(stop_ends_the_look)
{
    set.ns = POLL_MAX_NS;
    work = UINT32_MAX;
    stop = true;
    ck_assert(!poll_spin(&set, &stop));
    ck_assert_uint_eq(told[LOOP_POLL_LOOK], 0);
    ck_assert_uint_eq(told[LOOP_POLL_END], 1);
}
END_TEST

/* A whole loop: a pipe that is full again at once wakes it; its callback says what it is for. */
static struct loop *loop;
static struct loop_poller *of_loop;
static unsigned rounds, looks;

static bool look(void *opaque, enum loop_poll what)
{
    (void)opaque;
    looks += what == LOOP_POLL_LOOK;
    return false;
}

static void on_byte(void *opaque, uint32_t events)
{
    (void)opaque;
    (void)events;
    loop_poller_hit(of_loop);
    if (++rounds == 100)
        loop_stop(loop);
}

START_TEST(busy_loop_looks_if_allowed_and_only_then)
{
    int fds[2];

    for (unsigned allowed = 0; allowed < 2; allowed++) {
        loop = loop_create();
        rounds = looks = 0;
        ck_assert_int_eq(pipe(fds), 0);
        ck_assert_int_eq((int)write(fds[1], "x", 1), 1);
        ck_assert_ptr_nonnull(loop_watch_add(loop, fds[0], EPOLLIN, on_byte, NULL));
        of_loop = loop_poller_add(loop, look, NULL);
        loop_allow_polling(loop, allowed);
        ck_assert_int_eq(loop_run(loop), 0);
        ck_assert_uint_eq(rounds, 100);
        ck_assert(allowed ? looks > 0 : looks == 0);
        loop_destroy(loop);
        close(fds[0]);
        close(fds[1]);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("loop-poll");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, short_sleeps_that_a_poller_could_have_saved_make_the_look_longer);
    tcase_add_test(tc, a_long_sleep_ends_looking_and_others_events_shorten_it);
    tcase_add_test(tc, polling_that_is_not_allowed_or_has_no_poller_never_begins);
    tcase_add_test(tc, work_keeps_the_look_going_without_end_being_said);
    tcase_add_test(tc, what_end_finds_keeps_the_loop_awake);
    tcase_add_test(tc, endless_work_gives_descriptors_their_turn);
    tcase_add_test(tc, stop_ends_the_look);
    tcase_add_test(tc, busy_loop_looks_if_allowed_and_only_then);
    return fake_run(tc);
}
