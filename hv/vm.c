/*
 * The life of a virtual machine. vm_create is the bring-up list; its order matters where a comment
 * says so.
 */
#include "hv/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "devices/acpi_power.h"
#include "devices/core/chardev.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/table.h"
#include "hv/arch/arch.h"
#include "hv/clocks.h"
#include "hv/command/command.h"
#include "hv/mode.h"
#include "hv/vcpu.h"
#include "hv/virtio_setup.h"

/* After a panic the kernel is believed dead once its console has been silent for this long. */
#define PANIC_SILENCE_NS (1500 * UINT64_C(1000000))

/* Pending output of a run that has ended may take this long to reach a slow reader. */
#define FLUSH_MS 1000

/* A run that has ended may still wait for the reader of its output: that the user can end. */
static bool may_end_again(const struct vm *vm, enum vm_end end)
{
    return vm->flushing && (end == END_SIGNAL || end == END_DEADLINE);
}

void vm_end(struct vm *vm, const struct outcome *outcome)
{
    pthread_mutex_lock(&vm->end_lock);
    if (vm->outcome.end == END_NONE || may_end_again(vm, outcome->end)) {
        vm->outcome = *outcome;
        /* A panicked kernel resets by whatever means it knows: that is the panic, not a reboot. */
        if ((outcome->end == END_REBOOT || outcome->end == END_TRIPLE_FAULT) &&
            console_watch_panicked(&vm->watch))
            vm->outcome.end = END_PANIC;
        atomic_store_explicit(&vm->ended, true, memory_order_release);
        loop_stop(vm->loop);
    }
    pthread_mutex_unlock(&vm->end_lock);
}

/* Ends that need no more than their name. */
static void end_simply(struct vm *vm, enum vm_end end)
{
    struct outcome outcome = {.end = end, .vcpu = -1};

    vm_end(vm, &outcome);
}

/* The console shows a panic: look again after a time of silence. Any thread. */
static void panic_seen(void *opaque)
{
    struct vm *vm = opaque;

    loop_timer_arm(vm->panic_check, PANIC_SILENCE_NS);
}

/*
 * Timer. Output after the panic line is the rest of the kernel's report; silence after it means
 * that no reset will come (panic=0, the default of most kernels).
 */
static void check_panic(void *opaque)
{
    struct vm *vm = opaque;
    uint64_t quiet = loop_now_ns() - console_watch_last_output(&vm->watch);

    if (quiet >= PANIC_SILENCE_NS)
        end_simply(vm, END_PANIC);
    else
        loop_timer_arm(vm->panic_check, PANIC_SILENCE_NS - quiet);
}

/* The devices' sink. Any thread, under a dev.lock. */
static void guest_event(void *opaque, enum guest_event event, uint32_t value)
{
    struct vm *vm = opaque;
    struct outcome outcome = {.end = END_DEBUG_EXIT, .guest_status = value, .vcpu = -1};

    switch (event) {
    case GUEST_POWEROFF:
        end_simply(vm, END_POWEROFF);
        break;
    case GUEST_RESET:
        end_simply(vm, END_REBOOT);
        break;
    case GUEST_DEBUG_EXIT:
        vm_end(vm, &outcome);
        break;
    case GUEST_PANICKED:
        /* The rest of the kernel's report still follows; reset or silence ends the run. */
        console_watch_set_panicked(&vm->watch);
        break;
    case GUEST_CRASH_LOADED:
        log_info("the guest starts a crash kernel");
        break;
    }
}

static void signal_arrived(void *opaque, uint32_t events)
{
    struct vm *vm = opaque;
    struct outcome outcome = {.end = END_SIGNAL, .vcpu = -1};
    struct signalfd_siginfo info;

    (void)events;
    if (read(vm->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGPWR) {
        vm_power_button(vm);
        return;
    }
    if (info.ssi_signo == SIGWINCH) {
        command_resize(vm->command);
        return;
    }
    if (command_signal(vm->command, (int)info.ssi_signo))
        return;
    outcome.signal = (int)info.ssi_signo;
    vm_end(vm, &outcome);
}

/* Blocked before any thread exists, so that every thread inherits it and only the loop sees them.
 */
static int catch_signals(struct vm *vm)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGPWR);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    vm->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (vm->signal_fd < 0 || !loop_watch_add(vm->loop, vm->signal_fd, EPOLLIN, signal_arrived, vm))
        return -errno;
    return 0;
}

/* The loop and what hangs on it for the whole run. One message for all, since all fail alike. */
static int create_loop(struct vm *vm)
{
    int err;

    vm->loop = loop_create();
    if (!vm->loop) {
        err = -errno;
        goto fail;
    }
    loop_allow_polling(vm->loop, virtio_setup_may_poll(vm->config));
    vm->clocks = loop_timer_add(vm->loop, clocks_look, vm);
    vm->panic_check = loop_timer_add(vm->loop, check_panic, vm);
    err = vm->clocks && vm->panic_check ? catch_signals(vm) : -ENOMEM;
    if (!err)
        return 0;
fail:
    log_error("event loop: %s (%s)", strerror(-err), kvm_advice(err));
    return err;
}

