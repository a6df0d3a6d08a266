/*
 * What the user asked for. One table (config_table.c) drives the command line, `hv help`, the JSON
 * of --config and --print-config, and the man page's option list.
 *
 * Thread: main, at start-up. Errors: one line on stderr that names the option or the JSON key and
 * its place, then -EINVAL.
 */
#ifndef HV_CONFIG_H
#define HV_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hv/clocks.h"
#include "hv/loader/loader.h"

#define CONFIG_MAX_INITRDS  16
#define CONFIG_MAX_CPUS     254
#define CONFIG_MIN_MEMORY   (UINT64_C(16) << 20)
#define CONFIG_MAX_SET_REGS 16
#define CONFIG_MAX_VIRTIO   16 /* devices of one kind */
#define CONFIG_MAX_ENV      64

enum machine_bus { BUS_MMIO, BUS_PCI };

enum memory_backing { BACKING_THP, BACKING_HUGE_2M, BACKING_HUGE_1G };

/* Strings and arrays are owned; free with config_free. A zeroed struct is valid and empty. */
struct vm_config {
    char *kernel;                         /* -k; NULL: not given */
    char *initrd[CONFIG_MAX_INITRDS + 1]; /* -i, in order; one more for that of a command */
    unsigned initrd_count;
    char *append;                  /* -a; added to the default command line */
    char *cmdline;                 /* --cmdline; replaces it */
    uint64_t memory;               /* -m; bytes */
    unsigned cpus;                 /* -c */
    const struct mode *mode;       /* --mode; a row of the modes table (hv/mode.h) */
    enum boot_protocol entry;      /* --entry */
    enum memory_backing hugepages; /* --hugepages off|2M|1G */
    char *console;                 /* --console: "stdio", "none", "pty" or a file's path */
    uint64_t
        console_limit; /* --console-limit; bytes that a console file may grow to; 0: no limit */
    uint64_t timeout_ms[LIMIT_COUNT];    /* --timeout, --boot-timeout, ...; 0: none */
    char *symbols;                       /* --symbols; NULL: none */
    char *result;                        /* --result; NULL: none */
    char *name;                          /* --name; default "hv-PID" */
    uint8_t uuid[16];                    /* --uuid, in the order of its text; random unless given */
    char *set_regs[CONFIG_MAX_SET_REGS]; /* --set-reg NAME=VALUE, checked by hv/arch */
    unsigned set_reg_count;
    /* Virtio devices: the values of --disk, --net, ..., each a list of key=value. */
    char *disk[CONFIG_MAX_VIRTIO], *net[CONFIG_MAX_VIRTIO], *rng[1], *balloon[1],
        *virtio_console[1];
    char *share[CONFIG_MAX_VIRTIO + 1]; /* one more for the root of a command */
    unsigned disk_count, net_count, share_count, rng_count, balloon_count, virtio_console_count;
    /* What stands behind "--": a command for the guest, and what it finds there. */
    char **command; /* the program and its arguments; NULL: none */
    unsigned command_count;
    size_t command_size;       /* bytes of all of them, each with its NUL */
    char *rootfs;              /* --rootfs; NULL: "/" */
    char *cwd;                 /* --cwd; NULL: see hv/command/plan.h */
    char *env[CONFIG_MAX_ENV]; /* --env NAME=VALUE, or NAME: the host's value */
    unsigned env_count;
    char *modules;        /* --modules; NULL: looked for */
    enum machine_bus bus; /* --bus mmio|pci */
    char *virtio;         /* --virtio; NULL: not given */
    bool coalesce;        /* --coalesce on|off: batch serial output in the kernel */
    bool print_config;    /* --print-config */
    char *dump_dtb;       /* --dump-dtb; NULL: none */
    bool verbose;         /* -v */
    uint64_t given;       /* a bit for each row of the option table that was set by the user */
};

void config_init(struct vm_config *config); /* defaults; never fails */
void config_free(struct vm_config *config);

/*
 * Parses `hv run` arguments (argv[0] is the verb). --config is read first, wherever it stands, and
 * options override it. 0; -EINVAL after a message; 1 when --help was printed and nothing is to run.
 */
int config_parse_run(struct vm_config *config, int argc, char **argv);

/* Whether the user set the option of that name, or a file that --config names did. */
bool config_given(const struct vm_config *config, const char *option);

/* Checks what can be checked without the host: required options, ranges, contradictions. */
int config_validate(const struct vm_config *config);

/*
 * The JSON that --config reads back to an equal configuration (name and UUID only when they were
 * given, so that two runs of one file do not become one machine). 0, or -errno after a message.
 */
int config_write_json(const struct vm_config *config, FILE *out);

/* Sets what the file at `path` says, and nothing else. */
int config_read_json(struct vm_config *config, const char *path);

/* `hv help run`: examples, usage, options. */
void config_print_help(FILE *out);

/* The options in roff, for the man page, and as "--NAME VALUE" lines, for shell completion. */
void config_print_options_roff(FILE *out);
void config_print_options_plain(FILE *out);

/*
 * "64", "1G", "512M", "2048K": a bare number is MiB. "1500ms", "10", "2m", "1h": bare is seconds.
 * -EINVAL: not such a text; -ERANGE: does not fit in 64 bits.
 */
int parse_size(const char *text, uint64_t *bytes);
int parse_duration(const char *text, uint64_t *ms);

#endif
