/*
 * How the guest's first program speaks to people: one console line that starts with WIRE_SAYS and
 * says what failed and how to mend it.
 */
#ifndef FIRMWARE_INIT_SAY_H
#define FIRMWARE_INIT_SAY_H

/*
 * From now on lines go to the kernel's log, at a level that `loglevel=5` shows. Before that, and
 * where the kernel has no log, they go to stderr. Makes /dev/kmsg where it is not yet.
 */
void say_to_kernel_log(void);

/* One line; the line feed is added. What does not fit in 900 bytes is cut. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
