/* Writing sizes and durations so that parse_size and parse_duration read them back. Pure. */
#ifndef HV_CONFIG_NUMBER_H
#define HV_CONFIG_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The largest binary unit that leaves no remainder: "1G", "1536M", "4097B"; 0 is "0". */
void format_size(uint64_t bytes, char *buf, size_t len);

/* Likewise: "2m", "90s", "1500ms"; 0 is "0". */
void format_duration(uint64_t ms, char *buf, size_t len);

#endif
