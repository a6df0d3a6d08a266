/*
 * The options that make virtio devices: their values are checked against the table of the device,
 * wherever they came from. Main thread, at start-up.
 */
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/params.h"
#include "devices/table.h"
#include "devices/virtio/models.h"
#include "hv/config_table.h"
#include "hv/virtio_setup.h"

static int check_device(const char *option, const char *text, struct why *why)
{
    const struct virtio_type *type = virtio_type_find(option);

    if (!type)
        return why_set(why, "this hv was built without such a device");
    return params_check(type->params, virtio_setup_text(text), why->text, sizeof(why->text));
}

int check_disk(const char *text, struct why *why)
{
    return check_device("disk", text, why);
}

int check_net(const char *text, struct why *why)
{
    return check_device("net", text, why);
}

int check_rng(const char *text, struct why *why)
{
    return check_device("rng", text, why);
}

int check_share(const char *text, struct why *why)
{
    return check_device("share", text, why);
}

int check_balloon(const char *text, struct why *why)
{
    return check_device("balloon", text, why);
}

int check_virtio_console(const char *text, struct why *why)
{
    return check_device("virtio-console", text, why);
}

int check_virtio(const char *text, struct why *why)
{
    return params_check(&virtio_options, text, why->text, sizeof(why->text));
}

/* Two readers would each get some of the bytes. */
int check_stdin_once(const struct vm_config *config)
{
    bool serial = strcmp(config->console, "stdio") == 0;
    unsigned readers = serial;

    if (config->command_count) {
        /* A command's run has no console there unless it is asked for. */
        serial = serial && config_given(config, "console");
        readers = 1 + serial;
    }
    for (unsigned i = 0; i < config->virtio_console_count; i++)
        readers += virtio_console_stdin_readers(virtio_setup_text(config->virtio_console[i]));
    if (readers <= 1)
        return 0;
    if (config->command_count)
        log_error("%s: stdin is the command's (give the console a file)",
                  serial ? "--console stdio" : "--virtio-console");
    else
        log_error("--virtio-console %s: stdin can have one reader only%s",
                  config->virtio_console[0],
                  serial ? ", and --console stdio is one (add --console none)" : "");
    return -EINVAL;
}
