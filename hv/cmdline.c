/* The kernel's command line: see cmdline.h. */
#include "hv/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/config.h"
#include "hv/mode.h"
#include "hv/virtio_setup.h"

static char *compose(const struct vm_config *config)
{
    const char *base = config->cmdline ? config->cmdline : config->mode->cmdline;
    const char *append = config->append ? config->append : "";
    char *virtio = virtio_setup_cmdline(config), *line = NULL;
    int n = -1;

    if (virtio)
        n = asprintf(&line, "%s%s%s%s", base, virtio, *append && (*base || *virtio) ? " " : "",
                     append);
    free(virtio);
    return n < 0 ? NULL : line;
}

/* A longer line than the kernel takes would be cut silently, which is how options get lost. */
int cmdline_make(const struct vm_config *config, size_t most, char **out)
{
    size_t len;

    *out = compose(config);
    if (!*out) {
        log_error("the kernel command line: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    len = strlen(*out);
    if (len > most) {
        log_error("the kernel command line has %zu bytes, this kernel takes %zu", len, most);
        return -E2BIG;
    }
    return 0;
}
