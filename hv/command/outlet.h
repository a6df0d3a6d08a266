/*
 * The way out of one stream of a command: a window's worth of bytes on their way to a descriptor of
 * the host, which never blocks the loop and whose flags are left alone (devices/core/hostfd.h).
 *
 * Thread: the loop's.
 */
#ifndef HV_COMMAND_OUTLET_H
#define HV_COMMAND_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct outlet;

/* Called from outlet_put and from the loop. Neither may destroy the outlet. */
struct outlet_user {
    void (*wrote)(void *opaque, size_t n); /* bytes that the descriptor took */
    /* Once: it takes no more. What waits is dropped, and what is put later. `error`: -errno, of
     * which outlet_reader_left tells whether it is the usual end of a pipe. */
    void (*broken)(void *opaque, int error);
    void *opaque;
};

/* `fd` stays the caller's. NULL with errno; a closed descriptor is one that is found broken. */
struct outlet *outlet_create(struct loop *loop, int fd, const struct outlet_user *user);
void outlet_destroy(struct outlet *outlet); /* accepts NULL; what waits is lost */

/* Takes all bytes, or none (false) when there is no room for all. */
bool outlet_put(struct outlet *outlet, const uint8_t *buf, size_t len);

size_t outlet_waiting(const struct outlet *outlet);

/* A reader that went away, not a failure of the host. */
bool outlet_reader_left(int error);

#endif
