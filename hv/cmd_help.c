/*
 * `hv help` and `hv version`, and the verb table that help, main and the error messages share.
 * Help goes to stdout with status 0: it was asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/nearest.h"
#include "devices/core/params.h"
#include "devices/core/util.h"
#include "devices/table.h"
#include "hv/arch/arch.h"
#include "hv/cmd.h"
#include "hv/config.h"
#include "hv/mode.h"

static void print_doctor(FILE *out)
{
    fputs("Says whether this machine can run guests, how fast, and how to mend what is wrong.\n"
          "\n"
          "Examples:\n"
          "  hv doctor\n"
          "  hv doctor --json\n"
          "\n"
          "Usage: hv doctor [--json]\n"
          "\n"
          "  --json  the findings as JSON on stdout\n"
          "\n"
          "Status 0: stock kernels run; 1: they run with limits; 125: KVM cannot be used.\n",
          out);
}

static void print_help_help(FILE *out)
{
    fputs("Explains a verb or a topic.\n"
          "\n"
          "Examples:\n"
          "  hv help run\n"
          "  hv help exit-status\n"
          "\n"
          "Usage: hv help [VERB|devices|modes|exit-status]\n",
          out);
}

static void print_version_help(FILE *out)
{
    fputs("Prints the version.\n\nUsage: hv version\n", out);
}

const struct verb verbs[] = {
    {"run", "boot a kernel in a new virtual machine", cmd_run, config_print_help},
    {"exec", "run a command in a guest that runs", cmd_exec, exec_print_help},
    {"test", "boot guests by a plan, with a verdict for each", cmd_test, test_print_help},
    {"doctor", "say what this machine's KVM can do", cmd_doctor, print_doctor},
    {"help", "explain a verb or a topic", cmd_help, print_help_help},
    {"version", "print the version", cmd_version, print_version_help},
};

const unsigned verb_count = ARRAY_SIZE(verbs);

/* "port 0x3f8-0x3ff, line 4" */
/* Ports or addresses, and the interrupt line, as the device table has them. */
static const char *place_text(const struct device_place *place, char *buf, size_t len)
{
    static const char *const bus[] = {[DEVICE_PORT] = "port", [DEVICE_MMIO] = "memory"};
    uint64_t last = place->base + place->size - 1;
    int n;

    if (last == place->base)
        n = snprintf(buf, len, "%s 0x%" PRIx64, bus[place->bus], place->base);
    else
        n = snprintf(buf, len, "%s 0x%" PRIx64 "-0x%" PRIx64, bus[place->bus], place->base, last);
    if (place->gsi >= 0 && n > 0 && (size_t)n < len)
        snprintf(buf + n, len - (size_t)n, ", line %d", place->gsi);
    return buf;
}

/* " (pv, hybrid)" behind a device's help: the modes whose bit it has. */
static void print_device_modes(FILE *out, unsigned bits)
{
    const char *separator = " (";

    for (unsigned i = 0; i < mode_count; i++)
        if (modes[i].devices & bits) {
            fprintf(out, "%s%s", separator, modes[i].name);
            separator = ", ";
        }
    fputs(separator[0] == ',' ? ")\n" : "\n", out);
}

static void print_param(FILE *out, const struct param_row *row)
{
    fprintf(out, "      %s%s%s  %s", row->key, row->arg ? "=" : "", row->arg ? row->arg : "",
            row->help);
    if (row->initial)
        fprintf(out, " (%s)", row->initial);
    fputs(row->required ? " (required)\n" : "\n", out);
}

/* What options make, with the keys of their values. */
static void print_virtio_devices(FILE *out)
{
    fputs("\nVirtio devices, one for each option of the kind (--bus says how they are reached):\n",
          out);
    for (unsigned i = 0; i < virtio_type_count; i++) {
        const struct virtio_type *type = &virtio_types[i];

        fprintf(out, "\n  --%s: %s, %s\n", type->option, type->name, type->help);
        for (const struct param_row *row = type->params->rows; row->key; row++)
            print_param(out, row);
    }
}

/* From the table that builds the machine, so help cannot be out of date. */
static void print_devices(FILE *out)
{
    char place[80];

    fputs("Devices, where the guest finds them, and the modes that have them:\n\n", out);
    for (unsigned i = 0; i < arch_devices->count; i++) {
        const struct device_row *row = &arch_devices->row[i];

        fprintf(out, "  %-12s %-26s %s", row->type->name,
                place_text(&row->place, place, sizeof(place)), row->type->help);
        print_device_modes(out, row->type->modes);
    }
    print_virtio_devices(out);
}

static void print_modes(FILE *out)
{
    fputs("Kinds of machine (--mode):\n\n", out);
    for (unsigned i = 0; i < mode_count; i++)
        fprintf(out, "  %s\n        %s\n        Kernel command line: %s\n", modes[i].name,
                modes[i].help, modes[i].cmdline);
}

