/*
 * The PCI bus of a machine that has one (--bus pci). Called by virtio_setup.c while the machine is
 * built. Main thread.
 */
#ifndef HV_PCI_SETUP_H
#define HV_PCI_SETUP_H

struct virtio;
struct vm;

/* Makes the host bridge and puts it on the buses. 0, or -errno after one message. */
int pci_setup(struct vm *vm);

/* Makes `v` a function on it; takes `v`, on failure, too. `name`: of its row in the device table,
 * for messages. 0, or -errno after one message. */
int pci_setup_add(struct vm *vm, const char *name, struct virtio *v);

#endif
