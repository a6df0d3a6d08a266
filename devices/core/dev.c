/*
 * What all devices share: their lock, the walk over byte registers, and the frame around saved
 * state. Called by hv while it builds and takes down the machine, and by devices.
 */
#include "devices/core/dev.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "devices/core/state.h"

void dev_init(struct dev *dev, const struct dev_ops *ops)
{
    int err = pthread_mutex_init(&dev->lock, NULL);

    assert(err == 0); /* a default mutex needs no resource */
    (void)err;
    dev->ops = ops;
}

void dev_fini(struct dev *dev)
{
    pthread_mutex_destroy(&dev->lock);
}

void dev_destroy(struct dev *dev)
{
    if (dev)
        dev->ops->destroy(dev);
}

void dev_reset(struct dev *dev)
{
    pthread_mutex_lock(&dev->lock);
    dev->ops->reset(dev);
    pthread_mutex_unlock(&dev->lock);
}

void dev_save(struct dev *dev, struct state_writer *w)
{
    /* Under the lock although the vCPUs are paused: the loop's callbacks are not. */
    pthread_mutex_lock(&dev->lock);
    state_begin(w, dev->ops->tag, dev->ops->version);
    dev->ops->save(dev, w);
    state_end(w);
    pthread_mutex_unlock(&dev->lock);
}

int dev_load(struct dev *dev, struct state_reader *r)
{
    uint16_t version;
    int err = state_enter(r, dev->ops->tag, &version);

    if (err)
        return err;
    /* An older version is the device's business, a newer one nobody's here. */
    if (version == 0 || version > dev->ops->version)
        return -EINVAL;
    pthread_mutex_lock(&dev->lock);
    err = dev->ops->load(dev, r, version);
    pthread_mutex_unlock(&dev->lock);
    return err ? err : state_leave(r);
}

void dev_free(struct dev *dev)
{
    dev_fini(dev);
    free(dev); /* the first member of what was allocated */
}

void dev_reset_nothing(struct dev *dev)
{
    (void)dev;
}

void dev_save_nothing(struct dev *dev, struct state_writer *w)
{
    (void)dev;
    (void)w;
}

int dev_load_nothing(struct dev *dev, struct state_reader *r, uint16_t version)
{
    (void)dev;
    (void)r;
    (void)version;
    return 0;
}

uint64_t dev_read_bytes(struct dev *dev, uint64_t offset, unsigned size, dev_read8_fn *fn)
{
    uint64_t value = 0;

    /* Lowest address first: the order in which a bus of bytes would see them. */
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)fn(dev, offset + i) << (8 * i);
    return value;
}

void dev_write_bytes(struct dev *dev, uint64_t offset, unsigned size, uint64_t value,
                     dev_write8_fn *fn)
{
    for (unsigned i = 0; i < size; i++)
        fn(dev, offset + i, (uint8_t)(value >> (8 * i)));
}
