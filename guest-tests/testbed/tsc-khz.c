/*
 * Prints how many kHz this machine's time stamp counter runs at. Called by `run`, for the box's
 * kernel.
 *
 * Under QEMU's emulation the box reads this very counter. Its kernel would find the frequency by
 * polling a timer, and on a busy machine it is interrupted too often to succeed: it then has no
 * clock and hangs. So it is told. Prints nothing where there is no such counter.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __x86_64__
#include <x86intrin.h>

#define PAUSE_NS 20000000
/* Two readings of the clock further apart than this were interrupted. */
#define NARROW_NS 2000
#define TRIES     1000

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Reads counter and clock at one moment, as nearly as it can be had. */
static void read_both(uint64_t *ticks, int64_t *ns)
{
    for (int i = 0; i < TRIES; i++) {
        int64_t before = now_ns();

        *ticks = __rdtsc();
        *ns = now_ns();
        if (*ns - before <= NARROW_NS)
            return;
    }
}

int main(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    uint64_t first;
    uint64_t last;
    int64_t start;
    int64_t end;

    read_both(&first, &start);
    nanosleep(&pause, NULL);
    read_both(&last, &end);
    printf("%.0f\n", (double)(last - first) * 1e6 / (double)(end - start));
    return 0;
}
#else
int main(void)
{
    return 0;
}
#endif
