/* What a command needs of its kernel: see need.h. */
#include "hv/command/need.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/config.h"

struct needs {
    struct modules *modules;
    char lacking[256]; /* options, with commas between them */
    int err;
};

static void lack(struct needs *n, const char *option)
{
    size_t len = strlen(n->lacking);

    snprintf(n->lacking + len, sizeof(n->lacking) - len, "%s%s", len ? ", " : "", option);
}

static void load(struct needs *n, const char *module)
{
    if (!n->err)
        n->err = modules_add(n->modules, module);
}

/* `option` is that of the kernel's configuration; NULL: the guest can do without. */
static void want(struct needs *n, const char *module, const char *option)
{
    if (modules_state(n->modules, module) != MODULE_MISSING)
        load(n, module);
    else if (option)
        lack(n, option);
}

/* How sure it is that the kernel has it: 2 is, 1 may be, 0 is not. */
static int sure(const struct modules *m, const char *module)
{
    switch (modules_state(m, module)) {
    case MODULE_BUILTIN:
    case MODULE_FILE:
        return 2;
    case MODULE_UNKNOWN:
        return 1;
    default:
        return 0;
    }
}

/* 9p by default: hv serves it by itself, while virtiofs needs a program that may not be there. */
static enum share_via choose(const struct modules *m)
{
    int p9 = sure(m, "9p"), transport = sure(m, "9pnet_virtio");

    if (transport < p9)
        p9 = transport;
    return sure(m, "virtiofs") > p9 ? SHARE_VIA_VIRTIOFS : SHARE_VIA_9P;
}

static bool any_share_by(const struct vm_config *config, enum share_via via)
{
    for (unsigned i = 0; i < config->share_count; i++) {
        struct share_value share;
        char why[200];
        bool found =
            share_parse(config->share[i], &share, why, sizeof(why)) == 0 && share.via == via;

        share_free(&share);
        if (found)
            return true;
    }
    return false;
}

static void want_file_systems(struct needs *n, const struct vm_config *config, enum share_via via)
{
    if (!sure(n->modules, "9p") && !sure(n->modules, "virtiofs"))
        lack(n, "CONFIG_9P_FS and CONFIG_NET_9P_VIRTIO (or CONFIG_VIRTIO_FS)");
    else if (!sure(n->modules, "9pnet_virtio") && !sure(n->modules, "virtiofs"))
        lack(n, "CONFIG_NET_9P_VIRTIO (or CONFIG_VIRTIO_FS)");
    else {
        if (via == SHARE_VIA_9P || any_share_by(config, SHARE_VIA_9P)) {
            want(n, "9pnet_virtio", "CONFIG_NET_9P_VIRTIO");
            want(n, "9p", "CONFIG_9P_FS");
        }
        if (via == SHARE_VIA_VIRTIOFS || any_share_by(config, SHARE_VIA_VIRTIOFS))
            want(n, "virtiofs", "CONFIG_VIRTIO_FS");
    }
    want(n, "overlay", "CONFIG_OVERLAY_FS");
}

static void want_devices(struct needs *n, const struct vm_config *config)
{
    if (config->bus == BUS_PCI)
        want(n, "virtio_pci", "CONFIG_VIRTIO_PCI");
    else
        want(n, "virtio_mmio", "CONFIG_VIRTIO_MMIO");
    want(n, "virtio_console", "CONFIG_VIRTIO_CONSOLE");
    if (config->net_count) {
        want(n, "virtio_net", "CONFIG_VIRTIO_NET");
        want(n, "af_packet", NULL);
    }
    if (config->disk_count)
        want(n, "virtio_blk", NULL);
    if (config->rng_count)
        want(n, "virtio_rng", NULL);
    if (config->balloon_count)
        want(n, "virtio_balloon", NULL);
}

int need_modules(struct modules *m, const struct vm_config *config, const char *dir,
                 enum share_via *via)
{
    struct needs n = {.modules = m};

    *via = choose(m);
    want_devices(&n, config);
    want_file_systems(&n, config, *via);
    if (n.err || !n.lacking[0])
        return n.err;
    log_error("%s: this kernel cannot run a command: by %s/modules.builtin and modules.dep it "
              "lacks %s",
              config->kernel, dir ? dir : "", n.lacking);
    return -ENOEXEC;
}
