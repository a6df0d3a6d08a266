/* The kernel's command line, the same on every architecture. Main thread, at start-up. */
#ifndef HV_CMDLINE_H
#define HV_CMDLINE_H

#include <stddef.h>

struct vm_config;

/*
 * --cmdline or the mode's own line, virtio devices if they are told there, then --append; at most
 * `most` bytes without the NUL. The caller frees *out. 0, or -errno after one logged line.
 */
int cmdline_make(const struct vm_config *config, size_t most, char **out);

#endif
