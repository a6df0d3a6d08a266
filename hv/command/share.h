/*
 * --share values as a command's run needs them: taken apart, and made anew with another mount tag.
 * Main thread, at start-up.
 */
#ifndef HV_COMMAND_SHARE_H
#define HV_COMMAND_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "devices/virtio/share.h"

struct share_value {
    char *host, *guest; /* owned */
    bool writable;
    enum share_via via;
};

/* Takes a value of --share apart. 0; -EINVAL or -ENOMEM with one line in `why`. share_free is
 * allowed on *out in any case. */
int share_parse(const char *text, struct share_value *out, char *why, size_t cap);
void share_free(struct share_value *share);

/* The value of --share that offers `host` under the mount tag `tag`. NULL: out of memory; the
 * caller frees it. */
char *share_text(const char *host, const char *tag, bool writable, enum share_via via);

#endif
