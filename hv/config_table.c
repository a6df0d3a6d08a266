/*
 * The option table: one row for everything that `hv run` can be told. To add an option, add a field
 * to struct vm_config and a row here; parsing, JSON, help, man page and validation follow.
 */
#include "hv/config_table.h"

#include <assert.h>
#include <string.h>

#include "devices/core/util.h"

/* Where the value lies; a list has its count beside it. */
#define FIELD(member)     .offset = offsetof(struct vm_config, member)
#define LIST(items, n)    FIELD(items), .count_offset = offsetof(struct vm_config, n)

#define MEMORY_MAX        (UINT64_C(8) << 40) /* KVM: less than 2^31 pages a memory slot */
#define TIMEOUT_MAX_MS    (UINT64_C(365) * 24 * 3600 * 1000)
#define CONSOLE_LIMIT_MIN UINT64_C(4096)
#define CONSOLE_LIMIT_MAX (UINT64_C(1) << 62) /* an off_t */

/* In the order of their enums, which the index of a name becomes. */
static const char *const entry_names[] = {
    [BOOT_AUTO] = "auto", [BOOT_LINUX64] = "linux64",     [BOOT_LINUX32] = "linux32",
    [BOOT_PVH] = "pvh",   [BOOT_MULTIBOOT] = "multiboot", NULL,
};

static const char *const bus_names[] = {[BUS_MMIO] = "mmio", [BUS_PCI] = "pci", NULL};

static const char *const hugepage_names[] = {
    [BACKING_THP] = "off", [BACKING_HUGE_2M] = "2M", [BACKING_HUGE_1G] = "1G", NULL};

/*
 * Help is ordered by group, JSON by row. An `initial` value is text, so that it is checked like the
 * user's and printed as it stands.
 */
