/* The report of a run that ended badly: see report.h. */
#include "hv/report.h"

#include <inttypes.h>

#include "hv/arch/arch.h"
#include "hv/exit.h"
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

/* One line: reason, access, value, where. Devices that nobody is behind are often the culprit. */
static void print_exit(FILE *out, const struct exit_record *r)
{
    const char *name = exit_reason_name(r->reason);

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
        fprintf(out, " at rip 0x%" PRIx64, r->rip);
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
        print_exit(out, exit_log_recent(&vcpu->log, n));
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

void report_print(FILE *out, const struct vm *vm)
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
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        arch_dump(out, &vm->vcpu[i]);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpu[i].log.total)
            print_exits(out, &vm->vcpu[i]);
    report_print_console(out, vm);
    fprintf(out, "---\n");
}
