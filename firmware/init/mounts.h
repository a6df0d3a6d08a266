/* The guest's file systems. Each function says why and powers off when it cannot do its work. */
#ifndef FIRMWARE_INIT_MOUNTS_H
#define FIRMWARE_INIT_MOUNTS_H

#include "firmware/init/config.h"

/* /proc, /sys and /dev of the initramfs. */
void mounts_begin(void);

/* The root that `config` names, if any, becomes /, below a writable layer in memory. */
void mounts_root(const struct config *config);

/* /dev/pts, /dev/shm, /run and what else programs expect. */
void mounts_system(void);

/* The shares, in order. */
void mounts_shares(const struct config *config);

/* What was written to the shares is on the host when this returns. */
void mounts_end(const struct config *config);

#endif
