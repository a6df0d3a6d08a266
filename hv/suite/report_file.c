/* Files that are written beside their place and renamed. */
#include "hv/suite/report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"

static int failed(struct report_file *file, int err, const char *what)
{
    log_error("%s: cannot %s: %s", file->path, what, strerror(err));
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    file->temporary = NULL;
    return -err;
}

/* As open(2) would make it: mkostemp's files are their owner's alone. */
static int allow_others(int fd)
{
    mode_t mask = umask(0);

    umask(mask);
    return fchmod(fd, 0666 & ~mask);
}

int report_file_open(struct report_file *file, const char *path)
{
    struct stat st;
    int fd, err;

    *file = (struct report_file){.path = path};
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    } else {
        if (asprintf(&file->temporary, "%s.XXXXXX", path) < 0) {
            file->temporary = NULL;
            return failed(file, ENOMEM, "write");
        }
        fd = mkostemp(file->temporary, O_CLOEXEC);
        if (fd >= 0)
            allow_others(fd);
    }
    file->out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file->out)
        return 0;
    err = errno;
    if (fd >= 0)
        close(fd);
    return failed(file, err, "create it");
}

int report_file_close(struct report_file *file)
{
    bool bad = ferror(file->out) != 0;

    errno = 0;
    if (fclose(file->out) != 0 || bad)
        return failed(file, errno ? errno : EIO, "write it");
    if (file->temporary && rename(file->temporary, file->path) != 0)
        return failed(file, errno, "put it in its place");
    free(file->temporary);
    file->temporary = NULL;
    return 0;
}
