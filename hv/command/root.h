/* What becomes the guest's root directory. Main thread, at start-up. */
#ifndef HV_COMMAND_ROOT_H
#define HV_COMMAND_ROOT_H

#include <stdbool.h>

struct vm_config;

/* --rootfs, or "/". */
const char *root_dir(const struct vm_config *config);

/* Whether that is this machine's own root, by whatever path. */
bool root_is_own(const struct vm_config *config);

/* That it is a directory which may be read. 0, or -errno after a message. */
int root_check(const struct vm_config *config);

#endif
