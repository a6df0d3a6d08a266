/* The entropy device under hostile drivers: see machine.h. Without a limit of its rate, so that
 * nothing waits for the clock. */
#include "devices/fuzz/machine.h"
#include "devices/virtio/models.h"

static int create(struct loop *loop, struct virtio **out)
{
    return virtio_rng_create("bps=0", loop, out);
}

const struct fuzz_target fuzz_rng = {.name = "rng", .create = create};
