/* The virtio-fs device with any back end: see share.h for what --share makes. */
#ifndef HV_VIRTIO_FS_H
#define HV_VIRTIO_FS_H

#include "devices/virtio/virtiofsd.h"

struct loop;
struct share_dir;
struct virtio;

/* Who serves the device's queues. */
struct fs_backend {
    struct virtiofsd server; /* the process; VIRTIOFSD_NONE: there is none that could be ended */
    int link;                /* a socket on which the other end speaks vhost-user */
    unsigned start_ms;       /* until it has said what it can do */
    unsigned answer_ms;      /* for a start of the device, or a stop */
};

/* Takes process and socket, whatever it returns: 0, or -errno after one logged line. */
int virtio_fs_open(const struct share_dir *dir, const struct fs_backend *backend, struct loop *loop,
                   struct virtio **out);

#endif
