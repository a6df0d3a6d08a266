/* What all virtio devices have in common: the way to "driver ok" (virtio 1.2, 3.1.1). See virtio.h.
 */
#include "guest-tests/lib/virtio.h"

#include "guest-tests/lib/mmio.h"

/* One machine has its devices on one bus, so the order does not matter. */
bool virtio_find(uint32_t type, unsigned nth, struct virtio *dev)
{
    return virtio_mmio_find(type, nth, dev) || virtio_pci_find(type, nth, dev);
}

void virtio_reset(struct virtio *dev)
{
    dev->transport->set_status(dev, 0);
}

static void add_status(struct virtio *dev, uint8_t bits)
{
    dev->transport->set_status(dev, dev->transport->status(dev) | bits);
}

bool virtio_start(struct virtio *dev, uint64_t wanted)
{
    const struct virtio_transport *t = dev->transport;

    virtio_reset(dev);
    add_status(dev, VIRTIO_ACKNOWLEDGE);
    add_status(dev, VIRTIO_DRIVER);
    dev->features = t->features(dev) & (wanted | VIRTIO_F_VERSION_1);
    t->set_features(dev, dev->features);
    add_status(dev, VIRTIO_FEATURES_OK);
    /* A device that cannot live with the choice takes the bit back (3.1.1, step 6). */
    return t->status(dev) & VIRTIO_FEATURES_OK;
}

void virtio_driver_ok(struct virtio *dev)
{
    add_status(dev, VIRTIO_DRIVER_OK);
}

uint8_t virtio_config8(const struct virtio *dev, unsigned offset)
{
    return mmio_read8(dev->config + offset);
}

uint16_t virtio_config16(const struct virtio *dev, unsigned offset)
{
    return mmio_read16(dev->config + offset);
}

uint32_t virtio_config32(const struct virtio *dev, unsigned offset)
{
    return mmio_read32(dev->config + offset);
}

/* By halves: a device need not take wider accesses than 32 bits (4.2.2.2). */
uint64_t virtio_config64(const struct virtio *dev, unsigned offset)
{
    return virtio_config32(dev, offset) | (uint64_t)virtio_config32(dev, offset + 4) << 32;
}
