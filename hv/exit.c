/*
 * The exit table. Each handler answers one KVM_EXIT_* (api.rst, "The kvm_run structure"); what a
 * device does about an access is behind bus_read and bus_write.
 */
#include "hv/exit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/arch/arch.h"

struct exit_state {
    const struct exit_context *ctx;
    struct kvm_run *run;
    size_t run_bytes;
    struct exit_record *record;
    struct outcome *outcome;
};

/* An error of KVM is a fault of the vCPU; every other end is the guest's own doing. */
static enum exit_action stop(struct exit_state *s, enum vm_end end, const char *detail)
{
    s->outcome->end = end;
    snprintf(s->outcome->detail, sizeof(s->outcome->detail), "%s", detail);
    return end == END_VMM_ERROR ? EXIT_FAULT : EXIT_STOP;
}

/*
 * Port I/O. String instructions arrive as `count` accesses to the same port over an advancing
 * buffer behind kvm_run.
 */
static enum exit_action handle_io(struct exit_state *s)
{
    uint16_t port = s->run->io.port;
    uint32_t count = s->run->io.count;
    uint64_t offset = s->run->io.data_offset;
    uint8_t size = s->run->io.size;
    bool write = s->run->io.direction == KVM_EXIT_IO_OUT, claimed = true;
    uint8_t *data = (uint8_t *)s->run + offset;

    if (size == 0 || size > 4 || !range_fits(offset, (uint64_t)count * size, s->run_bytes))
        return stop(s, END_VMM_ERROR, "KVM reported port I/O with data outside its own area");
    for (uint32_t i = 0; i < count; i++, data += size)
        claimed &= write ? bus_write(s->ctx->port, port, size, data)
                         : bus_read(s->ctx->port, port, size, data);
    *s->record = (struct exit_record){.kind = EXIT_KIND_PORT,
                                      .write = write,
                                      .claimed = claimed,
                                      .size = size,
                                      .count = count,
                                      .addr = port};
    if (count)
        memcpy(&s->record->value, (uint8_t *)s->run + offset, size);
    return EXIT_CONTINUE;
}

/* A bus serves accesses of 1, 2, 4 and 8 bytes; KVM may report an odd rest of a page crossing. */
static bool mmio_piece(struct bus *bus, bool write, uint64_t addr, unsigned len, uint8_t *data)
{
    if (len == 1 || len == 2 || len == 4 || len == 8)
        return write ? bus_write(bus, addr, len, data) : bus_read(bus, addr, len, data);
    bool claimed = true;

    for (unsigned i = 0; i < len; i++)
        claimed &= mmio_piece(bus, write, addr + i, 1, data + i);
    return claimed;
}

/* The data travels in kvm_run itself, at most 8 bytes; a read's answer is taken on re-entry. */
static enum exit_action handle_mmio(struct exit_state *s)
{
    uint64_t addr = s->run->mmio.phys_addr;
    uint32_t len = s->run->mmio.len;
    bool write = s->run->mmio.is_write;
    bool claimed;

    if (len > sizeof(s->run->mmio.data))
        return stop(s, END_VMM_ERROR, "KVM reported an MMIO access of more than 8 bytes");
    claimed = mmio_piece(s->ctx->mmio, write, addr, len, s->run->mmio.data);
    *s->record = (struct exit_record){.kind = EXIT_KIND_MMIO,
                                      .write = write,
                                      .claimed = claimed,
                                      .size = (uint8_t)len,
                                      .count = 1,
                                      .addr = addr};
    memcpy(&s->record->value, s->run->mmio.data, len);
    return EXIT_CONTINUE;
}

/*
 * arm64: an instruction of which the processor did not say what it moves (several registers, write
 * back to the base). KVM does not decode it, nor does hv: nobody uses such for devices.
 */
static enum exit_action handle_nisv(struct exit_state *s)
{
    *s->record = (struct exit_record){
        .kind = EXIT_KIND_MMIO, .count = 1, .addr = s->run->arm_nisv.fault_ipa};
    return EXIT_REFUSED;
}

/* Nothing for hv to do: KVM had a reason of its own to return. */
static enum exit_action handle_nothing(struct exit_state *s)
{
    (void)s;
    return EXIT_CONTINUE;
}

/* On x86 the processor shuts down when a fault hits while it delivers a double fault. */
static enum exit_action handle_shutdown(struct exit_state *s)
{
    return stop(s, END_TRIPLE_FAULT, "triple fault: an exception while delivering a double fault");
}

