/*
 * Frames between link and agent; see frame.h. Linked into both, called from their only thread.
 */
#include "guest-tests/testbed/frame.h"

#include <errno.h>
#include <unistd.h>

int write_all(int fd, const void *buf, size_t len)
{
    const char *at = buf;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int read_all(int fd, void *buf, size_t len)
{
    char *at = buf;

    while (len > 0) {
        ssize_t n = read(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EPIPE;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int frame_send(int fd, enum frame_type type, const void *data, size_t len)
{
    struct frame_head head = {.type = type, .len = (uint32_t)len};
    int err;

    if (len > FRAME_MAX)
        return -E2BIG;
    err = write_all(fd, &head, sizeof(head));
    return err ? err : write_all(fd, data, len);
}

int frame_recv(int fd, struct frame_head *head, char *buf)
{
    int err = read_all(fd, head, sizeof(*head));

    if (err)
        return err;
    if (head->len > FRAME_MAX)
        return -EPROTO;
    err = read_all(fd, buf, head->len);
    buf[head->len] = '\0';
    return err;
}
