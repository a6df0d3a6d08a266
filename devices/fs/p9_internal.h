/* The 9P server's parts, for its own files. See p9.h for the rules. */
#ifndef HV_FS_P9_INTERNAL_H
#define HV_FS_P9_INTERNAL_H

#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "devices/fs/p9.h"
#include "devices/fs/p9_msg.h"
#include "devices/fs/p9_proto.h"

#define P9_BUCKETS     16384
#define P9_FIDS_MAX    200000
#define P9_DEVICES_MAX 64
#define P9_REQUEST_MAX                                                                             \
    (64u * 1024) /* bytes of a request's fields; Twrite's data stays where it is */
#define P9_ANSWER_MAX (64u * 1024) /* the same of an answer; Rread's data goes where it belongs */
#define P9_XATTR_MAX  (64u * 1024)
#define P9_XATTRS_MAX (4u * 1024 * 1024) /* bytes of all attributes that a guest has open */
/* Ranges that a guest may lock: they take memory of the host's kernel. */
#define P9_LOCKS_MAX   4096
#define P9_NAME_BUFFER (P9_NAME_MAX + 1)

/* A place in the tree that the guest has reached. Shared by fids; `parent` is what ".." leads to.
 */
struct p9_node {
    struct p9_node *parent; /* NULL: the root */
    unsigned users;         /* fids and children */
    int fd;                 /* O_PATH; owned */
};

/* An extended attribute that is being read or written. */
struct p9_xattr {
    char name[P9_NAME_BUFFER];
    uint8_t *data; /* owned */
    size_t size, done;
    int flags;
    bool writing;
};

struct p9_fid {
    struct p9_fid *next; /* in its bucket */
    uint32_t number;
    struct p9_node *node;
    int fd;                 /* opened by Tlopen; owned; -1: not open */
    unsigned locks;         /* so many ranges of fd are locked at most */
    struct p9_xattr *xattr; /* owned; NULL: this is a file */
};

struct p9 {
    struct p9_node *root;
    bool writable, greeted; /* greeted: a version was agreed upon */
    uint32_t msize;
    struct p9_fid *bucket[P9_BUCKETS];
    unsigned fids;
    dev_t device[P9_DEVICES_MAX]; /* file systems below the root; index: high bits of qids */
    unsigned devices;
    unsigned locks;     /* of all fids */
    size_t xattr_bytes; /* in memory for fids that read or write attributes */
    uint8_t xattr_room[P9_XATTR_MAX];
    uint8_t request[P9_REQUEST_MAX], answer[P9_ANSWER_MAX];
};

/* One request on its way. Handlers read `in`, write `out` and return 0 or -errno. */
struct p9_call {
    struct p9 *s;
    const struct virtq_chain *chain;
    struct p9_reader in;
    struct p9_writer out;
    uint32_t payload; /* bytes that a handler put behind `out` by itself (Rread) */
};

/*
 * p9_guard.c. -EACCES when `fd` lies on a file system that is the host kernel's own face (procfs,
 * sysfs, ...): there nothing is opened and nothing changed.
 */
int p9_check_place(int fd);

/* Descriptors that a guest makes hv hold are counted, so that it cannot take those that hv needs:
 * p9_keep returns `fd`, or closes it and returns -EMFILE. p9_close: 0 or -errno. */
void p9_limit_descriptors(void);
int p9_keep(int fd);
int p9_close(int fd);

/* p9_fid.c. A node that is returned or put into a fid has one more user. p9_node_new takes fd, also
 * when it fails: -EMFILE, -ENOMEM. */
int p9_node_new(struct p9_node *parent, int fd, struct p9_node **out);
struct p9_node *p9_node_get(struct p9_node *node);
void p9_node_put(struct p9_node *node); /* accepts NULL */
struct p9_fid *p9_fid_find(struct p9 *s, uint32_t number);
int p9_fid_add(struct p9 *s, uint32_t number, struct p9_node *node, struct p9_fid **out);
int p9_fid_remove(struct p9 *s, uint32_t number); /* 0, or what a late write says */
void p9_fids_clear(struct p9 *s);

/* The fid that a request names next; NULL when there is none. */
struct p9_fid *p9_get_fid(struct p9_call *c);

/* p9_server.c */
struct p9_qid p9_qid_of(struct p9 *s, mode_t mode, dev_t dev, ino_t ino, uint32_t version);
int p9_stat(struct p9 *s, int fd, struct stat *st, struct p9_qid *qid);

/* O_PATH descriptor of `name` in a directory, never through a symbolic link. -errno. */
int p9_step(int dir, const char *name);

/* "/proc/self/fd/N": the way to do to an O_PATH descriptor what needs a path. It leads to the very
 * file, so that nobody can put another one in its place meanwhile. */
#define P9_PROC_PATH 32
const char *p9_proc_path(int fd, char text[P9_PROC_PATH]);

/* A name for something new, or to be removed: not "." or "..". Also -EROFS where it applies. */
int p9_get_new_name(struct p9_call *c, char name[P9_NAME_BUFFER]);

/* Handlers, by file. */
int p9_do_walk(struct p9_call *c);
int p9_do_clunk(struct p9_call *c);
int p9_do_remove(struct p9_call *c);

int p9_do_lopen(struct p9_call *c);
int p9_do_lcreate(struct p9_call *c);
int p9_do_read(struct p9_call *c);
int p9_do_write(struct p9_call *c);
int p9_do_fsync(struct p9_call *c);
int p9_do_readdir(struct p9_call *c);

int p9_do_getattr(struct p9_call *c);
int p9_do_setattr(struct p9_call *c);
int p9_do_statfs(struct p9_call *c);

int p9_do_symlink(struct p9_call *c);
int p9_do_mknod(struct p9_call *c);
int p9_do_rename(struct p9_call *c);
int p9_do_readlink(struct p9_call *c);
int p9_do_link(struct p9_call *c);
int p9_do_mkdir(struct p9_call *c);
int p9_do_renameat(struct p9_call *c);
int p9_do_unlinkat(struct p9_call *c);

int p9_do_xattrwalk(struct p9_call *c);
int p9_do_xattrcreate(struct p9_call *c);
int p9_xattr_read(struct p9_call *c, struct p9_xattr *x, uint64_t offset, uint32_t count);
int p9_xattr_write(struct p9_call *c, struct p9_xattr *x, uint64_t offset, uint32_t count);
int p9_xattr_finish(struct p9 *s, struct p9_fid *fid); /* when it is clunked */

int p9_do_lock(struct p9_call *c);
int p9_do_getlock(struct p9_call *c);
void p9_unlock_all(struct p9 *s, struct p9_fid *fid);

#endif
