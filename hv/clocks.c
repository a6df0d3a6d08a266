/* Which time limit of a run has passed: see clocks.h. */
#include "hv/clocks.h"

#include <assert.h>
#include <stdio.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/command/command.h"
#include "hv/vm.h"

#define NS_PER_MS 1000000

static const struct {
    const char *name, *option;
    const char *text; /* what the guest did */
} limits[] = {
    [LIMIT_FIRST_BYTE] = {"first-byte", "first-byte-timeout", "printed nothing within"},
    [LIMIT_INIT] = {"init", "boot-timeout", "did not start its init within"},
    [LIMIT_SILENCE] = {"silence", "silence-timeout", "printed nothing for"},
    [LIMIT_WHOLE] = {"whole", "timeout", "did not end within"},
};

static_assert(ARRAY_SIZE(limits) == LIMIT_COUNT, "a limit without a row");

const char *clocks_name(enum run_limit limit)
{
    return limits[limit].name;
}

enum run_limit clocks_judge(const uint64_t limit_ms[LIMIT_COUNT], const struct clock_facts *facts,
                            uint64_t now, uint64_t *wait_ns)
{
    enum run_limit next = LIMIT_COUNT;
    uint64_t next_ns = UINT64_MAX;

    for (enum run_limit i = 0; i < LIMIT_COUNT; i++) {
        bool spoke = i == LIMIT_SILENCE && facts->output_ns > facts->start_ns;
        uint64_t due = (spoke ? facts->output_ns : facts->start_ns) + limit_ms[i] * NS_PER_MS;

        if (limit_ms[i] && !facts->met[i] && due < next_ns) {
            next_ns = due;
            next = i;
        }
    }
    if (next_ns <= now)
        return next;
    *wait_ns = next == LIMIT_COUNT ? UINT64_MAX : next_ns - now;
    return LIMIT_COUNT;
}

static struct clock_facts gather(const struct vm *vm)
{
    const struct console_watch *watch = &vm->watch;
    uint64_t said = console_watch_last_output(watch), shown = command_last_output(vm->command);
    bool booted = vm->command ? command_ready(vm->command) != 0 : watch->init_ns != 0;

    return (struct clock_facts){
        .start_ns = vm->run_ns,
        .output_ns = said > shown ? said : shown,
        /* The guest has stopped while its output is flushed: only the user's patience counts then.
         * After a panic silence has a meaning of its own (vm.c). */
        .met = {[LIMIT_FIRST_BYTE] = vm->flushing || watch->first_byte_ns,
                [LIMIT_INIT] = vm->flushing || booted,
                [LIMIT_SILENCE] = vm->flushing || console_watch_panicked(watch)},
    };
}

static void end(struct vm *vm, enum run_limit limit, uint64_t now)
{
    struct outcome outcome = {.end = END_DEADLINE, .deadline = clocks_name(limit), .vcpu = -1};
    const char *text = limits[limit].text;

    if (limit == LIMIT_INIT && vm->command)
        text = "was not ready for the command within";
    snprintf(outcome.detail, sizeof(outcome.detail),
             "the guest %s %.10g s (--%s), %.1f s after its start", text,
             (double)vm->config->timeout_ms[limit] / 1e3, limits[limit].option,
             (double)(now - vm->run_ns) / 1e9);
    vm_end(vm, &outcome);
}

void clocks_look(void *opaque)
{
    struct vm *vm = opaque;
    struct clock_facts facts = gather(vm);
    uint64_t now = loop_now_ns(), wait_ns;
    enum run_limit passed = clocks_judge(vm->config->timeout_ms, &facts, now, &wait_ns);

    if (passed != LIMIT_COUNT)
        end(vm, passed, now);
    else if (wait_ns != UINT64_MAX)
        loop_timer_arm(vm->clocks, wait_ns);
}
