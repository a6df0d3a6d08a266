/*
 * Sizes and other scaled numbers: text to number and back, for the command line and for the keys of
 * devices. Pure; any thread.
 */
#ifndef HV_CORE_NUMBER_H
#define HV_CORE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

struct number_unit {
    const char *name; /* compared without regard to case in the first letter; "": no unit */
    uint64_t factor;
};

/*
 * Decimal digits at the start of *text, which is moved behind them. -EINVAL: none there; -ERANGE:
 * they do not fit in 64 bits.
 */
int number_digits(const char **text, uint64_t *value);

/* All of `text` is digits and one of the units. -EINVAL, -ERANGE. */
int number_scaled(const char *text, const struct number_unit *units, size_t count, uint64_t *value);

/* Bytes: "64", "512M", "2GiB", "1GB"; a bare number counts units of `bare` bytes. */
int number_size(const char *text, uint64_t bare, uint64_t *bytes);

/* The largest binary unit that leaves no remainder: "1G", "1536M", "4097B"; 0 is "0". */
void number_format_size(uint64_t bytes, char *buf, size_t len);

#endif
