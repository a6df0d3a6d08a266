/*
 * --share: a directory of the host for the guest, by virtio-9p (9p.c, a file server of hv's own) or
 * by virtio-fs (fs.c, whose server is virtiofsd, for kernels that lack 9p). share.c parses the
 * option; the create functions here make one of the two. 0, or -errno after one logged line.
 */
#ifndef HV_VIRTIO_SHARE_H
#define HV_VIRTIO_SHARE_H

#include <stdbool.h>

#include "devices/virtio/virtio.h"

#define SHARE_9P_TAG_MAX (VIRTIO_MAX_CONFIG - 2)
#define SHARE_FS_TAG_MAX 36 /* 5.11.4 */

struct share_dir {
    const char *host, *tag; /* borrowed until the create function returns */
    bool writable;
};

int virtio_9p_create(const struct share_dir *dir, struct loop *loop, struct virtio **out);

/* Finds and starts virtiofsd. */
int virtio_fs_create(const struct share_dir *dir, struct loop *loop, struct virtio **out);

/* HOST:GUEST[:rw], cut in place; *dir borrows from it. The host's path may have colons in it, the
 * tag not. False, nothing logged: it is no such text. */
bool share_split(char *text, struct share_dir *dir);

/* Logs why the directory cannot be opened. */
void share_explain(const struct share_dir *dir, int err);

#endif
