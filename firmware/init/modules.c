/* Loads kernel modules. See modules.h. */
#include "firmware/init/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "firmware/init/format.h"
#include "firmware/init/power.h"

enum { MODULE_INIT_COMPRESSED_FILE = 4 }; /* finit_module(2); Linux 5.17 */

/* What builds a module's code into the kernel instead. */
static const struct {
    const char *module, *option;
} options[] = {
    {"virtio", "CONFIG_VIRTIO"},
    {"virtio_ring", "CONFIG_VIRTIO"},
    {"virtio_mmio", "CONFIG_VIRTIO_MMIO"},
    {"virtio_pci", "CONFIG_VIRTIO_PCI"},
    {"virtio_pci_modern_dev", "CONFIG_VIRTIO_PCI"},
    {"virtio_pci_legacy_dev", "CONFIG_VIRTIO_PCI"},
    {"virtio_console", "CONFIG_VIRTIO_CONSOLE"},
    {"virtio_net", "CONFIG_VIRTIO_NET"},
    {"9pnet", "CONFIG_NET_9P"},
    {"9pnet_virtio", "CONFIG_NET_9P_VIRTIO"},
    {"9p", "CONFIG_9P_FS"},
    {"netfs", "CONFIG_9P_FS"},
    {"fscache", "CONFIG_9P_FS"},
    {"fuse", "CONFIG_FUSE_FS"},
    {"virtiofs", "CONFIG_VIRTIO_FS"},
    {"overlay", "CONFIG_OVERLAY_FS"},
    {"af_packet", "CONFIG_PACKET"},
};

/* Compares FILE's name, up to its first full stop, with a module's name; - and _ are the same. */
static int is_module(const char *file, const char *module)
{
    while (*file && *file != '.' && (*file == *module || (*file == '-' && *module == '_'))) {
        file++;
        module++;
    }
    return (*file == '\0' || *file == '.') && *module == '\0';
}

static const char *option_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (is_module(slash ? slash + 1 : file, options[i].module))
            return options[i].option;
    }
    return "the option of this module";
}

static int is_compressed(const char *file)
{
    static const char *const endings[] = {".xz", ".gz", ".zst"};
    size_t len = strlen(file);

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        size_t n = strlen(endings[i]);

        if (len > n && strcmp(file + len - n, endings[i]) == 0)
            return 1;
    }
    return 0;
}

/* What stands behind `key` in the bytes up to `end`, or NULL. */
static const char *behind(const char *at, const char *end, const char *key)
{
    size_t len = strlen(key);

    for (; (size_t)(end - at) >= len; at++) {
        if (memcmp(at, key, len) == 0)
            return at + len;
    }
    return NULL;
}

/* The kernel version that an uncompressed module was built for, or "another kernel". */
static void version_of(int fd, char *version, size_t size)
{
    off_t length = lseek(fd, 0, SEEK_END);
    const char *bytes, *at, *end;
    size_t len = 0;

    (void)text_print(version, size, "another kernel");
    if (length <= 0)
        return;
    bytes = mmap(NULL, (size_t)length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return;
    end = bytes + length;
    at = behind(bytes, end, "vermagic=");
    if (at) {
        while (at + len < end && len < size - 1 && at[len] > ' ')
            len++;
        memcpy(version, at, len);
        version[len] = '\0';
    }
    (void)munmap((void *)bytes, (size_t)length);
}

static void explain(const char *file, int fd, int error)
{
    const char *option = option_of(file);
    struct utsname kernel;
    char version[64];

    switch (error) {
    case ENOSYS:
        give_up("the kernel cannot load modules (CONFIG_MODULES) and lacks %s", option);
    case ENOEXEC:
        version_of(fd, version, sizeof(version));
        (void)uname(&kernel);
        give_up("%s was built for %s, the kernel is %s: give hv the modules of this kernel "
                "(--modules), or build %s=y into it",
                file, version, kernel.release, option);
    case EOPNOTSUPP:
    case EINVAL:
        if (is_compressed(file))
            give_up("the kernel cannot load compressed modules (CONFIG_MODULE_DECOMPRESS): "
                    "uncompress %s, or build %s=y into the kernel",
                    file, option);
        break;
    case ENOENT:
        give_up("%s needs another module or kernel (the kernel's log has the unknown symbol): "
                "build %s=y into the kernel",
                file, option);
    default:
        break;
    }
    give_up("cannot load %s: %s: build %s=y into the kernel", file, strerror(error), option);
}

void modules_load(const char *const *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int flags = is_compressed(files[i]) ? MODULE_INIT_COMPRESSED_FILE : 0;
        int fd = open(files[i], O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            give_up("no module %s: %s (the initramfs is not what hv made)", files[i],
                    strerror(errno));
        if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
            explain(files[i], fd, errno);
        (void)close(fd);
    }
}
