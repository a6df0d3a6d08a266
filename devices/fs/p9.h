/*
 * A file server that speaks 9P2000.L, the protocol of Linux' v9fs: a directory of the host for the
 * guest (protocol: diod's protocol.md; Linux: include/net/9p/9p.h). It knows nothing of virtio but
 * the shape of a request: a chain of memory to read and memory to write.
 *
 * The guest is hostile. It names files only by a directory it has reached before and one name in
 * it, and each step is made by openat with O_NOFOLLOW on a descriptor that the server holds: no
 * path is ever put together, no symbolic link followed, so nothing outside of the directory can be
 * named. Only regular files and directories are opened, whatever else lies there.
 *
 * Thread: one at a time, any. Calls block as long as the host's file system does.
 */
#ifndef HV_FS_P9_H
#define HV_FS_P9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct p9;
struct virtq_chain;

#define P9_MSIZE_MAX 524288u /* bytes of the largest message, data and header */

/*
 * Serves the directory `path`; read-only unless `writable`. 0, or -errno after no message: the
 * caller knows which option it was. The server raises the process' limit of open files.
 */
int p9_create(const char *path, bool writable, struct p9 **out);
void p9_destroy(struct p9 *s); /* accepts NULL; closes everything */

/*
 * Carries out the request in the chain's readable part and writes the answer to its writable part.
 * Returns the bytes written; 0: no 9P message, or no room for an answer. Errors of files are
 * answers, too.
 */
uint32_t p9_serve(struct p9 *s, const struct virtq_chain *chain);

/* Forgets all that a guest has opened: it was reset. */
void p9_reset(struct p9 *s);

/* Files and directories that are held open for the guest. */
unsigned p9_fid_count(const struct p9 *s);

#endif
