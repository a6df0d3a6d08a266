/*
 * The one log. Messages go to stderr as "hv: TEXT"; data never does. A start-up error is one line
 * that says what, where and how to mend it.
 *
 * Any thread. A line is written with one write(2), so lines of several threads do not mix. When
 * stderr is a pipe that nobody empties, lines are lost rather than waited for.
 */
#ifndef HV_CORE_LOG_H
#define HV_CORE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Messages above this level are dropped. Default LOG_INFO. Set before threads start. */
void log_set_level(enum log_level level);

/*
 * Sends each finished line (no newline, no "hv: " prefix) to `fn` instead of stderr; NULL restores
 * stderr. For tests, and for the terminal in raw mode, which needs "\r\n".
 */
typedef void log_sink_fn(void *opaque, enum log_level level, const char *line);
void log_set_sink(log_sink_fn *fn, void *opaque);

void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

/* At most LOG_BURST lines each LOG_INTERVAL_MS for one call site; what was dropped is counted. */
#define LOG_BURST       5
#define LOG_INTERVAL_MS 5000

struct log_limit {
    uint64_t window_start_ms; /* Both fields are relaxed atomics: a lost count does no harm. */
    uint32_t in_window;
};

/* True when this call site may log now. Guest mistakes are only ever logged through this. */
bool log_allowed(struct log_limit *limit);

#define log_guest(...)                                                                             \
    do {                                                                                           \
        static struct log_limit log_site_limit;                                                    \
        if (log_allowed(&log_site_limit))                                                          \
            log_warn("guest: " __VA_ARGS__);                                                       \
    } while (0)

#endif
