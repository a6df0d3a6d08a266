/*
 * Where the hv that runs a guest listens, by the guest's name: $XDG_RUNTIME_DIR/hv/NAME/agent, for
 * root without it /run/hv/NAME/agent, else /tmp/hv-UID/NAME/agent. The directories are 0700 and our
 * own, or are not used: whoever reaches the socket may run commands in the guest.
 *
 * Thread: main.
 */
#ifndef HV_COMMAND_ADDRESS_H
#define HV_COMMAND_ADDRESS_H

#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

struct address {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* ""; no socket */
};

/*
 * A socket that listens (non-blocking, close-on-exec), made with its directories. One that a dead
 * hv left behind is replaced. -EADDRINUSE: a guest of that name is running. -errno, with what was
 * wrong in `why`, for the caller's message.
 */
int address_listen(struct address *address, const char *name, char *why, size_t size);

/* Removes the socket and its directory; accepts a zeroed one. The listener is closed by its owner.
 */
void address_remove(struct address *address);

/* A socket connected to the hv that runs the guest `name`, or -errno with `why`. */
int address_connect(const char *name, char *why, size_t size);

/* Prints the names of the guests that run, with ", " between them; returns how many. */
unsigned address_list(FILE *out);

#endif
