/* Bounded logs: see logfile.h. Called by job.c. */
#include "hv/suite/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int create(int dir_fd, const char *name)
{
    int fd;

    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    return fd < 0 ? -errno : fd;
}

int logfile_open(struct logfile *log, int dir_fd, const char *name, uint64_t limit)
{
    log->fd = create(dir_fd, name);
    log->ring_fd = -1;
    log->dir_fd = dir_fd;
    log->half = limit / 2;
    log->head = log->ring = 0;
    log->waiting = 0;
    log->last = '\n';
    log->err = log->fd < 0 ? log->fd : 0;
    return log->err;
}

static int write_all(int fd, const char *data, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pwrite(fd, data, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        data += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

/* Nothing of it is left when hv test is killed: it has no name. */
static int open_ring(struct logfile *log)
{
    static const char name[] = ".rest";

    log->ring_fd = create(log->dir_fd, name);
    if (log->ring_fd < 0)
        return log->ring_fd;
    return unlinkat(log->dir_fd, name, 0) < 0 ? -errno : 0;
}

static int put_ring(struct logfile *log, const char *data, size_t len)
{
    int err = log->ring_fd < 0 ? open_ring(log) : 0;

    while (!err && len) {
        uint64_t at = log->ring % log->half;
        size_t n = len < log->half - at ? len : (size_t)(log->half - at);

        err = write_all(log->ring_fd, data, n, at);
        log->ring += n;
        data += n;
        len -= n;
    }
    return err;
}

static int put_now(struct logfile *log, const char *data, size_t len)
{
    size_t n = len < log->half - log->head ? len : (size_t)(log->half - log->head);
    int err = 0;

    if (n) {
        err = write_all(log->fd, data, n, log->head);
        log->head += n;
        log->last = data[n - 1];
    }
    return err || n == len ? err : put_ring(log, data + n, len - n);
}

void logfile_flush(struct logfile *log)
{
    if (log->waiting && !log->err)
        log->err = put_now(log, log->buf, log->waiting);
    log->waiting = 0;
}

void logfile_put(struct logfile *log, const void *data, size_t len)
{
    if (log->waiting + len > sizeof(log->buf))
        logfile_flush(log);
    if (log->err)
        return;
    if (len > sizeof(log->buf)) {
        log->err = put_now(log, data, len);
        return;
    }
    memcpy(log->buf + log->waiting, data, len);
    log->waiting += len;
}

/* `n` bytes of the ring from its byte `from` on, to the end of the head. */
static int move(struct logfile *log, uint64_t from, uint64_t n)
{
    int err = 0;

    while (!err && n) {
        size_t len = n < sizeof(log->buf) ? (size_t)n : sizeof(log->buf);
        ssize_t got = pread(log->ring_fd, log->buf, len, (off_t)from);

        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        err = write_all(log->fd, log->buf, (size_t)got, log->head);
        log->head += (uint64_t)got;
        from += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return err;
}

static int join(struct logfile *log, uint64_t missing)
{
    uint64_t start = missing ? log->ring % log->half : 0;
    uint64_t kept = log->ring - missing;
    int err = 0;

    if (missing) {
        char line[120];
        int n = snprintf(line, sizeof(line),
                         "%s--- hv test: %" PRIu64 " bytes are missing here (--log-limit) ---\n",
                         log->last == '\n' ? "" : "\n", missing);

        err = write_all(log->fd, line, (size_t)n, log->head);
        log->head += (uint64_t)n;
    }
    if (!err)
        err = move(log, start, kept - start);
    return err ? err : move(log, 0, start);
}

uint64_t logfile_close(struct logfile *log)
{
    uint64_t missing;

    if (log->fd < 0)
        return 0;
    logfile_flush(log);
    missing = log->ring > log->half ? log->ring - log->half : 0;
    if (log->ring_fd >= 0 && !log->err)
        log->err = join(log, missing);
    if (log->ring_fd >= 0)
        close(log->ring_fd);
    close(log->fd);
    log->fd = log->ring_fd = -1;
    return missing;
}
