/*
 * --share values as a command's run needs them: taken apart, and made anew with another mount tag.
 * Main thread, at start-up.
 */
#ifndef HV_COMMAND_SHARE_H
#define HV_COMMAND_SHARE_H

#include <stdbool.h>
#include <stddef.h>

struct share_value {
    char *host, *guest; /* owned */
    bool writable;
    bool has_via;     /* `rest` chooses who serves it */
    const char *rest; /* borrowed from the text: what follows the first item, with its comma */
};

/*
 * Takes "HOST:GUEST[:rw|:ro][,KEY=VALUE]..." apart. 0; -EINVAL with one line in `why`; -ENOMEM. In
 * any case share_free is allowed on *out.
 */
int share_parse(const char *text, struct share_value *out, char *why, size_t cap);
void share_free(struct share_value *share);

/*
 * The value of --share that offers `host` under the mount tag `tag`, with `rest` (may be "") behind
 * it. NULL: out of memory; the caller frees it.
 */
char *share_text(const char *host, const char *tag, bool writable, const char *rest);

#endif
