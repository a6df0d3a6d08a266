/*
 * The initramfs of a command's run: the guest's first program (firmware/init/), what it is told,
 * and the kernel's modules. Main thread, at start-up.
 */
#ifndef HV_COMMAND_INITRAMFS_H
#define HV_COMMAND_INITRAMFS_H

#include <stddef.h>

/* In the guest: a module's file is this and its name. */
#define INITRAMFS_MODULES "/hv/modules/"

struct initramfs {
    const void *init; /* /init, an executable */
    size_t init_size;
    const void *config; /* WIRE_CONFIG */
    size_t config_size;
    const char *modules_dir;   /* NULL when there are no modules */
    const char *const *module; /* paths below it */
    unsigned module_count;
};

/* The descriptor of a memfd with the archive, the caller's; -errno after a message. */
int initramfs_make(const struct initramfs *what);

/* The name under which a module's file lies in INITRAMFS_MODULES; points into `path`. */
const char *initramfs_module_name(const char *path);

#endif
