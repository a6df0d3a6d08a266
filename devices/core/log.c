/*
 * The log: formatting, levels, the rate limit for what guests provoke. Called from every thread.
 */
#include "devices/core/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/loop.h"

#define LINE_MAX_BYTES 1024
#define PREFIX         "hv: "
#define PATIENCE_MS    200 /* with a full stderr; LOG_BURST bounds how often a guest can ask it */

static enum log_level max_level = LOG_INFO;

/* Protects the pair below, so that no thread sees one half of a change. Taken last. */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink_fn *sink_fn;
static void *sink_opaque;

void log_set_level(enum log_level level)
{
    max_level = level;
}

void log_set_sink(log_sink_fn *fn, void *opaque)
{
    pthread_mutex_lock(&sink_lock);
    sink_fn = fn;
    sink_opaque = opaque;
    pthread_mutex_unlock(&sink_lock);
}

/* Names of files and text of guests end up in messages: neither may steer the user's terminal. */
static void defuse(char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == 0x7f)
            *s = '?';
    }
}

static void emit(enum log_level level, char *line, size_t len)
{
    struct pollfd stderr_ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    log_sink_fn *fn;
    void *opaque;

    pthread_mutex_lock(&sink_lock);
    fn = sink_fn;
    opaque = sink_opaque;
    pthread_mutex_unlock(&sink_lock);

    /* Called unlocked: a sink may log, and may change the sink. */
    if (fn) {
        fn(opaque, level, line + strlen(PREFIX));
        return;
    }
    line[len] = '\n';
    /* A reader that takes nothing costs a moment and the line, not the vCPU that had to tell. */
    if (poll(&stderr_ready, 1, PATIENCE_MS) == 0)
        return;
    /* When stderr is gone there is nobody left to tell. */
    if (write(STDERR_FILENO, line, len + 1) < 0)
        return;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES + 1] = PREFIX; /* one more for the newline */
    const size_t prefix = strlen(PREFIX);
    int saved_errno = errno;
    va_list ap;

    if (level > max_level)
        return;
    va_start(ap, fmt);
    if (vsnprintf(line + prefix, LINE_MAX_BYTES - prefix, fmt, ap) < 0)
        line[prefix] = '\0';
    va_end(ap);
    defuse(line + prefix);
    emit(level, line, strlen(line));
    errno = saved_errno;
}

bool log_allowed(struct log_limit *limit)
{
    uint64_t now = loop_now_ns() / 1000000;
    uint64_t start = __atomic_load_n(&limit->window_start_ms, __ATOMIC_RELAXED);

    if (start == 0 || now - start >= LOG_INTERVAL_MS) {
        uint32_t seen = __atomic_exchange_n(&limit->in_window, 0, __ATOMIC_RELAXED);

        __atomic_store_n(&limit->window_start_ms, now ? now : 1, __ATOMIC_RELAXED);
        if (seen > LOG_BURST)
            log_warn("guest: %u messages like the next one were left out", seen - LOG_BURST);
    }
    return __atomic_fetch_add(&limit->in_window, 1, __ATOMIC_RELAXED) < LOG_BURST;
}
