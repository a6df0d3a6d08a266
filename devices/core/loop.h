/*
 * The event loop: epoll with fd callbacks and one-shot timers. One thread runs it; callbacks run
 * on that thread.
 *
 * Thread: loop_watch_set, loop_timer_arm, loop_timer_disarm and loop_stop may be called from any
 * thread, everything else only while the loop is not running, or from its own callbacks.
 */
#ifndef HV_CORE_LOOP_H
#define HV_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct loop;
struct loop_watch;
struct loop_timer;

typedef void loop_fd_fn(void *opaque, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, ... */
typedef void loop_timer_fn(void *opaque);

/* NULL with errno set when the host refuses. destroy accepts NULL, frees all watches and timers. */
struct loop *loop_create(void);
void loop_destroy(struct loop *loop);

/*
 * Watches `fd` (not owned, not closed). NULL with errno: EPERM for a file that cannot be polled
 * (a regular file, /dev/null), which the caller must then treat as always ready.
 */
struct loop_watch *loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn,
                                  void *opaque);

/* Changes what is watched; 0 stops watching (hang-ups too) until set again. */
void loop_watch_set(struct loop_watch *watch, uint32_t events);
void loop_watch_remove(struct loop_watch *watch);

struct loop_timer *loop_timer_add(struct loop *loop, loop_timer_fn *fn, void *opaque);

/* Fires once, `ns` nanoseconds from now (0: as soon as possible); arming again moves it. */
void loop_timer_arm(struct loop_timer *timer, uint64_t ns);
void loop_timer_disarm(struct loop_timer *timer);
void loop_timer_remove(struct loop_timer *timer);

/*
 * A poller finds work that can be seen without a descriptor: in memory that is shared with a guest
 * or with the kernel. Called on the loop's thread, and only while that seems to pay:
 * BEGIN: others need not signal from here on. LOOK: do what waits; true if there was something.
 * END: have them signal again and, after that, look once more; true if there was something.
 */
enum loop_poll { LOOP_POLL_BEGIN, LOOP_POLL_LOOK, LOOP_POLL_END };
typedef bool loop_poll_fn(void *opaque, enum loop_poll what);

struct loop_poller *loop_poller_add(struct loop *loop, loop_poll_fn *fn, void *opaque);
void loop_poller_remove(struct loop_poller *poller); /* accepts NULL */

/* A callback did what this poller would have found, had it looked. */
void loop_poller_hit(struct loop_poller *poller);

/* Whether pollers are used; off at first. Before loop_run. */
void loop_allow_polling(struct loop *loop, bool on);

/* Runs callbacks until loop_stop. -errno when epoll fails. */
int loop_run(struct loop *loop);

/* Ends loop_run after the running callback; any thread; async-signal-safe. */
void loop_stop(struct loop *loop);

/* Whether loop_stop was called and loop_run not since: callbacks do not run. Any thread. */
bool loop_stopping(const struct loop *loop);

/* Handles what is ready now without waiting; for tests. Returns the number of callbacks run. */
int loop_step(struct loop *loop);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now_ns(void);

#endif
