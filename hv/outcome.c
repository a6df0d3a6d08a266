/* Names and exit statuses of a run's ends, in one table. */
#include "hv/outcome.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "devices/core/util.h"

static const struct {
    const char *name;
    int status; /* -1: depends on the outcome's other fields */
} ends[] = {
    [END_NONE] = {"none", STATUS_HV_FAILED},
    [END_POWEROFF] = {"poweroff", STATUS_OK},
    [END_REBOOT] = {"reboot", STATUS_OK},
    [END_PANIC] = {"panic", STATUS_GUEST_DIED},
    [END_TRIPLE_FAULT] = {"triple-fault", STATUS_GUEST_DIED},
    [END_DEBUG_EXIT] = {"debug-exit", -1},
    [END_DEADLINE] = {"deadline", STATUS_DEADLINE},
    [END_SIGNAL] = {"signal", -1},
    [END_VMM_ERROR] = {"vmm-error", STATUS_HV_FAILED},
};

static_assert(ARRAY_SIZE(ends) == END_COUNT, "an end without a row");

const char *outcome_name(enum vm_end end)
{
    return ends[end].name;
}

const char *command_error(const struct command_end *end)
{
    const char *text = strerrordesc_np(end->value);

    return text ? text : "unknown error";
}

int command_end_status(const struct command_end *end)
{
    switch (end->how) {
    case COMMAND_EXITED:
        return end->value;
    case COMMAND_SIGNALLED:
        return STATUS_SIGNAL_BASE + end->value;
    case COMMAND_NO_EXEC:
        return end->value == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
    case COMMAND_REFUSED:
    case COMMAND_LOST:
        return STATUS_HV_FAILED;
    case COMMAND_NO_STATUS:
        break;
    }
    return STATUS_GUEST_DIED;
}

/* Of the machine's end, whatever ran in it. */
static int end_status(const struct outcome *outcome)
{
    if (outcome->end == END_DEBUG_EXIT)
        return outcome->guest_status <= STATUS_GUEST_MAX ? (int)outcome->guest_status
                                                         : STATUS_GUEST_MAX;
    if (outcome->end == END_SIGNAL)
        return STATUS_SIGNAL_BASE + outcome->signal;
    return ends[outcome->end].status;
}

int outcome_status(const struct outcome *outcome)
{
    int status = end_status(outcome);

    return status == STATUS_OK && outcome->owes_status ? command_end_status(&outcome->command)
                                                       : status;
}