/* What architectures with firmware calls (PSCI on arm64) report; x86 uses device registers. */
static enum exit_action handle_system_event(struct exit_state *s)
{
    switch (s->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        return stop(s, END_POWEROFF, "");
    case KVM_SYSTEM_EVENT_RESET:
        return stop(s, END_REBOOT, "");
    case KVM_SYSTEM_EVENT_CRASH:
        return stop(s, END_PANIC, "the guest reported a crash to the hypervisor");
    default:
        return stop(s, END_VMM_ERROR, "KVM reported a system event that hv does not know");
    }
}

static enum exit_action handle_hlt(struct exit_state *s)
{
    /* With the in-kernel interrupt controller KVM waits in HLT itself and never reports it. */
    return stop(s, END_VMM_ERROR, "HLT was reported although KVM owns the interrupt controller");
}

/* The state is invalid: the report names the rule (hv/arch). */
static enum exit_action handle_fail_entry(struct exit_state *s)
{
    char text[160];

    snprintf(text, sizeof(text),
             "the processor refused to enter the guest (hardware reason 0x%" PRIx64 ")",
             (uint64_t)s->run->fail_entry.hardware_entry_failure_reason);
    return stop(s, END_VMM_ERROR, text);
}

/* KVM's own limits, most of all its instruction emulator. */
static enum exit_action handle_internal_error(struct exit_state *s)
{
    static const char *const suberrors[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "KVM could not emulate an instruction",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once that KVM cannot combine",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while an event was being delivered",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit that KVM does not know",
    };
    uint32_t sub = s->run->internal.suberror;
    char text[160];

    snprintf(text, sizeof(text), "KVM internal error %u: %s", sub,
             sub < ARRAY_SIZE(suberrors) && suberrors[sub] ? suberrors[sub] : "of unknown kind");
    return stop(s, END_VMM_ERROR, text);
}

static const struct {
    const char *name;
    enum exit_action (*handle)(struct exit_state *s); /* NULL: hv never asked for this exit */
} handlers[] = {
    [KVM_EXIT_UNKNOWN] = {"UNKNOWN", NULL},
    [KVM_EXIT_EXCEPTION] = {"EXCEPTION", NULL},
    [KVM_EXIT_IO] = {"IO", handle_io},
    [KVM_EXIT_HYPERCALL] = {"HYPERCALL", NULL},
    [KVM_EXIT_DEBUG] = {"DEBUG", NULL},
    [KVM_EXIT_HLT] = {"HLT", handle_hlt},
    [KVM_EXIT_MMIO] = {"MMIO", handle_mmio},
    [KVM_EXIT_IRQ_WINDOW_OPEN] = {"IRQ_WINDOW_OPEN", handle_nothing},
    [KVM_EXIT_SHUTDOWN] = {"SHUTDOWN", handle_shutdown},
    [KVM_EXIT_FAIL_ENTRY] = {"FAIL_ENTRY", handle_fail_entry},
    [KVM_EXIT_INTR] = {"INTR", handle_nothing},
    [KVM_EXIT_INTERNAL_ERROR] = {"INTERNAL_ERROR", handle_internal_error},
    [KVM_EXIT_SYSTEM_EVENT] = {"SYSTEM_EVENT", handle_system_event},
    [KVM_EXIT_ARM_NISV] = {"ARM_NISV", handle_nisv},
};

const char *exit_reason_name(uint32_t reason)
{
    return reason < ARRAY_SIZE(handlers) ? handlers[reason].name : NULL;
}

/* Fatal, with its number: going on would hide a hole in this table. */
static enum exit_action handle_unknown(struct exit_state *s)
{
    const char *name = exit_reason_name(s->run->exit_reason);
    char text[160];

    snprintf(text, sizeof(text), "unexpected exit: reason %u%s%s", s->run->exit_reason,
             name ? ", " : "", name ? name : "");
    return stop(s, END_VMM_ERROR, text);
}

enum exit_action exit_dispatch(const struct exit_context *ctx, struct kvm_run *run,
                               size_t run_bytes, struct outcome *outcome)
{
    struct exit_record record = {.count = 1};
    struct exit_state s = {ctx, run, run_bytes, &record, outcome};
    uint32_t reason = run->exit_reason;
    enum exit_action action;

    if (reason < ARRAY_SIZE(handlers) && handlers[reason].handle)
        action = handlers[reason].handle(&s);
    else
        action = handle_unknown(&s);
    if (ctx->log) {
        record.reason = reason;
        record.rip = arch_exit_rip(run);
        exit_log_add(ctx->log, &record);
    }
    return action;
}