/* SIGPWR and Ctrl-A p end here; a machine without the device ignores them. */
void vm_power_button(struct vm *vm)
{
    const struct vm_device *power = vm_find_device(vm, "acpi-power");

    if (power)
        acpi_power_button(power->dev);
}

/* The console's escape keys. Loop thread. */
static void key_pressed(void *opaque, enum console_key key)
{
    struct vm *vm = opaque;
    struct outcome quit = {.end = END_SIGNAL, .signal = SIGINT, .vcpu = -1};

    switch (key) {
    case CONSOLE_QUIT:
        snprintf(quit.detail, sizeof(quit.detail), "ended by Ctrl-A x");
        vm_end(vm, &quit);
        break;
    case CONSOLE_HELP:
        console_print_help();
        break;
    case CONSOLE_POWER:
        vm_power_button(vm);
        break;
    }
}

const struct vm_device *vm_find_device(const struct vm *vm, const char *name)
{
    for (unsigned i = 0; i < vm->device_count; i++)
        if (strcmp(vm->device[i].name, name) == 0)
            return &vm->device[i];
    return NULL;
}

/* Makes one device of the table and puts it on its bus. */
static int add_device(struct vm *vm, const struct device_row *row)
{
    const struct device_type *type = row->type;
    const struct device_place *place = &row->place;
    struct vm_device *d = &vm->device[vm->device_count];
    struct bus *bus = place->bus == DEVICE_PORT ? &vm->port : &vm->mmio;
    struct dev_env env = {.mem = &vm->ram.guest,
                          .loop = vm->loop,
                          .console = vm->console.chr,
                          .sink = {guest_event, vm}};
    int err;

    if (!(type->modes & vm->config->mode->devices))
        return 0;
    if (vm->device_count == VM_MAX_DEVICES)
        return -ENOSPC;
    *d = (struct vm_device){.name = type->name, .place = *place};
    d->pin = (struct irq_pin){.vm_fd = vm->fd, .gsi = place->gsi};
    env.irq = irq_pin_line(&d->pin);
    err = type->create(&env, &d->dev);
    if (err)
        return err;
    vm->device_count++;
    return bus_add(bus, place->base, place->size, d->dev);
}

/* The walks over the device table at start-up; from here on the buses do not change. */
static int create_devices(struct vm *vm)
{
    int err;

    vm->port.name = "port";
    vm->mmio.name = "mmio";
    for (unsigned i = 0; i < arch_devices->count; i++) {
        err = add_device(vm, &arch_devices->row[i]);
        if (err) {
            log_error("device %s: %s", arch_devices->row[i].type->name, strerror(-err));
            return err;
        }
    }
    err = virtio_setup_attach(vm);
    if (err)
        return err;
    bus_freeze(&vm->port);
    bus_freeze(&vm->mmio);
    return 0;
}

/*
 * All vCPUs exist before the first runs, so that an INIT or SIPI finds its target. The count is
 * raised after each, so that vm_destroy undoes what was made.
 */
static int create_vcpus(struct vm *vm)
{
    int most = kvm_check_extension(vm->fd, KVM_CAP_MAX_VCPUS);
    unsigned count = vm->config->cpus;

    if (most > 0 && count > (unsigned)most) {
        log_error("--cpus %u: this host's KVM allows at most %d", count, most);
        return -EINVAL;
    }
    vm->vcpu = calloc(count, sizeof(*vm->vcpu));
    if (!vm->vcpu) {
        log_error("--cpus %u: %s", count, strerror(ENOMEM));
        return -ENOMEM;
    }
    for (; vm->vcpu_count < count; vm->vcpu_count++) {
        int err = vcpu_create(&vm->vcpu[vm->vcpu_count], vm, vm->vcpu_count);

        if (err) {
            vcpu_destroy(&vm->vcpu[vm->vcpu_count]);
            return err;
        }
    }
    return 0;
}

/* Batches writes to the output register of the device that asks for it in the table. */
static int create_coalesce(struct vm *vm)
{
    for (unsigned i = 0; vm->config->coalesce && i < vm->device_count; i++) {
        const struct device_place *place = &vm->device[i].place;

        if (place->batched) {
            struct bus *bus = place->bus == DEVICE_PORT ? &vm->port : &vm->mmio;
            int err = coalesce_init(&vm->coalesce, vm->fd, vm->vcpu[0].run, place, bus, vm->loop);

            if (err)
                log_error("batched serial output: %s (try --coalesce off)", strerror(-err));
            return err;
        }
    }
    return 0;
}

static int create_irqchip(struct vm *vm)
{
    struct virtio_options options = virtio_setup_options(vm->config);
    int err = arch_irqchip_create(vm);

    if (!err)
        irqchip_init(&vm->irqchip, vm->fd, options.irqfd, options.ioeventfd);
    return err;
}

