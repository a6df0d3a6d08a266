/*
 * What a kernel must have so that a command can run in it, compared with what is known of it. Main
 * thread, at start-up.
 */
#ifndef HV_COMMAND_NEED_H
#define HV_COMMAND_NEED_H

#include "hv/command/modules.h"
#include "hv/command/share.h"

struct vm_config;

/*
 * Chooses how the guest mounts the host's directories: by 9p, or by virtiofs where the kernel is
 * known to have only that; *via is not SHARE_VIA_AUTO. Puts on the list of `m` all modules that the
 * machine's devices and those mounts need. `dir` is where `m` comes from, for messages; may be
 * NULL. 0; -ENOEXEC after one line that names the options (CONFIG_...) with which the kernel was
 * not built; other errors of modules_add.
 */
int need_modules(struct modules *m, const struct vm_config *config, const char *dir,
                 enum share_via *via);

#endif
