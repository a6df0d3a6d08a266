/*
 * From the options to a machine that runs a command: see plan.h. Everything is found out and made
 * first, and the configuration changed at the end of it.
 */
#include "hv/command/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "firmware/init/image.h"
#include "firmware/init/wire.h"
#include "hv/command/initramfs.h"
#include "hv/command/kernel_info.h"
#include "hv/command/modules.h"
#include "hv/command/need.h"
#include "hv/command/root.h"
#include "hv/command/share.h"
#include "hv/config_table.h"

#define ROOT_TAG       "hv.root"
#define MEMORY_DEFAULT GIB
/* The guest's first program reads no more. */
#define GUEST_CONFIG_MAX (64 * KIB - 1)

struct plan {
    struct vm_config *config;
    char *modules_dir; /* owned; NULL: none */
    struct modules *modules;
    enum share_via via;                 /* of all shares that do not say theirs */
    char *share[CONFIG_MAX_VIRTIO + 1]; /* new values, owned until they are the configuration's */
    unsigned share_count;
    char *guest; /* WIRE_CONFIG; owned */
    size_t guest_size;
};

/* Words for the guest's first program, each with its NUL. */
static void say(FILE *out, const char *word)
{
    fwrite(word, 1, strlen(word) + 1, out);
}

static const char *type_of(enum share_via via)
{
    return via == SHARE_VIA_VIRTIOFS ? "virtiofs" : "9p";
}

/* Only another server than the default is named, so that any hv's --share understands it. */
static int offer(struct plan *p, const char *host, const char *tag, bool writable,
                 enum share_via via)
{
    char *text = share_text(host, tag, writable, via == SHARE_VIA_VIRTIOFS ? via : SHARE_VIA_AUTO);

    if (!text)
        return -ENOMEM;
    p->share[p->share_count++] = text;
    return 0;
}

/* Tags of our own: a place in the guest may be longer than a tag. */
static int plan_share(struct plan *p, unsigned index, FILE *out)
{
    struct share_value share;
    char tag[24], why[200];
    int err = share_parse(p->config->share[index], &share, why, sizeof(why));

    snprintf(tag, sizeof(tag), "hv.share%u", index);
    if (!err && share.via == SHARE_VIA_AUTO)
        share.via = p->via;
    if (!err)
        err = offer(p, share.host, tag, share.writable, share.via);
    if (!err) {
        say(out, "share");
        say(out, tag);
        say(out, type_of(share.via));
        say(out, share.writable ? "rw" : "ro");
        say(out, share.guest);
    }
    share_free(&share);
    return err;
}

static int plan_mounts(struct plan *p, FILE *out)
{
    int err = offer(p, root_dir(p->config), ROOT_TAG, false, p->via);

    say(out, "root");
    say(out, ROOT_TAG);
    say(out, type_of(p->via));
    for (unsigned i = 0; !err && i < p->config->share_count; i++)
        err = plan_share(p, i, out);
    return err;
}

static void plan_modules(const struct plan *p, FILE *out)
{
    for (unsigned i = 0; i < modules_count(p->modules); i++) {
        say(out, "module");
        fputs(INITRAMFS_MODULES, out);
        say(out, initramfs_module_name(modules_file(p->modules, i)));
    }
}

/* A card without a network has no one who would give it an address. */
static bool wants_dhcp(const struct vm_config *config)
{
    return config->net_count && strncmp(config->net[0], "none", 4) != 0;
}

static int plan_guest(struct plan *p)
{
    FILE *out = open_memstream(&p->guest, &p->guest_size);
    int err = out ? 0 : -ENOMEM;

    if (!err) {
        plan_modules(p, out);
        err = plan_mounts(p, out);
        if (wants_dhcp(p->config)) {
            say(out, "net");
            say(out, "dhcp");
        }
        say(out, "hostname");
        say(out, p->config->name);
        if (fclose(out))
            err = -ENOMEM;
    }
    if (err) {
        log_error("out of memory");
    } else if (p->guest_size > GUEST_CONFIG_MAX) {
        log_error("--share: the places of all shares are too long (%zu bytes, at most %u)",
                  p->guest_size, (unsigned)GUEST_CONFIG_MAX);
        err = -E2BIG;
    }
    return err;
}

