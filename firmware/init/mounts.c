/* Mounts. See mounts.h. */
#include "firmware/init/mounts.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/init/power.h"
#include "firmware/init/say.h"

#define LOWER "/hv/lower"
#define LAYER "/hv/layer"
#define NEW   "/hv/root"
#define P9    "trans=virtio,version=9p2000.L,msize=524288,"

/* What a kernel lacks that does not know a file system. */
static const struct {
    const char *type, *option;
} options[] = {
    {"proc", "CONFIG_PROC_FS"},
    {"sysfs", "CONFIG_SYSFS"},
    {"devtmpfs", "CONFIG_DEVTMPFS"},
    {"devpts", "CONFIG_UNIX98_PTYS"},
    {"tmpfs", "CONFIG_TMPFS"},
    {"overlay", "CONFIG_OVERLAY_FS"},
    {"9p", "CONFIG_9P_FS and CONFIG_NET_9P_VIRTIO"},
    {"virtiofs", "CONFIG_VIRTIO_FS"},
};

static const char *option_of(const char *type)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (strcmp(options[i].type, type) == 0)
            return options[i].option;
    }
    return "its option";
}

/* mkdir -p. What is there already is fine. */
static int make_path(const char *path)
{
    char part[4096];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        (void)mkdir(part, 0755);
        *p = '/';
    }
    return mkdir(part, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Mounts on a directory that it makes if need be. 0 or a negative errno. */
static int try_mount(const char *source, const char *path, const char *type, unsigned long flags,
                     const char *data)
{
    int err = make_path(path);

    if (err && err != -EROFS)
        return err;
    return mount(source, path, type, flags, data) < 0 && errno != EBUSY ? -errno : 0;
}

static void must_mount(const char *source, const char *path, const char *type, unsigned long flags,
                       const char *data)
{
    int err = try_mount(source, path, type, flags, data);

    if (err == -ENODEV)
        give_up("the kernel has no %s file system: it needs %s, built in or as modules (--modules)",
                type, option_of(type));
    if (err && data && strncmp(data, P9, strlen(P9)) == 0 && err != -ENOTDIR)
        give_up("cannot mount %s of the host on %s: %s: the kernel needs CONFIG_NET_9P_VIRTIO and "
                "CONFIG_VIRTIO_MMIO (with --bus pci: CONFIG_VIRTIO_PCI)",
                source, path, strerror(-err));
    if (err)
        give_up("cannot mount %s (%s) on %s: %s", source, type, path, strerror(-err));
}

void mounts_begin(void)
{
    must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
}

static void mount_share(const struct config_share *share, const char *path)
{
    unsigned long flags = share->writable ? 0 : MS_RDONLY;
    const char *data = NULL;

    /*
     * What the guest cannot write it caches without asking the host again: much faster, and what
     * the host changes meanwhile may be seen late. Where it writes, only what programs map is
     * cached, so that both see each other's writes at once.
     */
    if (strcmp(share->type, "9p") == 0)
        data = share->writable ? P9 "cache=mmap" : P9 "cache=loose";
    must_mount(share->tag, path, share->type, flags, data);
}

void mounts_root(const struct config *config)
{
    if (!config->root.tag)
        return;
    mount_share(&config->root, LOWER);
    must_mount("hv", LAYER, "tmpfs", 0, "mode=0755");
    (void)mkdir(LAYER "/upper", 0755);
    (void)mkdir(LAYER "/work", 0755);
    must_mount("hv", NEW, "overlay", 0,
               "lowerdir=" LOWER ",upperdir=" LAYER "/upper,workdir=" LAYER "/work");
    must_mount("proc", NEW "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("sysfs", NEW "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("/dev", NEW "/dev", "none", MS_MOVE, NULL);
    if (chdir(NEW) < 0 || mount(NEW, "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        give_up("cannot make the overlay the root: %s", strerror(errno));
}

void mounts_system(void)
{
    static const struct {
        const char *name, *target;
    } links[] = {
        {"/dev/fd", "/proc/self/fd"},
        {"/dev/stdin", "fd/0"},
        {"/dev/stdout", "fd/1"},
        {"/dev/stderr", "fd/2"},
    };

    /* Without these the command may still do its work. */
    (void)try_mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                    "ptmxmode=0666,mode=0620,gid=5");
    (void)try_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    (void)try_mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        (void)symlink(links[i].target, links[i].name);
    if (mkdir("/tmp", 0700) == 0)
        (void)chmod("/tmp", 01777);
}

void mounts_shares(const struct config *config)
{
    for (size_t i = 0; i < config->share_count; i++)
        mount_share(&config->shares[i], config->shares[i].path);
}

void mounts_end(const struct config *config)
{
    for (size_t i = config->share_count; i-- > 0;) {
        if (config->shares[i].writable && umount2(config->shares[i].path, 0) < 0)
            (void)umount2(config->shares[i].path, MNT_DETACH);
    }
    sync();
}
