/*
 * The virtio devices of a machine: which there are, where they lie, how the guest is told. Called
 * by the bring-up of vm.c and by the architecture's boot code. Main thread.
 */
#ifndef HV_VIRTIO_SETUP_H
#define HV_VIRTIO_SETUP_H

#include <stdbool.h>

#include "devices/core/params.h"

struct device_place;
struct vm;
struct vm_config;

enum virtio_poll { POLL_AUTO, POLL_ON, POLL_OFF };

/* --virtio. */
struct virtio_options {
    bool packed, indirect, event_idx; /* offered to drivers */
    bool irqfd, ioeventfd;
    unsigned poll; /* POLL_* */
    bool cmdline;  /* tell the guest there, not in ACPI */
};
extern const struct params virtio_options;

/* What --virtio says, or the defaults; the text was checked before. */
struct virtio_options virtio_setup_options(const struct vm_config *config);

/* Whether the loop may look instead of sleeping (devices/core/loop.h, pollers). */
bool virtio_setup_may_poll(const struct vm_config *config);

/* A device option's value without the "on" that stands for no values at all. */
const char *virtio_setup_text(const char *text);

/* The place of memory-mapped device `index`; false when there is none, or not in ACPI. */
bool virtio_setup_in_acpi(const struct vm_config *config, unsigned index,
                          struct device_place *place);

/* What the kernel command line says of them, with a space before each; the caller frees it. NULL:
 * out of memory. */
char *virtio_setup_cmdline(const struct vm_config *config);

/*
 * Makes all of them, in vm->virtio: images, taps and sockets are opened here, before KVM is asked
 * for anything. Then attach puts them on their bus, after the interrupt controller exists and
 * before the buses are frozen. close ends those that were not attached. 0, or -errno after one
 * message.
 */
int virtio_setup_open(struct vm *vm);
int virtio_setup_attach(struct vm *vm);

/* Whether one of those that virtio_setup_open made gives guest memory to another process. */
bool virtio_setup_shares_memory(const struct vm *vm);

void virtio_setup_close(struct vm *vm);

#endif
