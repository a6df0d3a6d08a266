/* The result file: see result.h and the man page, which lists the keys. */
#include "hv/result.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/chardev.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/command/command.h"
#include "hv/command/share.h"
#include "hv/exit.h"
#include "hv/report.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

int result_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    int err = -errno;

    if (fd < 0) {
        log_error("--result %s: %s", path, strerror(-err));
        return err;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* Milliseconds from hv's start to a moment, or null when it did not come. */
static json_t *since_start(const struct vm *vm, uint64_t ns)
{
    uint64_t us = (ns - vm->start_ns) / 1000;

    return ns ? json_real((double)us / 1000) : json_null();
}

/* Names as in linux/kvm.h without KVM_EXIT_, so that they can be looked up. */
static json_t *by_reason(const struct exit_log *log)
{
    json_t *o = json_object();
    char number[16];

    for (unsigned i = 0; i < EXIT_LOG_REASONS; i++) {
        const char *name = exit_reason_name(i);

        snprintf(number, sizeof(number), "reason-%u", i);
        if (log->by_reason[i])
            json_object_set_new(o, name ? name : number, count(log->by_reason[i]));
    }
    return o;
}

/* Guest text, or null for "": what is not UTF-8 becomes '?', since JSON knows nothing else. */
static json_t *guest_text(const char *text)
{
    json_t *s = *text ? json_string(text) : json_null();
    char ascii[WATCH_LINE_MAX];
    size_t i;

    if (s)
        return s;
    for (i = 0; i < sizeof(ascii) - 1 && text[i]; i++)
        ascii[i] = text[i] & (char)0x80 ? '?' : text[i];
    ascii[i] = '\0';
    return json_string(ascii);
}

/* {"port 0x3f8": {"reads": 1, "writes": 2}, ...} */
static json_t *by_address(const struct exit_log *log)
{
    json_t *o = json_object();
    char key[32];

    for (unsigned i = 0; i < EXIT_LOG_ADDRESSES; i++) {
        const struct exit_address *a = &log->address[i];

        if (!a->reads && !a->writes)
            continue;
        snprintf(key, sizeof(key), "%s 0x%" PRIx64, a->kind == EXIT_KIND_PORT ? "port" : "mmio",
                 a->addr);
        json_object_set_new(
            o, key, json_pack("{s:o, s:o}", "reads", count(a->reads), "writes", count(a->writes)));
    }
    if (log->other_addresses)
        json_object_set_new(o, "other", count(log->other_addresses));
    return o;
}

/* The sum over vCPUs. `batched` writes reached the device without an exit of their own. */
static json_t *exits(const struct vm *vm)
{
    struct exit_log sum = {0};
    uint64_t unclaimed = vm->port.unclaimed + vm->mmio.unclaimed;

    for (unsigned i = 0; i < vm->vcpu_count; i++)
        exit_log_merge(&sum, &vm->vcpu[i].log);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "total", count(sum.total), "by_reason",
                     by_reason(&sum), "by_address", by_address(&sum), "unclaimed", count(unclaimed),
                     "batched", count(vm->coalesce.drained));
}

static json_t *console_facts(const struct vm *vm)
{
    struct chardev_stats stats = chardev_get_stats(vm->console.chr);

    return json_pack("{s:o, s:o}", "bytes", count(stats.written), "dropped", count(stats.dropped));
}

/* How each shared directory is served, in order: with a command the first is its root. */
static json_t *shares(const struct vm_config *config)
{
    json_t *list = json_array();
    struct share_value share;
    char why[200];

    for (unsigned i = 0; i < config->share_count; i++) {
        if (share_parse(config->share[i], &share, why, sizeof(why)) == 0)
            json_array_append_new(list,
                                  json_string(share.via == SHARE_VIA_VIRTIOFS ? "virtiofs" : "9p"));
        share_free(&share);
    }
    return list;
}

/* What the report says: for each vCPU an array of lines. */
static json_t *backtraces(const struct vm *vm)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        json_t *lines = json_array();

        for (const char *line = vm->vcpu[i].backtrace; line && *line;
             line = strchr(line, '\n') + 1) {
            const char *text = line + strlen(REPORT_INDENT);

            json_array_append_new(lines, json_stringn(text, strcspn(text, "\n")));
        }
        json_array_append_new(all, lines);
    }
    return all;
}

/* What only a machine that ran can tell. */
static void add_vm(json_t *o, const struct vm *vm)
{
    json_object_set_new(o, "first_byte_ms", since_start(vm, vm->watch.first_byte_ns));
    json_object_set_new(
        o, "boot_ms",
        since_start(vm, vm->command ? command_ready(vm->command) : vm->watch.init_ns));
    json_object_set_new(o, "total_ms", since_start(vm, loop_now_ns()));
    json_object_set_new(o, "first_splat", guest_text(vm->watch.splat));
    json_object_set_new(o, "backtrace", report_wanted(vm) ? backtraces(vm) : json_null());
    json_object_set_new(o, "shares", shares(vm->config));
    json_object_set_new(o, "console", console_facts(vm));
    json_object_set_new(o, "exits", exits(vm));
}

/* How the guest's command ended, or null when there was none or nobody said. */
static json_t *command(const struct outcome *outcome)
{
    const struct command_end *end = &outcome->command;

    switch (outcome->owes_status ? end->how : COMMAND_NO_STATUS) {
    case COMMAND_EXITED:
        return json_pack("{s:i}", "exit", end->value);
    case COMMAND_SIGNALLED:
        return json_pack("{s:i}", "signal", end->value);
    case COMMAND_NO_EXEC:
        return json_pack("{s:o}", "error", guest_text(command_error(end)));
    case COMMAND_REFUSED:
    case COMMAND_LOST:
        return json_pack("{s:o}", "error", guest_text(end->text));
    case COMMAND_NO_STATUS:
        break;
    }
    return json_null();
}

/* What the guest said by itself: its command's status, or the debug-exit port's value. */
static json_t *guest_status(const struct outcome *outcome)
{
    if (outcome->owes_status && outcome->command.how != COMMAND_NO_STATUS)
        return json_integer(command_end_status(&outcome->command));
    return outcome->end == END_DEBUG_EXIT ? json_integer(outcome->guest_status) : json_null();
}

static json_t *make(const char *name, const struct outcome *outcome, const struct vm *vm)
{
    json_t *o = json_object();

    json_object_set_new(o, "end", json_string(outcome_name(outcome->end)));
    json_object_set_new(o, "status", json_integer(outcome_status(outcome)));
    json_object_set_new(o, "guest_status", guest_status(outcome));
    json_object_set_new(o, "command", command(outcome));
    json_object_set_new(o, "detail",
                        outcome->detail[0] ? json_string(outcome->detail) : json_null());
    json_object_set_new(o, "deadline",
                        outcome->deadline ? json_string(outcome->deadline) : json_null());
    json_object_set_new(o, "name", json_string(name));
    if (vm)
        add_vm(o, vm);
    return o;
}

/* A pipe or a FIFO may take it in pieces. */
static int write_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

int result_write(int fd, const char *path, const char *name, const struct outcome *outcome,
                 const struct vm *vm)
{
    json_t *o = make(name, outcome, vm);
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
    int err = -ENOMEM;

    if (text) {
        err = write_all(fd, text, strlen(text));
        if (!err)
            err = write_all(fd, "\n", 1);
    }
    if (err)
        log_error("--result %s: %s", path, strerror(-err));
    free(text);
    json_decref(o);
    return err;
}
