/* What the real-time clocks share, and the hook of the PC's for tests; all else goes through dev.h.
 */
#ifndef HV_DEVICES_RTC_H
#define HV_DEVICES_RTC_H

#include <stdint.h>

struct dev;

/* Nanoseconds since 1970-01-01 00:00 UTC. */
typedef int64_t rtc_clock_fn(void *opaque);

/* The host's clock. */
int64_t rtc_host_clock(void *opaque);

/* What `fn` says. A host whose clock stands before 1970 has no time to give: the epoch. */
static inline int64_t rtc_clock_ns(rtc_clock_fn *fn, void *opaque)
{
    int64_t ns = fn(opaque);

    return ns < 0 ? 0 : ns;
}

/* Takes the time from `fn` instead of the host's clock. Before the device is on a bus. */
void rtc_set_clock(struct dev *dev, rtc_clock_fn *fn, void *opaque);

#endif
