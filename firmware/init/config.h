/* What hv asks of the guest's set-up: the word list WIRE_CONFIG, see wire.h. Pure. */
#ifndef FIRMWARE_INIT_CONFIG_H
#define FIRMWARE_INIT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum {
    CONFIG_MODULES = 128,
    CONFIG_SHARES = 64,
};

struct config_share {
    const char *tag, *type; /* type: "9p" or "virtiofs" */
    const char *path;       /* absolute; NULL for the root */
    bool writable;
};

/* The strings lie in the text that config_parse was given. */
struct config {
    const char *modules[CONFIG_MODULES];
    size_t module_count;
    struct config_share root; /* tag NULL: there is none */
    struct config_share shares[CONFIG_SHARES];
    size_t share_count;
    const char *hostname; /* NULL: as the kernel has it */
    bool dhcp;
};

/*
 * Fills `config` from `len` bytes of words. NULL when all is well, else what is wrong, for people;
 * `config` is then of no use.
 */
const char *config_parse(struct config *config, const char *text, size_t len);

#endif
