/* Files read whole: see text_file.h. */
#include "hv/command/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Until `size` bytes are there or the file ends; it may shrink meanwhile. */
static int read_all(int fd, char *to, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(fd, to + *got, size - *got, (off_t)*got);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        if (n > 0)
            *got += (size_t)n;
    }
    return 0;
}

static int read_fd(int fd, char **text, size_t *len)
{
    struct stat st;
    int err;

    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > (off_t)TEXT_FILE_MAX)
        return -EFBIG;
    *text = malloc((size_t)st.st_size + 1);
    if (!*text)
        return -ENOMEM;
    err = read_all(fd, *text, (size_t)st.st_size, len);
    if (err) {
        free(*text);
        *text = NULL;
        return err;
    }
    (*text)[*len] = '\0';
    return 0;
}

int text_file_read(const char *dir, const char *name, char **text, size_t *len)
{
    size_t size = 0;
    char *path;
    int err, fd;

    *text = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    err = fd < 0 ? -errno : 0;
    free(path);
    if (fd < 0)
        return err;
    err = read_fd(fd, text, &size);
    close(fd);
    if (len)
        *len = size;
    return err;
}
