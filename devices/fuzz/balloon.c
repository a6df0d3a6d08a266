/* The balloon under hostile drivers: see machine.h. It discards for good. */
#include "devices/virtio/balloon.h"

#include "devices/fuzz/machine.h"
#include "devices/virtio/models.h"

static int create(struct loop *loop, struct virtio **out)
{
    return virtio_balloon_create("size=64K", loop, out);
}

static void event(struct virtio *v, uint8_t what, struct fuzz_input *in)
{
    struct virtio_balloon_stats stats;

    if (what & 1)
        virtio_balloon_stats(v, &stats);
    else
        virtio_balloon_set(v, fuzz_u32(in));
}

const struct fuzz_target fuzz_balloon = {.name = "balloon", .create = create, .event = event};
