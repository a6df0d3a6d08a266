/*
 * The create functions of the virtio device models, for the device table. `text` is the value of
 * the device's option (--disk, --net, ...). 0, or -errno after one logged line. Main thread, before
 * vCPUs run; files and sockets are opened here and nowhere later.
 */
#ifndef HV_VIRTIO_MODELS_H
#define HV_VIRTIO_MODELS_H

#include "devices/core/params.h"

struct loop;
struct virtio;

/* --net; its keys are net_params (devices/net/net.h) */
int virtio_net_create(const char *text, struct loop *loop, struct virtio **out);

extern const struct params virtio_rng_params; /* --rng */
int virtio_rng_create(const char *text, struct loop *loop, struct virtio **out);

extern const struct params virtio_balloon_params; /* --balloon; see balloon.h, too */
int virtio_balloon_create(const char *text, struct loop *loop, struct virtio **out);

extern const struct params virtio_console_params; /* --virtio-console; see console.h, too */
int virtio_console_create(const char *text, struct loop *loop, struct virtio **out);

/* How many ports of such an option read this process's stdin; 0 for an option that is wrong. */
unsigned virtio_console_stdin_readers(const char *text);

extern const struct params virtio_share_params; /* --share */
int virtio_share_create(const char *text, struct loop *loop, struct virtio **out);

extern const struct params virtio_blk_params; /* --disk */
int virtio_blk_create(const char *text, struct loop *loop, struct virtio **out);

#endif
