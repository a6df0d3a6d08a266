/* The console's reader. Constant memory whatever the guest prints. */
#include "hv/console_watch.h"

#include <stdio.h>
#include <string.h>

#include "devices/core/loop.h"
#include "firmware/init/wire.h"
#include "hv/kernel_reports.h"

void console_watch_init(struct console_watch *watch, void (*on_panic)(void *), void *opaque)
{
    memset(watch, 0, sizeof(*watch));
    watch->on_panic = on_panic;
    watch->opaque = opaque;
}

/* Skips "<6>", "[    1.234567] " and "[   T1] " in front of a message. */
static const char *message_of(const char *line)
{
    if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>')
        line += 3;
    for (int i = 0; i < 2 && line[0] == '['; i++) {
        const char *end = strchr(line, ']');

        if (!end)
            break;
        line = end + 1 + strspn(end + 1, " ");
    }
    return line;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

void console_watch_set_panicked(struct console_watch *watch)
{
    atomic_store_explicit(&watch->last_output_ns, loop_now_ns(), memory_order_relaxed);
    if (!atomic_exchange_explicit(&watch->panicked, true, memory_order_acq_rel) && watch->on_panic)
        watch->on_panic(watch->opaque);
}

/* Looks at a complete line only: half a line could still become something else. */
static void judge(struct console_watch *watch, const char *line)
{
    const char *text = message_of(line);

    if (!watch->splat[0] && kernel_report_begins(text, strlen(text)))
        snprintf(watch->splat, sizeof(watch->splat), "%s", text);
    if (!watch->says[0] && starts_with(text, WIRE_SAYS))
        snprintf(watch->says, sizeof(watch->says), "%s", text + strlen(WIRE_SAYS));
    if (!watch->init_ns && starts_with(text, "Run ") && strstr(text, " as init process"))
        watch->init_ns = loop_now_ns();
    if (starts_with(text, KERNEL_PANIC))
        console_watch_set_panicked(watch);
}

/* The next line takes the ring's oldest place. */
static void end_line(struct console_watch *watch)
{
    char *line = watch->line[watch->lines % WATCH_LINES];

    line[watch->len] = '\0';
    judge(watch, line);
    watch->lines++;
    watch->len = 0;
}

static void feed_byte(struct console_watch *watch, uint8_t c)
{
    char *line = watch->line[watch->lines % WATCH_LINES];

    if (c == '\n') {
        end_line(watch);
        return;
    }
    /* Terminal control has no place in a report, and the rest of an endless line is not kept. */
    if (c != '\t' && (c < 0x20 || c == 0x7f))
        return;
    if (watch->len < WATCH_LINE_MAX - 1)
        line[watch->len++] = (char)c;
}

void console_watch_feed(void *opaque, const uint8_t *buf, size_t len)
{
    struct console_watch *watch = opaque;

    if (!watch->first_byte_ns && len)
        watch->first_byte_ns = loop_now_ns();
    for (size_t i = 0; i < len; i++)
        feed_byte(watch, buf[i]);
    if (watch->timed || console_watch_panicked(watch))
        atomic_store_explicit(&watch->last_output_ns, loop_now_ns(), memory_order_relaxed);
}

bool console_watch_panicked(const struct console_watch *watch)
{
    return atomic_load_explicit(&watch->panicked, memory_order_acquire);
}

uint64_t console_watch_last_output(const struct console_watch *watch)
{
    return atomic_load_explicit(&watch->last_output_ns, memory_order_relaxed);
}

const char *console_watch_line(const struct console_watch *watch, unsigned n)
{
    /* The open line counts as line 0 once it has text; it needs its NUL for the reader. */
    struct console_watch *w = (struct console_watch *)watch;

    if (watch->len) {
        if (n == 0) {
            char *open = w->line[watch->lines % WATCH_LINES];

            open[watch->len] = '\0';
            return open;
        }
        n--;
    }
    if (n >= watch->lines || n + (watch->len ? 1 : 0) >= WATCH_LINES)
        return NULL;
    return watch->line[(watch->lines - 1 - n) % WATCH_LINES];
}