/* What outcome_status returns, for people. */
static const struct {
    const char *status, *meaning;
} statuses[] = {
    {"0", "the guest powered off or rebooted by itself"},
    {"0-255", "with a command (hv run ... -- COMMAND, hv exec): its own status"},
    {"1-123", "what the guest wrote to the debug-exit port (a larger value: 123)"},
    {"124", "a deadline passed (--timeout and its like)"},
    {"125", "hv itself failed: arguments, /dev/kvm, the kernel file, the host"},
    {"126", "the command cannot be executed in the guest"},
    {"127", "the command was not found in the guest"},
    {"128+n", "hv was ended by signal n, or the command in the guest was"},
    {"255", "the guest died (panic, triple fault), or ended without its command's status"},
};

static void print_statuses(FILE *out)
{
    fputs("Exit status of hv run:\n\n", out);
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++)
        fprintf(out, "  %-6s %s\n", statuses[i].status, statuses[i].meaning);
    fputs("\n--result FILE says it in JSON, with more detail.\n", out);
}

static void print_statuses_roff(FILE *out)
{
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++)
        fprintf(out, ".TP\n\\fB%s\\fR\n%s.\n", statuses[i].status, statuses[i].meaning);
}

/* For shell completion: verbs and topics, one a line. */
static void print_words(FILE *out)
{
    for (unsigned i = 0; i < verb_count; i++)
        fprintf(out, "%s\n", verbs[i].name);
}

/* scripts/man and scripts/hv.bash-completion call the hidden ones. */
static const struct {
    const char *name;
    void (*print)(FILE *out);
    bool hidden;
} topics[] = {
    {"devices", print_devices, false},
    {"modes", print_modes, false},
    {"exit-status", print_statuses, false},
    {"--verbs", print_words, true},
    {"--options", config_print_options_plain, true},
    {"--roff-options", config_print_options_roff, true},
    {"--roff-exit-status", print_statuses_roff, true},
};

void help_print_usage(FILE *out)
{
    fputs("Usage: hv VERB [ARGUMENT]...\n\nVerbs:\n", out);
    for (unsigned i = 0; i < verb_count; i++)
        fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].help);
    fputs("\nhv help VERB tells more.\n", out);
}

/* Examples first: most readers want to copy a line and go. */
static void print_overview(FILE *out)
{
    fputs("hv runs virtual machines on Linux KVM.\n"
          "\n"
          "Examples:\n"
          "  hv doctor\n"
          "  hv run -k /boot/vmlinuz -- uname -a\n"
          "  hv run -k /boot/vmlinuz -i /boot/initrd.img\n"
          "\n",
          out);
    help_print_usage(out);
    fputs("Topics: ", out);
    for (unsigned i = 0; i < ARRAY_SIZE(topics); i++)
        if (!topics[i].hidden)
            fprintf(out, "%s%s", i ? ", " : "", topics[i].name);
    fputs(" (hv help TOPIC). The manual: man hv.\n", out);
}

const struct verb *verb_find(const char *name)
{
    for (unsigned i = 0; i < verb_count; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* A typing error deserves the right word, not the whole usage text. */
int verb_unknown(const char *word)
{
    struct nearest nearest = {.word = word};

    for (unsigned i = 0; i < verb_count; i++)
        nearest_offer(&nearest, verbs[i].name);
    if (*word == '-')
        log_error("%s: a verb comes first (hv run %s ...); see hv help", word, word);
    else if (nearest.best)
        log_error("%s: unknown verb (did you mean %s?); see hv help", word, nearest.best);
    else
        log_error("%s: unknown verb; see hv help", word);
    return STATUS_HV_FAILED;
}

/* Verbs and topics share one name space, so both are offered. */
static int unknown_topic(const char *word)
{
    struct nearest nearest = {.word = word};

    for (unsigned i = 0; i < verb_count; i++)
        nearest_offer(&nearest, verbs[i].name);
    for (unsigned i = 0; i < ARRAY_SIZE(topics); i++)
        if (!topics[i].hidden)
            nearest_offer(&nearest, topics[i].name);
    if (nearest.best)
        log_error("help %s: no such verb or topic (did you mean %s?)", word, nearest.best);
    else
        log_error("help %s: no such verb or topic; hv help lists them", word);
    return STATUS_HV_FAILED;
}

int cmd_help(int argc, char **argv)
{
    const struct verb *verb;

    if (argc < 2) {
        print_overview(stdout);
        return STATUS_OK;
    }
    if (argc > 2) {
        log_error("help: one verb or topic at a time");
        return STATUS_HV_FAILED;
    }
    verb = verb_find(argv[1]);
    if (verb || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        (verb ? verb->print_help : print_help_help)(stdout);
        return STATUS_OK;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(topics); i++)
        if (strcmp(topics[i].name, argv[1]) == 0) {
            topics[i].print(stdout);
            return STATUS_OK;
        }
    return unknown_topic(argv[1]);
}

int cmd_version(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_version_help(stdout);
        return STATUS_OK;
    }
    if (argc > 1) {
        log_error("version: takes no arguments");
        return STATUS_HV_FAILED;
    }
    puts("hv " HV_VERSION);
    return STATUS_OK;
}
