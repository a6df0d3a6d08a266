/* The real-time clock's hook for tests; everything else goes through dev.h. */
#ifndef HV_DEVICES_RTC_H
#define HV_DEVICES_RTC_H

#include <stdint.h>

struct dev;

/* Nanoseconds since 1970-01-01 00:00 UTC. */
typedef int64_t rtc_clock_fn(void *opaque);

/* Takes the time from `fn` instead of the host's clock. Before the device is on a bus. */
void rtc_set_clock(struct dev *dev, rtc_clock_fn *fn, void *opaque);

#endif
