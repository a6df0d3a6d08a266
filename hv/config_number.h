/* Writing durations so that parse_duration reads them back. Pure. */
#ifndef HV_CONFIG_NUMBER_H
#define HV_CONFIG_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The largest unit that leaves no remainder: "2m", "90s", "1500ms"; 0 is "0". Sizes:
 * number_format_size. */
void format_duration(uint64_t ms, char *buf, size_t len);

#endif
