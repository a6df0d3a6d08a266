/*
 * `hv run`: from the command line to the exit status. Whatever happens after the arguments are
 * understood, the result file says it.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "hv/arch/arch.h"
#include "hv/cmd.h"
#include "hv/command/command.h"
#include "hv/command/plan.h"
#include "hv/command/session.h"
#include "hv/config.h"
#include "hv/console.h"
#include "hv/report.h"
#include "hv/result.h"
#include "hv/vm.h"

void occupy_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* Why the command's status did not come, or is none of its own. */
static void say_command(const struct vm *vm, const struct outcome *outcome)
{
    const struct command_end *end = &outcome->command;
    const char *why = end->text[0] ? end->text : outcome->detail;

    session_say_end(end, vm->config->command[0]);
    if (end->how != COMMAND_NO_STATUS)
        return;
    /* Later words of the guest's program need not be the reason. */
    if (vm->watch.says[0] && !outcome->command_ran)
        log_error("the guest could not run the command: %s", vm->watch.says);
    else if (outcome->end == END_POWEROFF || outcome->end == END_REBOOT ||
             outcome->end == END_DEBUG_EXIT)
        log_error("the guest ended without the command's status%s%s", *why ? ": " : "", why);
}

/* One line for ends that are not the guest's own doing or need a word. */
static void say_end(const struct vm *vm, const struct outcome *outcome)
{
    const char *splat = outcome->owes_status ? vm->watch.splat : "";

    if (outcome->owes_status)
        say_command(vm, outcome);
    switch (outcome->end) {
    case END_PANIC:
        log_info("the guest kernel panicked%s%s", *splat ? ": " : "", splat);
        break;
    case END_DEADLINE:
        log_info("deadline: %s", outcome->detail);
        break;
    case END_SIGNAL:
        if (outcome->detail[0])
            log_info("%s", outcome->detail);
        else
            log_info("ended by signal %d", outcome->signal);
        break;
    default:
        break;
    }
}

/* Runs the machine. *outcome says how it went, vmm-error when it never started. */
static void run_vm(struct vm *vm, struct outcome *outcome)
{
    int err = vm_run(vm);

    if (err)
        snprintf(vm->outcome.detail, sizeof(vm->outcome.detail), "cannot run: %s", strerror(-err));
    if (err || vm->outcome.end == END_NONE)
        vm->outcome.end = END_VMM_ERROR;
    *outcome = vm->outcome;
    console_leave_raw(&vm->console);
    if (report_wanted(vm))
        report_print(stderr, vm);
    else if (outcome->owes_status && outcome->command.how == COMMAND_NO_STATUS &&
             outcome->end != END_SIGNAL)
        report_print_console(stderr, vm);
    say_end(vm, outcome);
}

/* --dump-dtb: what a guest of this machine would get, instead of a run. */
static int dump_device_tree(const struct vm *vm, const char *path)
{
    size_t len;
    const void *tree = arch_device_tree(vm, &len);
    FILE *f = fopen(path, "we");
    bool written = f && fwrite(tree, 1, len, f) == len;

    if (f && fclose(f) != 0)
        written = false;
    if (!written)
        log_error("--dump-dtb %s: %s", path, strerror(errno));
    return written ? STATUS_OK : STATUS_HV_FAILED;
}

/*
 * The result file is opened before anything can fail and written after everything: whoever reads it
 * never mistakes an older one for this run's.
 */
static int run(struct vm_config *config, uint64_t start_ns)
{
    struct outcome outcome = {.end = END_VMM_ERROR, .vcpu = -1, .detail = "could not start"};
    const char *emulated = arch_kvm_is_emulated();
    struct command *command = NULL;
    static struct vm vm;
    int result = -1, initrd = -1, built, status;

    if (config->result && !config->dump_dtb) {
        result = result_open(config->result);
        if (result < 0)
            return STATUS_HV_FAILED;
    }
    built = (!config->command_count || command_plan(config, &initrd) == 0) &&
            command_create(config, &command) == 0 && vm_create(&vm, config, command, start_ns) == 0;
    if (initrd >= 0)
        close(initrd);
    if (built && emulated)
        log_warn("%s", emulated);
    if (built && !config->dump_dtb)
        run_vm(&vm, &outcome);
    status = built && config->dump_dtb ? dump_device_tree(&vm, config->dump_dtb) : -1;
    if (result >= 0) {
        if (result_write(result, config->result, config->name, &outcome, built ? &vm : NULL))
            outcome.end = END_VMM_ERROR;
        close(result);
    }
    if (built)
        vm_destroy(&vm);
    command_destroy(command);
    return status < 0 ? outcome_status(&outcome) : status;
}

int cmd_run(int argc, char **argv)
{
    uint64_t start_ns = loop_now_ns();
    struct vm_config config;
    int status = STATUS_HV_FAILED, parsed;

    occupy_standard_fds();
    /* vCPU threads allocate next to nothing; an arena each would only cost memory. */
    mallopt(M_ARENA_MAX, 1);
    config_init(&config);
    parsed = config_parse_run(&config, argc, argv);
    if (parsed > 0) {
        status = STATUS_OK;
    } else if (parsed == 0 && config_validate(&config) == 0) {
        if (config.verbose)
            log_set_level(LOG_DEBUG);
        if (config.print_config)
            status = config_write_json(&config, stdout) ? STATUS_HV_FAILED : STATUS_OK;
        else
            status = run(&config, start_ns);
    }
    config_free(&config);
    return status;
}
