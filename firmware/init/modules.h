/* Kernel modules of the initramfs. */
#ifndef FIRMWARE_INIT_MODULES_H
#define FIRMWARE_INIT_MODULES_H

#include <stddef.h>

/* Loads them in order; says why and powers off when one cannot be. */
void modules_load(const char *const *files, size_t count);

#endif
