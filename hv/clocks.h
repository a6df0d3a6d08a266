/*
 * The time limits of a run: for all of it (--timeout), up to the first byte on the console
 * (--first-byte-timeout), up to init (--boot-timeout), and without any output
 * (--silence-timeout). One timer serves them all. It fires when a limit may have passed and at no
 * other time, so output costs no timer and an idle guest no wake-up.
 */
#ifndef HV_CLOCKS_H
#define HV_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

/* When several pass at once, the first of these is named: it says most. */
enum run_limit { LIMIT_FIRST_BYTE, LIMIT_INIT, LIMIT_SILENCE, LIMIT_WHOLE, LIMIT_COUNT };

/* What limits are held against. Times are of loop_now_ns. */
struct clock_facts {
    uint64_t start_ns;     /* when the vCPUs started, from where limits count */
    uint64_t output_ns;    /* of the last output; 0: none yet */
    bool met[LIMIT_COUNT]; /* this limit can no longer pass */
};

/*
 * The limit that has passed at `now`, the one that passed first; or LIMIT_COUNT, and *wait_ns is
 * how long from now none can pass (UINT64_MAX: for ever). A limit of 0 ms is none. Pure.
 */
enum run_limit clocks_judge(const uint64_t limit_ms[LIMIT_COUNT], const struct clock_facts *facts,
                            uint64_t now, uint64_t *wait_ns);

/* "whole", "first-byte", "init", "silence": the result file's "deadline". */
const char *clocks_name(enum run_limit limit);

/*
 * Ends the run if a limit has passed, else arms vm->clocks for the next look. `vm` is a struct vm.
 * Called once when the vCPUs start, then by that timer. Main thread.
 */
void clocks_look(void *vm);

#endif
