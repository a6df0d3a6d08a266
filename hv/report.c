/* The report of a run that ended badly: see report.h. */
#include "hv/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hv/arch/arch.h"
#include "hv/exit.h"
#include "hv/mode.h"
#include "hv/symbols.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

int report_wanted(const struct vm *vm)
{
    if (vm->outcome.command.how == COMMAND_LOST)
        return 0; /* the machine has no part in it */
    switch (vm->outcome.end) {
    case END_TRIPLE_FAULT:
    case END_DEADLINE:
    case END_VMM_ERROR:
        return 1;
    default:
        return 0;
    }
}

#define BACKTRACE_MAX 48

/* Whether the kernel was told to stay where it was linked. */
static bool told_to_stay(const struct vm_config *config)
{
    const char *cmdline = config->cmdline ? config->cmdline : config->mode->cmdline;

    return strstr(cmdline, "nokaslr") || (config->append && strstr(config->append, "nokaslr"));
}

/* Reads --symbols and finds out how far the kernel has moved itself (KASLR). */
static void load_symbols(FILE *out, struct vm *vm)
{
    const char *anchor = NULL;
    uint64_t address = 0;

    if (!vm->config->symbols || symbols_load(&vm->symbols))
        return;
    for (unsigned i = 0; !address && i < vm->vcpu_count; i++)
        anchor = arch_kernel_anchor(&vm->vcpu[i], &address);
    if (!address && told_to_stay(vm->config))
        symbols_find(&vm->symbols, anchor, &address);
    if (symbols_locate(&vm->symbols, anchor, address))
        fprintf(out, "symbols: offset 0x%" PRIx64 "\n", vm->symbols.offset);
    else
        fprintf(out, "symbols: offset unknown: %s\n",
                address ? "they are not this kernel's"
                        : "the kernel had not set up its system calls (try nokaslr)");
}

/* Lines of text, indented. A guess that leads to no known function was wrong. */
static char *backtrace(const struct vcpu *vcpu)
{
    const struct symbols *symbols = &vcpu->vm->symbols;
    struct arch_frame frame[BACKTRACE_MAX];
    unsigned count = arch_backtrace(vcpu, frame, BACKTRACE_MAX);
    char where[SYMBOL_TEXT_MAX], *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        symbols_describe(symbols, frame[i].address, i > 0, where);
        if (frame[i].guessed && symbols->located && !where[0])
            continue;
        fprintf(out, REPORT_INDENT "%016" PRIx64 "%s%s\n", frame[i].address,
                frame[i].guessed ? " ?" : "", where);
    }
    fclose(out);
    return text;
}

static void print_vcpu(FILE *out, struct vcpu *vcpu)
{
    arch_dump(out, vcpu);
    vcpu->backtrace = backtrace(vcpu);
    if (vcpu->backtrace)
        fprintf(out, "  backtrace (?: guessed)\n%s", vcpu->backtrace);
}

/* One line: reason, access, value, where. Devices that nobody is behind are often the culprit. */
static void print_exit(FILE *out, const struct symbols *symbols, const struct exit_record *r)
{
    const char *name = exit_reason_name(r->reason);
    char where[SYMBOL_TEXT_MAX];

    if (name)
        fprintf(out, "  %s", name);
    else
        fprintf(out, "  reason %u", r->reason);
    if (r->kind != EXIT_KIND_OTHER) {
        fprintf(out, " %s 0x%" PRIx64 " %s %u byte%s 0x%" PRIx64, r->write ? "write" : "read",
                r->addr, r->write ? "<-" : "->", r->size, r->size == 1 ? "" : "s", r->value);
        if (r->count != 1)
            fprintf(out, " (%u times)", r->count);
        if (!r->claimed)
            fprintf(out, " (no device there)");
    }
    if (r->rip)
        fprintf(out, " at rip 0x%" PRIx64 "%s", r->rip,
                symbols_describe(symbols, r->rip, false, where));
    fputc('\n', out);
}

/* Oldest first, as a story is read. */
static void print_exits(FILE *out, const struct vcpu *vcpu)
{
    unsigned n = 0;

    while (n < EXIT_LOG_RECENT && exit_log_recent(&vcpu->log, n))
        n++;
    fprintf(out, "vCPU %u: last %u of %" PRIu64 " exits to hv, oldest first\n", vcpu->id, n,
            vcpu->log.total);
    while (n-- > 0)
        print_exit(out, &vcpu->vm->symbols, exit_log_recent(&vcpu->log, n));
}

/* Cleaned of control characters by the reader, so that a guest cannot drive the terminal. */
void report_print_console(FILE *out, const struct vm *vm)
{
    const struct console_watch *watch = &vm->watch;
    unsigned n = 0;

    while (n < WATCH_LINES && console_watch_line(watch, n))
        n++;
    if (n == 0) {
        fprintf(out, "the guest printed nothing on its console\n");
        return;
    }
    fprintf(out, "last %u console lines\n", n);
    while (n-- > 0)
        fprintf(out, "  | %s\n", console_watch_line(watch, n));
}

/* For an end that one vCPU caused: the rule that its state breaks. */
static const char *explain(const struct vm *vm)
{
    int id = vm->outcome.vcpu;

    if (vm->outcome.end == END_DEADLINE || id < 0 || (unsigned)id >= vm->vcpu_count)
        return NULL;
    return arch_explain(&vm->vcpu[id]);
}

void report_print(FILE *out, struct vm *vm)
{
    const char *rule = explain(vm);

    fprintf(out, "--- hv: %s: %s", vm->config->name, outcome_name(vm->outcome.end));
    if (vm->outcome.detail[0])
        fprintf(out, ": %s", vm->outcome.detail);
    if (vm->outcome.vcpu >= 0)
        fprintf(out, " (vCPU %d)", vm->outcome.vcpu);
    fputc('\n', out);
    if (rule)
        fprintf(out, "why: %s\n", rule);
    load_symbols(out, vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        print_vcpu(out, &vm->vcpu[i]);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpu[i].log.total)
            print_exits(out, &vm->vcpu[i]);
    report_print_console(out, vm);
    fprintf(out, "---\n");
}
