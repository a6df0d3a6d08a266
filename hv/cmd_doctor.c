/*
 * `hv doctor`: what this machine's KVM can do for hv, in plain words, found by trying rather than
 * by reading flags. Status 0: a stock kernel runs here. 1: only with limits. 125: KVM is not
 * usable.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/cmd.h"
#include "hv/kvm.h"
#include "hv/outcome.h"

#define MAX_PROBES    8
#define STATUS_LIMITS 1

struct findings {
    int open_error; /* -errno of the device, 0: open */
    int vm_error;   /* of creating a VM */
    double vm_ms;   /* of creating a VM */
    int max_vcpus;
    bool missing[ARCH_CAPABILITIES_MAX];
    bool usable; /* nothing required is missing */
    struct arch_probe probe[MAX_PROBES];
    unsigned probes;
    bool ring0_emulated, ring0_fails;
    bool host_virtual;
    char hypervisor[16];
    char huge_pages[32]; /* the host's policy for shared memory; "" unknown */
};

static void check_capabilities(struct findings *f, int vm)
{
    f->usable = true;
    for (unsigned i = 0; i < arch_capability_count; i++) {
        f->missing[i] = !kvm_check_extension(vm, arch_capabilities[i].number);
        f->usable &= !(f->missing[i] && arch_capabilities[i].required);
    }
    f->max_vcpus = kvm_check_extension(vm, KVM_CAP_MAX_VCPUS);
}

/* Tried, not asked: no capability says whether KVM interprets kernel code. */
static void run_probes(struct findings *f, const struct kvm *kvm)
{
    for (; f->probes < arch_probe_count && f->probes < MAX_PROBES; f->probes++) {
        struct arch_probe *p = &f->probe[f->probes];

        arch_probe_run(kvm, f->probes, p);
        if (p->ring0 && !p->ok)
            f->ring0_fails = true;
        if (p->ring0 && p->ok && p->instruction_ns >= ARCH_PROBE_EMULATED_NS)
            f->ring0_emulated = true;
    }
}

/* The chosen word of "always within_size advise [never] deny force". */
static void read_huge_pages(struct findings *f)
{
    char text[128], *open_bracket, *close_bracket;
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "re");

    if (!file)
        return;
    if (fgets(text, sizeof(text), file) && (open_bracket = strchr(text, '[')) &&
        (close_bracket = strchr(open_bracket, ']'))) {
        *close_bracket = '\0';
        snprintf(f->huge_pages, sizeof(f->huge_pages), "%s", open_bracket + 1);
    }
    fclose(file);
}

/* All that touches the machine; printing comes after, so that both formats say the same. */
static void examine(struct findings *f)
{
    struct kvm kvm = {.fd = -1};
    uint64_t start;
    int vm;

    f->host_virtual = arch_host_is_virtual(f->hypervisor, sizeof(f->hypervisor));
    read_huge_pages(f);
    f->open_error = kvm_open_quietly(&kvm, KVM_DEVICE);
    if (f->open_error)
        return;
    start = loop_now_ns();
    vm = kvm_create_vm(&kvm, (unsigned long)arch_vm_type(kvm.fd, 0));
    f->vm_ms = (double)(loop_now_ns() - start) / 1e6;
    if (vm < 0) {
        f->vm_error = vm;
    } else {
        check_capabilities(f, vm);
        close(vm);
        run_probes(f, &kvm);
    }
    kvm_close(&kvm);
}

static bool kvm_works(const struct findings *f)
{
    return !f->open_error && !f->vm_error && f->usable;
}

/* The exit status, for scripts: `hv doctor && hv run ...`. */
static int verdict(const struct findings *f)
{
    if (!kvm_works(f))
        return STATUS_HV_FAILED;
    return f->ring0_emulated || f->ring0_fails ? STATUS_LIMITS : STATUS_OK;
}

static const char *verdict_text(const struct findings *f)
{
    switch (verdict(f)) {
    case STATUS_OK:
        return "stock kernels run here";
    case STATUS_LIMITS:
        return "small guests run here; a stock Linux kernel does not (use the testbed: "
               "docs/testbed.md)";
    default:
        return "hv cannot run guests here (the testbed still can: docs/testbed.md)";
    }
}