const struct option_row option_rows[] = {
    {.name = "kernel",
     .letter = 'k',
     .arg = "FILE",
     .key = "kernel",
     .group = GROUP_BOOT,
     .type = &type_string,
     FIELD(kernel),
     .check = check_not_empty,
     .required = true,
     .help = "The kernel to boot: a bzImage, an ELF vmlinux, or a Multiboot ELF image; on arm64 an "
             "Image, "
             "compressed or not. Required."},
    {.name = "initrd",
     .letter = 'i',
     .arg = "FILE",
     .key = "initrd",
     .group = GROUP_BOOT,
     .type = &type_list,
     LIST(initrd, initrd_count),
     .max = CONFIG_MAX_INITRDS,
     .check = check_not_empty,
     .help = "An initramfs. May be repeated: the files are joined in order. A Multiboot kernel "
             "gets each of them as a module."},
    {.name = "append",
     .letter = 'a',
     .arg = "TEXT",
     .key = "append",
     .group = GROUP_BOOT,
     .type = &type_string,
     FIELD(append),
     .check = check_cmdline,
     .help = "Text to add to the end of the kernel command line, be it the mode's or that of "
             "--cmdline."},
    {.name = "cmdline",
     .arg = "TEXT",
     .key = "cmdline",
     .group = GROUP_BOOT,
     .type = &type_string,
     FIELD(cmdline),
     .check = check_cmdline,
     .help = "Replaces the mode's kernel command line (hv help modes). May be empty."},
    {.name = "entry",
     .arg = "auto|linux64|linux32|pvh|multiboot",
     .key = "entry",
     .group = GROUP_BOOT,
     .type = &type_choice,
     FIELD(entry),
     .choices = entry_names,
     .initial = "auto",
     .help = "How to enter the kernel; a kernel that has no such entry is refused."},
    {.name = "set-reg",
     .arg = "NAME=VALUE",
     .key = "set_reg",
     .group = GROUP_BOOT,
     .type = &type_list,
     LIST(set_regs, set_reg_count),
     .max = CONFIG_MAX_SET_REGS,
     .check = check_set_reg,
     .help = "Changes a register of vCPU 0 before its first instruction, to see what a kernel or "
             "the processor makes of it: rip=0x100000. May be repeated."},
    {.name = "command",
     .arg = "CMD [ARG]...",
     .key = "command",
     .role = ROLE_COMMAND,
     .group = GROUP_COMMAND,
     .type = &type_words,
     LIST(command, command_count),
     .help = "Run CMD in the guest instead of waiting for what the kernel does: as root, with this "
             "machine's files, which it may change in the guest's memory only. hv ends with its "
             "exit status. The kernel's console is not shown unless --console is given."},
    {.name = "rootfs",
     .arg = "DIR",
     .key = "rootfs",
     .group = GROUP_COMMAND,
     .type = &type_string,
     FIELD(rootfs),
     .check = check_not_empty,
     .help = "The directory of the host that the command sees as /. What it writes there stays in "
             "the guest's memory. Default: /."},
    {.name = "cwd",
     .arg = "DIR",
     .key = "cwd",
     .group = GROUP_COMMAND,
     .type = &type_string,
     FIELD(cwd),
     .check = check_cwd,
     .help = "The directory in which the command starts. Default: the one hv was started in, or / "
             "with a --rootfs other than /."},
    {.name = "env",
     .arg = "NAME[=VALUE]",
     .key = "env",
     .group = GROUP_COMMAND,
     .type = &type_list,
     LIST(env, env_count),
     .max = CONFIG_MAX_ENV,
     .check = check_env,
     .help =
         "Sets a variable for the command; without a value, to what it is here. May be "
         "repeated. PATH, TERM, LANG, LC_* and, with this machine's files, HOME are passed in any "
         "case."},
    {.name = "modules",
     .arg = "DIR",
     .key = "modules",
     .group = GROUP_COMMAND,
     .type = &type_string,
     FIELD(modules),
     .check = check_not_empty,
     .help = "The kernel's modules: a directory with modules.dep, or one with such a directory in "
             "lib/modules/RELEASE or RELEASE. Default: modules or lib/modules/RELEASE beside the "
             "kernel, then /lib/modules/RELEASE."},
    {.name = "mode",
     .arg = "MODE",
     .key = "mode",
     .group = GROUP_MACHINE,
     .type = &type_mode,
     FIELD(mode),
     .initial = "pv",
     .required = true,
     .help = "The kind of machine; hv help modes lists them."},
    {.name = "memory",
     .letter = 'm',
     .arg = "SIZE",
     .key = "memory",
     .group = GROUP_MACHINE,
     .type = &type_size,
     FIELD(memory),
     .min = CONFIG_MIN_MEMORY,
     .max = MEMORY_MAX,
     .multiple = 4096,
     .initial = "256M",
     .command_differs = true,
     .help = "RAM of the guest. A bare number is MiB; K M G T (or KiB ...) are powers of 1024, KB "
             "MB GB TB of 1000, B is bytes. With a command 1G unless given, where this machine has "
             "twice that."},
    {.name = "cpus",
     .letter = 'c',
     .arg = "N",
     .key = "cpus",
     .group = GROUP_MACHINE,
     .type = &type_count,
     FIELD(cpus),
     .min = 1,
     .max = CONFIG_MAX_CPUS,
     .initial = "1",
     .help = "Number of vCPUs."},
    {.name = "hugepages",
     .arg = "off|2M|1G",
     .key = "hugepages",
     .group = GROUP_MACHINE,
     .type = &type_choice,
     FIELD(hugepages),
     .choices = hugepage_names,
     .initial = "off",
     .help = "Take the RAM from the host's reserved huge pages of that size; off leaves it to "
             "transparent huge pages."},
    {.name = "uuid",
     .arg = "UUID",
     .key = "uuid",
     .group = GROUP_MACHINE,
     .type = &type_uuid,
     FIELD(uuid),
     .only_if_given = true,
     .help = "The machine's UUID, which the guest finds in SMBIOS; random unless given."},
    {.name = "disk",
     .letter = 'd',
     .arg = "file=PATH[,KEY=VALUE]...",
     .key = "disk",
     .group = GROUP_DEVICES,
     .type = &type_list,
     LIST(disk, disk_count),
     .max = CONFIG_MAX_VIRTIO,
     .check = check_disk,
     .help = "A disk (virtio-blk). May be repeated: the guest sees /dev/vda, /dev/vdb, ..."},
    {.name = "net",
     .letter = 'n',
     .arg = "TYPE[,KEY=VALUE]...",
     .key = "net",
     .group = GROUP_DEVICES,
     .type = &type_list,
     LIST(net, net_count),
     .max = CONFIG_MAX_VIRTIO,
     .check = check_net,
     .help = "A network card (virtio-net): user, tap, socket or none. May be repeated."},
    {.name = "rng",
     .arg = "on[,KEY=VALUE]...",
     .key = "rng",
     .group = GROUP_DEVICES,
     .type = &type_list,
     LIST(rng, rng_count),
     .max = 1,
     .check = check_rng,
     .help = "Random numbers of the host for the guest (virtio-rng)."},
    {.name = "balloon",
     .arg = "on[,KEY=VALUE]...",
     .key = "balloon",
     .group = GROUP_DEVICES,
     .type = &type_list,
     LIST(balloon, balloon_count),
     .max = 1,
     .check = check_balloon,
     .help = "Lets the guest give memory back (virtio-balloon)."},
    {.name = "virtio-console",
     .arg = "KEY=VALUE[,KEY=VALUE]...",
     .key = "virtio_console",
     .group = GROUP_DEVICES,
     .type = &type_list,
     LIST(virtio_console, virtio_console_count),
     .max = 1,
     .check = check_virtio_console,
     .help = "Ports between guest and host beside the serial console (virtio-console)."},
    {.name = "share",
     .arg = "HOST:GUEST[:rw][,via=virtiofs]",
     .key = "share",
     .group = GROUP_DEVICES,
     .type = &type_list,
     LIST(share, share_count),
     .max = CONFIG_MAX_VIRTIO,
     .check = check_share,
     .help = "A directory of the host for the guest (virtio-9p), read-only unless it ends in :rw. "
             "With a command it is mounted at GUEST. Without one GUEST is the mount tag: mount -t "
             "9p -o trans=virtio,version=9p2000.L GUEST DIRECTORY. With via=virtiofs, for kernels "
             "without 9p, by the program virtiofsd: mount -t virtiofs GUEST DIRECTORY. May be "
             "repeated."},
    {.name = "bus",
     .arg = "mmio|pci",
     .key = "bus",
     .group = GROUP_DEVICES,
     .type = &type_choice,
     FIELD(bus),
     .choices = bus_names,
     .initial = "mmio",
     .help = "How the guest reaches virtio devices: memory-mapped registers, or PCI."},
    {.name = "virtio",
     .arg = "KEY=VALUE[,KEY=VALUE]...",
     .key = "virtio",
     .group = GROUP_DEVICES,
     .type = &type_string,
     FIELD(virtio),
     .check = check_virtio,
     .help = "For all virtio devices, each on or off: packed, indirect, event-idx (what is "
             "offered to the driver), irqfd, ioeventfd (ways around hv), poll (look at busy "
             "rings instead of sleeping; auto: where there are two CPUs), cmdline (tell "
             "memory-mapped ones on the kernel command line instead of in ACPI)."},
    {.name = "coalesce",
     .arg = "on|off",
     .key = "coalesce",
     .group = GROUP_MACHINE,
     .type = &type_bool,
     FIELD(coalesce),
     .initial = "on",
     .help = "Batch the guest's serial output in the kernel, for fewer exits; off shows each "
             "exit."},
    {.name = "console",
     .arg = "stdio|none|pty|FILE",
     .key = "console",
     .group = GROUP_CONSOLE,
     .type = &type_string,
     FIELD(console),
     .check = check_not_empty,
     .initial = "stdio",
     .required = true,
     .command_differs = true,
     .help = "Where the guest's serial port goes. A file is created or emptied; ./none is a file "
             "called none."},
    {.name = "console-limit",
     .arg = "SIZE",
     .key = "console_limit",
     .group = GROUP_CONSOLE,
     .type = &type_size,
     FIELD(console_limit),
     .min = CONSOLE_LIMIT_MIN,
     .max = CONSOLE_LIMIT_MAX,
     .zero_is_off = true,
     .initial = "1G",
     .help = "How large a console file may grow; what comes after is dropped and counted. 0: no "
             "limit."},
    {.name = "timeout",
     .arg = "TIME",
     .key = "timeout",
     .group = GROUP_CONSOLE,
     .type = &type_duration,
     FIELD(timeout_ms[LIMIT_WHOLE]),
     .min = 1,
     .max = TIMEOUT_MAX_MS,
     .zero_is_off = true,
     .initial = "0",
     .help = "End the run with status 124 after that time. A bare number is seconds; ms s m h are "
             "understood. 0: never."},
    {.name = "first-byte-timeout",
     .arg = "TIME",
     .key = "first_byte_timeout",
     .group = GROUP_CONSOLE,
     .type = &type_duration,
     FIELD(timeout_ms[LIMIT_FIRST_BYTE]),
     .min = 1,
     .max = TIMEOUT_MAX_MS,
     .zero_is_off = true,
     .initial = "0",
     .help = "The same if the console has shown nothing by then."},
    {.name = "boot-timeout",
     .arg = "TIME",
     .key = "boot_timeout",
     .group = GROUP_CONSOLE,
     .type = &type_duration,
     FIELD(timeout_ms[LIMIT_INIT]),
     .min = 1,
     .max = TIMEOUT_MAX_MS,
     .zero_is_off = true,
     .initial = "0",
     .help = "The same if the kernel has not started its init by then, or is not ready for the "
             "command."},
    {.name = "silence-timeout",
     .arg = "TIME",
     .key = "silence_timeout",
     .group = GROUP_CONSOLE,
     .type = &type_duration,
     FIELD(timeout_ms[LIMIT_SILENCE]),
     .min = 1,
     .max = TIMEOUT_MAX_MS,
     .zero_is_off = true,
     .initial = "0",
     .help = "The same when neither console nor command has printed anything for that time."},
    {.name = "symbols",
     .arg = "FILE",
     .key = "symbols",
     .group = GROUP_CONSOLE,
     .type = &type_string,
     FIELD(symbols),
     .check = check_not_empty,
     .help = "Name the kernel's functions in the report of a deadline, a triple fault or the like: "
             "its vmlinux with a symbol table, its System.map, or a copy of the guest's "
             "/proc/kallsyms."},
    {.name = "result",
     .arg = "FILE",
     .key = "result",
     .group = GROUP_CONSOLE,
     .type = &type_string,
     FIELD(result),
     .check = check_not_empty,
     .help = "Write how the run ended to FILE, as JSON, whatever happens."},
    {.name = "name",
     .arg = "NAME",
     .key = "name",
     .group = GROUP_OTHER,
     .type = &type_string,
     FIELD(name),
     .check = check_name,
     .required = true,
     .only_if_given = true,
     .help = "The machine's name, in messages, the result and SMBIOS; hv-PID unless given."},
    {.name = "config",
     .arg = "FILE",
     .role = ROLE_CONFIG_FILE,
     .group = GROUP_OTHER,
     .help = "Read options from FILE, as --print-config writes them. The command line overrides "
             "it, wherever --config stands on it; a repeatable option replaces the file's list."},
    {.name = "print-config",
     .group = GROUP_OTHER,
     .type = &type_bool,
     FIELD(print_config),
     .help = "Write the configuration to stdout, as JSON, and run nothing."},
    {.name = "dump-dtb",
     .arg = "FILE",
     .group = GROUP_OTHER,
     .type = &type_string,
     FIELD(dump_dtb),
     .check = check_dump_dtb,
     .help = "Write the machine's device tree to FILE, and run nothing (arm64 only)."},
    {.name = "verbose",
     .letter = 'v',
     .key = "verbose",
     .group = GROUP_OTHER,
     .type = &type_bool,
     FIELD(verbose),
     .help = "Say on stderr what hv does."},
    {.name = "help",
     .letter = 'h',
     .role = ROLE_HELP,
     .group = GROUP_OTHER,
     .help = "Print this and run nothing."},
};