static int make_initramfs(const struct plan *p)
{
    const char *module[MODULES_MAX_FILES];
    struct initramfs what = {.init = init_image,
                             .init_size = init_image_size,
                             .config = p->guest,
                             .config_size = p->guest_size,
                             .modules_dir = p->modules_dir,
                             .module = module,
                             .module_count = modules_count(p->modules)};

    for (unsigned i = 0; i < what.module_count; i++)
        module[i] = modules_file(p->modules, i);
    return initramfs_make(&what);
}

/* Whether the kernel's command line has a word that starts so. */
static bool has_word(const char *line, const char *start)
{
    for (const char *word = line; *word; word += strcspn(word, " \t")) {
        word += strspn(word, " \t");
        if (strncmp(word, start, strlen(start)) == 0)
            return true;
    }
    return false;
}

/* A panic ends the run at once, and what the kernel only notes is not in its last lines, which are
 * shown when a run goes wrong. What the user says of it stands. */
static char *make_append(const struct vm_config *config)
{
    const char *users = config->append ? config->append : "";
    bool quiet = has_word(users, "loglevel=") || has_word(users, "quiet") ||
                 has_word(users, "debug") || has_word(users, "ignore_loglevel");
    char *text;

    if (asprintf(&text, "%s%s%s", quiet ? "" : "loglevel=5 ",
                 has_word(users, "panic=") ? "" : "panic=-1 ", users) < 0)
        return NULL;
    text[strlen(text) - (*users ? 0 : strlen(text) > 0)] = '\0'; /* no space at the end */
    return text;
}

static uint64_t host_memory(void)
{
    struct sysinfo info;

    return sysinfo(&info) ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

/* What people run in a guest is more than a kernel's start, for which the other default is. */
static void set_memory(struct vm_config *config)
{
    if (!config_given(config, "memory") && host_memory() >= 2 * MEMORY_DEFAULT)
        config->memory = MEMORY_DEFAULT;
}

/* Nothing but memory can be lacking here; then the configuration stays as it is. */
static int apply(struct plan *p, int initrd)
{
    struct vm_config *config = p->config;
    char *console = config_given(config, "console") ? NULL : strdup("none");
    char *append = config->cmdline ? NULL : make_append(config);
    char *path;

    if (asprintf(&path, "/proc/self/fd/%d", initrd) < 0)
        path = NULL;
    if (!path || (!console && !config_given(config, "console")) || (!append && !config->cmdline)) {
        log_error("out of memory");
        free(path);
        free(append);
        free(console);
        return -ENOMEM;
    }
    config->initrd[config->initrd_count++] = path;
    for (unsigned i = 0; i < config->share_count; i++)
        free(config->share[i]);
    memcpy(config->share, p->share, sizeof(p->share));
    config->share_count = p->share_count;
    p->share_count = 0;
    if (append) {
        free(config->append);
        config->append = append;
    }
    if (console) {
        free(config->console);
        config->console = console;
    }
    set_memory(config);
    return 0;
}

/* What the kernel has, and what it therefore must load. */
static int look_at_kernel(struct plan *p)
{
    const struct vm_config *config = p->config;
    char release[KERNEL_RELEASE_MAX];
    int err = kernel_release(config->kernel, release);

    if (!err)
        err = kernel_modules(config->kernel, release, config->modules, &p->modules_dir);
    if (!err)
        err = modules_open(&p->modules, p->modules_dir);
    return err ? err : need_modules(p->modules, config, p->modules_dir, &p->via);
}

int command_plan(struct vm_config *config, int *initrd)
{
    struct plan p = {.config = config};
    int err = root_check(config);

    *initrd = -1;
    if (!err)
        err = look_at_kernel(&p);
    if (!err)
        err = plan_guest(&p);
    if (!err) {
        *initrd = make_initramfs(&p);
        err = *initrd < 0 ? *initrd : apply(&p, *initrd);
    }
    if (err && *initrd >= 0)
        close(*initrd);
    if (err)
        *initrd = -1;
    while (p.share_count)
        free(p.share[--p.share_count]);
    free(p.guest);
    free(p.modules_dir);
    modules_close(p.modules);
    return err;
}

int command_plan_add_port(struct vm_config *config, int fd)
{
    const char *before = config->virtio_console_count ? config->virtio_console[0] : "";
    char *text;

    if (asprintf(&text, "%s%sport=" WIRE_PORT ":fd:%d", before, *before ? "," : "", fd) < 0) {
        log_error("out of memory");
        return -ENOMEM;
    }
    if (config->virtio_console_count)
        free(config->virtio_console[0]);
    config->virtio_console[0] = text;
    config->virtio_console_count = 1;
    return 0;
}
