/* The guest's root directory: see root.h. */
#include "hv/command/root.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "hv/config.h"

const char *root_dir(const struct vm_config *config)
{
    return config->rootfs ? config->rootfs : "/";
}

bool root_is_own(const struct vm_config *config)
{
    struct stat own, other;

    return stat("/", &own) == 0 && stat(root_dir(config), &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int root_check(const struct vm_config *config)
{
    int fd = open(root_dir(config), O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = errno;

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    log_error("--rootfs %s: %s%s", root_dir(config), strerror(err),
              err == ENOTDIR  ? " (unpack an archive or mount an image first, and give that place)"
              : err == ENOENT ? " (check the path)"
                              : "");
    return -err;
}
