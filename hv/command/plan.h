/*
 * What `hv run -- CMD` needs beside the machine that the user described: how the guest gets at the
 * host's files, which modules its kernel must load for that, the initramfs that does it, and the
 * description of the command. Between the options and vm_create; main thread.
 */
#ifndef HV_COMMAND_PLAN_H
#define HV_COMMAND_PLAN_H

#include <stdbool.h>
#include <stddef.h>

struct vm_config;

/*
 * Adds to a configuration with a command, which config_validate has passed, what the command needs:
 * its root and the shares under tags of their own, the initramfs behind the user's, words of the
 * kernel command line, no console and 1 GiB of memory where the user said nothing of them. What
 * --print-config shows is to be written before.
 *
 * The initramfs is the descriptor *initrd, a memfd: to be closed by the caller after vm_create, and
 * -1 after an error. 0, or -errno after one message: a directory is not there, or the kernel's
 * modules prove that it lacks what is needed (the message names the CONFIG_ options).
 */
int command_plan(struct vm_config *config, int *initrd);

/*
 * Adds the port WIRE_PORT (firmware/init/wire.h) at `fd`, which stays the caller's, to the
 * configuration's virtio console, or makes one. 0 or -ENOMEM, after a message.
 */
int command_plan_add_port(struct vm_config *config, int fd);

/*
 * The description of the command for the guest: the records that wire.h lists, with the environment
 * of this process and the directory to start in. With `terminal`, one of that size. *out is the
 * caller's to free. 0, or -ENOMEM or -E2BIG after a message.
 */
int command_spec(const struct vm_config *config, bool terminal, unsigned rows, unsigned columns,
                 char **out, size_t *len);

#endif
