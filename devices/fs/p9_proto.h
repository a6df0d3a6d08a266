/* Numbers of 9P2000.L (Linux: include/net/9p/9p.h). An answer's type is its request's plus one. */
#ifndef HV_FS_P9_PROTO_H
#define HV_FS_P9_PROTO_H

#define P9_HEADER    7 /* size[4] type[1] tag[2] */
#define P9_NO_FID    0xffffffffu
#define P9_NAME_MAX  255
#define P9_WALK_MAX  16
#define P9_QID_BYTES 13

enum p9_type {
    P9_RLERROR = 7,
    P9_STATFS = 8,
    P9_LOPEN = 12,
    P9_LCREATE = 14,
    P9_SYMLINK = 16,
    P9_MKNOD = 18,
    P9_RENAME = 20,
    P9_READLINK = 22,
    P9_GETATTR = 24,
    P9_SETATTR = 26,
    P9_XATTRWALK = 30,
    P9_XATTRCREATE = 32,
    P9_READDIR = 40,
    P9_FSYNC = 50,
    P9_LOCK = 52,
    P9_GETLOCK = 54,
    P9_LINK = 70,
    P9_MKDIR = 72,
    P9_RENAMEAT = 74,
    P9_UNLINKAT = 76,
    P9_VERSION = 100,
    P9_ATTACH = 104,
    P9_FLUSH = 108,
    P9_WALK = 110,
    P9_READ = 116,
    P9_WRITE = 118,
    P9_CLUNK = 120,
    P9_REMOVE = 122,
    P9_TYPES = 128
};

/* qid.type */
#define P9_QTDIR     0x80
#define P9_QTSYMLINK 0x02
#define P9_QTFILE    0x00

/* Tsetattr's `valid` */
#define P9_SET_MODE      0x01
#define P9_SET_UID       0x02
#define P9_SET_GID       0x04
#define P9_SET_SIZE      0x08
#define P9_SET_ATIME     0x10
#define P9_SET_MTIME     0x20
#define P9_SET_CTIME     0x40
#define P9_SET_ATIME_NOW 0x80 /* ATIME with ATIME_SET: the given time */
#define P9_SET_MTIME_NOW 0x100
#define P9_STATS_BASIC   0x7ff /* Rgetattr's `valid`: what stat(2) tells */

#define P9_AT_REMOVEDIR  0x200

#define P9_LOCK_SUCCESS  0
#define P9_LOCK_BLOCKED  1
#define P9_LOCK_ERROR    2
#define P9_LOCK_READ     0
#define P9_LOCK_WRITE    1
#define P9_LOCK_UNLOCK   2

#endif