const unsigned option_row_count = ARRAY_SIZE(option_rows);

static_assert(ARRAY_SIZE(option_rows) <= 64, "vm_config.given has no bit left");

/* Linear: a few dozen rows, looked up a few times in a run. */
const struct option_row *option_by_name(const char *name, size_t len)
{
    for (unsigned i = 0; i < option_row_count; i++)
        if (option_rows[i].role != ROLE_COMMAND && strlen(option_rows[i].name) == len &&
            memcmp(option_rows[i].name, name, len) == 0)
            return &option_rows[i];
    return NULL;
}

const struct option_row *option_by_letter(char letter)
{
    for (unsigned i = 0; i < option_row_count; i++)
        if (letter && option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

const struct option_row *option_by_key(const char *key)
{
    for (unsigned i = 0; i < option_row_count; i++)
        if (option_rows[i].key && strcmp(option_rows[i].key, key) == 0)
            return &option_rows[i];
    return NULL;
}

const struct option_row *option_command(void)
{
    const struct option_row *row = option_rows;

    while (row->role != ROLE_COMMAND)
        row++;
    return row;
}

const char *option_word(const struct option_row *row)
{
    return row->role == ROLE_COMMAND ? "" : row->name;
}

int option_set(const struct option_row *row, struct vm_config *config, const char *text,
               struct why *why)
{
    int err = row->type->set(row, config, text, why);

    if (!err)
        config->given |= UINT64_C(1) << (row - option_rows);
    return err;
}

/* For lists: the command line's replaces that of --config. */
void option_clear(const struct option_row *row, struct vm_config *config)
{
    if (row->type && row->type->clear)
        row->type->clear(row, config);
}

bool option_given(const struct option_row *row, const struct vm_config *config)
{
    return config->given >> (row - option_rows) & 1;
}