static void print_probe(const struct arch_probe *p)
{
    if (p->ok)
        printf("  %-18s runs, %.1f ns an instruction, %.1f us %s\n", p->name, p->instruction_ns,
               p->exit_ns / 1000, arch_probe_exit);
    else
        printf("  %-18s fails: %s\n", p->name, p->failure);
}

/* What works, then what is missing and what that costs. */
static void print_kvm(const struct findings *f)
{
    printf("%s: works, a VM is made in %.2f ms, at most %d vCPUs\n", KVM_DEVICE, f->vm_ms,
           f->max_vcpus);
    for (unsigned i = 0; i < f->probes; i++)
        print_probe(&f->probe[i]);
    if (f->ring0_emulated)
        printf("guest kernels: interpreted by KVM instruction by instruction, some %.0f times "
               "slower than\n  user code; instructions that KVM lacks end the guest\n",
               f->probe[1].instruction_ns / (f->probe[2].ok ? f->probe[2].instruction_ns : 1));
    else if (!f->ring0_fails)
        printf("guest kernels: run on the processor itself\n");
    for (unsigned i = 0; i < arch_capability_count; i++)
        if (f->missing[i])
            printf("missing: %s%s: %s\n", arch_capabilities[i].name,
                   arch_capabilities[i].required ? " (hv needs it)" : "",
                   arch_capabilities[i].cost);
}

static void print_text(const struct findings *f)
{
    int err = f->open_error ? f->open_error : f->vm_error;

    if (err)
        printf("%s: %s\n  to mend it: %s\n", KVM_DEVICE, strerror(-err), kvm_advice(err));
    else
        print_kvm(f);
    if (f->host_virtual)
        printf("this host is itself a virtual machine (%s): %s\n", f->hypervisor,
               err ? "KVM needs nested virtualization from it" : "guests are nested");
    else
        printf("this host is not a virtual machine\n");
    if (strcmp(f->huge_pages, "never") == 0)
        printf("guest memory: anonymous, since files in memory get no huge pages here (to allow "
               "them:\n  echo advise | sudo tee "
               "/sys/kernel/mm/transparent_hugepage/shmem_enabled)\n");
    printf("verdict: %s\n", verdict_text(f));
}

static json_t *json_probes(const struct findings *f)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < f->probes; i++) {
        const struct arch_probe *p = &f->probe[i];

        json_array_append_new(list, json_pack("{s:s, s:b, s:f, s:f, s:s?}", "name", p->name, "ok",
                                              p->ok, "instruction_ns", p->instruction_ns, "exit_ns",
                                              p->exit_ns, "failure", p->ok ? NULL : p->failure));
    }
    return list;
}

static int print_json(const struct findings *f)
{
    int err = f->open_error ? f->open_error : f->vm_error;
    json_t *missing = json_array(), *o;
    int failed;

    for (unsigned i = 0; i < arch_capability_count; i++)
        if (f->missing[i])
            json_array_append_new(missing, json_string(arch_capabilities[i].name));
    o = json_pack("{s:b, s:s?, s:s?, s:i, s:f, s:i, s:b, s:b, s:s?, s:s, s:o, s:o, s:s}", "kvm",
                  !err, "error", err ? strerror(-err) : NULL, "advice",
                  err ? kvm_advice(err) : NULL, "status", verdict(f), "vm_create_ms", f->vm_ms,
                  "max_vcpus", f->max_vcpus, "ring0_emulated", f->ring0_emulated, "host_is_virtual",
                  f->host_virtual, "hypervisor", f->host_virtual ? f->hypervisor : NULL,
                  "shmem_huge_pages", f->huge_pages, "missing", missing, "probes", json_probes(f),
                  "verdict", verdict_text(f));
    failed = !o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(o);
    return failed;
}

int cmd_doctor(int argc, char **argv)
{
    static struct findings f;
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        verb_find("doctor")->print_help(stdout);
        return STATUS_OK;
    }
    if (argc > 1 && !json) {
        log_error("doctor: unknown argument \"%s\" (only --json)", argv[1]);
        return STATUS_HV_FAILED;
    }
    examine(&f);
    if (json) {
        if (print_json(&f))
            return STATUS_HV_FAILED;
    } else {
        print_text(&f);
    }
    if (fflush(stdout))
        return STATUS_HV_FAILED;
    return verdict(&f);
}