/* KVM_CREATE_VM is where a host without rights, memory or free hardware says so. */
static int create_kvm_vm(struct vm *vm)
{
    const struct gmem *ram = &vm->ram.guest;
    const struct gmem_region *last = &ram->region[ram->count - 1];
    int err = kvm_open(&vm->kvm, KVM_DEVICE);
    long type;

    if (err)
        return err;
    type = arch_vm_type(vm->kvm.fd, last->gpa + last->size);
    if (type < 0)
        return (int)type;
    vm->fd = kvm_create_vm(&vm->kvm, (unsigned long)type);
    if (vm->fd < 0) {
        log_error("%s: cannot create a virtual machine: %s (%s)", KVM_DEVICE, strerror(-vm->fd),
                  kvm_advice(vm->fd));
        return vm->fd;
    }
    return 0;
}

/* vm_end with the type of a callback. */
static void command_ends(void *opaque, const struct outcome *outcome)
{
    vm_end(opaque, outcome);
}

int vm_create(struct vm *vm, const struct vm_config *config, struct command *command,
              uint64_t start_ns)
{
    struct command_host host = {command_ends, key_pressed, vm};
    int err;

    memset(vm, 0, sizeof(*vm));
    vm->config = config;
    vm->command = command;
    vm->start_ns = start_ns;
    vm->fd = vm->kvm.fd = vm->ram.fd = vm->signal_fd = vm->symbols.image.fd = -1;
    pthread_mutex_init(&vm->end_lock, NULL);
    console_watch_init(&vm->watch, panic_seen, vm);
    vm->watch.timed = config->timeout_ms[LIMIT_SILENCE] != 0;
    vm->console.escape = (struct console_escape){.key = key_pressed, .opaque = vm};

    if ((err = create_loop(vm)) ||
        /* Files are opened and checked before KVM is asked for anything. */
        (err = console_open(&vm->console, config->console, config->console_limit, vm->loop,
                            &vm->watch)) ||
        (config->symbols && (err = symbols_open(&vm->symbols, config->symbols))) ||
        (err = virtio_setup_open(vm)) ||
        (err = memory_create(&vm->ram, config->memory, config->hugepages,
                             virtio_setup_shares_memory(vm), arch_hole, arch_hole_end)) ||
        (err = arch_load(vm)) || (err = create_kvm_vm(vm)) || (err = arch_vm_prepare(vm)) ||
        /* Each slot costs milliseconds once the interrupt controller exists. */
        (err = memory_register(&vm->ram, vm->fd)) || (err = create_irqchip(vm)) ||
        (err = create_vcpus(vm)) || (err = arch_vcpus_created(vm)) || (err = create_devices(vm)) ||
        (err = create_coalesce(vm)) || (err = command_attach(command, vm->loop, &host)))
        vm_destroy(vm);
    return err;
}

/* All are told first and joined then: one at a time would add up their ways out of the guest. */
static void stop_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_stop(&vm->vcpu[i]);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_join(&vm->vcpu[i]);
}

/* The guest said its last, and some of that is still on its way. */
static void flush_output(struct vm *vm)
{
    enum vm_end end = vm->outcome.end;

    coalesce_drain(&vm->coalesce);
    chardev_flush(vm->console.chr, FLUSH_MS);
    vm->flushing = true;
    command_finish(vm->command, end != END_SIGNAL && end != END_DEADLINE && end != END_VMM_ERROR);
    vm->flushing = false;
    command_tell(vm->command, &vm->outcome);
}

int vm_run(struct vm *vm)
{
    /* Not earlier, so that no failed start disturbs the terminal. */
    int err = console_enter_raw(&vm->console);

    log_debug("the machine is ready after %.2f ms", (double)(loop_now_ns() - vm->start_ns) / 1e6);
    vm->run_ns = loop_now_ns();
    clocks_look(vm);
    for (unsigned i = 0; !err && i < vm->vcpu_count; i++)
        err = vcpu_start(&vm->vcpu[i]);
    if (!err)
        err = loop_run(vm->loop);
    else
        loop_stop(vm->loop); /* for a vCPU that waits for the host's work to end */
    stop_vcpus(vm);
    flush_output(vm);
    return err;
}

void vm_destroy(struct vm *vm)
{
    command_detach(vm->command); /* first: devices wait for a reader of what they hold */
    coalesce_fini(&vm->coalesce);
    while (vm->device_count) {
        struct vm_device *d = &vm->device[--vm->device_count];

        dev_destroy(d->dev);
        irq_pin_close(&d->pin);
        irq_msi_destroy(d->msi);
    }
    virtio_setup_close(vm);
    irqchip_fini(&vm->irqchip);
    console_close(&vm->console);
    while (vm->vcpu_count)
        vcpu_destroy(&vm->vcpu[--vm->vcpu_count]);
    free(vm->vcpu);
    vm->vcpu = NULL;
    free(vm->arch);
    vm->arch = NULL;
    if (vm->fd >= 0)
        close(vm->fd);
    vm->fd = -1;
    memory_destroy(&vm->ram);
    symbols_close(&vm->symbols);
    kvm_close(&vm->kvm);
    loop_destroy(vm->loop);
    vm->loop = NULL;
    if (vm->signal_fd >= 0)
        close(vm->signal_fd);
    vm->signal_fd = -1;
    pthread_mutex_destroy(&vm->end_lock);
}
