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

/* Who serves it. AUTO: what the guest's kernel has, where a command is run (hv/command/plan.h);
 * else 9p. */
enum share_via { SHARE_VIA_AUTO, SHARE_VIA_9P, SHARE_VIA_VIRTIOFS };

/* The values of one --share, by virtio_share_params (models.h). */
struct share_config {
    char *dir;    /* HOST:GUEST[:rw]; owned */
    unsigned via; /* enum share_via */
};

extern const char *const share_vias[]; /* by enum share_via; NULL-ended */

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
