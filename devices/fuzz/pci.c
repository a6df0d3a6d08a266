/* The PCI transport under hostile drivers: see machine.h. Behind it is a balloon, which has several
 * queues and a configuration that changes. */
#include "devices/virtio/pci.h"

#include "devices/fuzz/machine.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/models.h"

static int create(struct loop *loop, struct virtio **out)
{
    return virtio_balloon_create("", loop, out);
}

static void event(struct virtio *v, uint8_t what, struct fuzz_input *in)
{
    (void)in;
    virtio_balloon_set(v, what * 4096u);
}

const struct fuzz_target fuzz_pci = {.name = "pci", .pci = true, .create = create, .event = event};
