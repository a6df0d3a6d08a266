/* The PL031's hook for tests; everything else goes through dev.h. */
#ifndef HV_DEVICES_PL031_H
#define HV_DEVICES_PL031_H

#include "devices/rtc.h"

/* Takes the time from `fn` instead of the host's clock. Before the device is on a bus. */
void pl031_set_clock(struct dev *dev, rtc_clock_fn *fn, void *opaque);

#endif
