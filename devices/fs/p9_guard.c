/*
 * What a guest must not have whatever it asks for: the host kernel's own files, and the descriptors
 * that the rest of hv needs.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/fs/p9_internal.h"

/* Numbers that <linux/magic.h> lacks, or lacks in older versions. */
#define CONFIGFS       0x62656570u
#define FUSE_CONTROL   0x65735543u
#define MESSAGE_QUEUES 0x19800202u
#define NFS_SERVER     0x6e667364u
#define PIDFS          0x50494446u
#define RPC_PIPES      0x67596969u

#define MARGIN_MAX     4096       /* descriptors that hv never needs more than */
#define LIMIT_MAX      (1u << 20) /* what Linux allows at most unless told otherwise */

/*
 * Their files are ways into the kernel and into processes, hv's own among them (/proc/self/mem,
 * /proc/PID/environ), or do something when they are read or written. Their names may be seen.
 */
static const uint32_t pseudo[] = {
    PROC_SUPER_MAGIC,     SYSFS_MAGIC,         DEBUGFS_MAGIC,  TRACEFS_MAGIC,
    SECURITYFS_MAGIC,     SELINUX_MAGIC,       SMACK_MAGIC,    CGROUP_SUPER_MAGIC,
    CGROUP2_SUPER_MAGIC,  DEVPTS_SUPER_MAGIC,  EFIVARFS_MAGIC, PSTOREFS_MAGIC,
    BPF_FS_MAGIC,         BINFMTFS_MAGIC,      NSFS_MAGIC,     RDTGROUP_SUPER_MAGIC,
    BINDERFS_SUPER_MAGIC, XENFS_SUPER_MAGIC,   CONFIGFS,       FUSE_CONTROL,
    MESSAGE_QUEUES,       NFS_SERVER,          PIDFS,          RPC_PIPES,
    AAFS_MAGIC,           ANON_INODE_FS_MAGIC, PIPEFS_MAGIC,   SOCKFS_MAGIC,
    USBDEVICE_SUPER_MAGIC};

int p9_check_place(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(pseudo); i++)
        if ((uint32_t)fs.f_type == pseudo[i])
            return -EACCES;
    return 0;
}

/* Of all servers of the process, each on a thread of its own: the limit is the process', too. */
static atomic_uint held, limit;

/* A quarter stays for disks, the network and all else, which may open files at any time. */
void p9_limit_descriptors(void)
{
    struct rlimit r;
    rlim_t all;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        r.rlim_cur = r.rlim_max = 1024;
    if (r.rlim_cur < r.rlim_max) {
        rlim_t soft = r.rlim_cur;

        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) < 0)
            r.rlim_cur = soft;
    }
    all = r.rlim_cur < LIMIT_MAX ? r.rlim_cur : LIMIT_MAX;
    atomic_store(&limit, (unsigned)(all - (all / 4 < MARGIN_MAX ? all / 4 : MARGIN_MAX)));
}

int p9_keep(int fd)
{
    if (atomic_fetch_add(&held, 1) < atomic_load(&limit))
        return fd;
    p9_close(fd);
    return -EMFILE;
}

int p9_close(int fd)
{
    atomic_fetch_sub(&held, 1);
    return close(fd) < 0 ? -errno : 0;
}
