/* The description of a command (wire.h), taken apart. */
#ifndef FIRMWARE_INIT_SPEC_H
#define FIRMWARE_INIT_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spec {
    char **argv, **envp; /* end in NULL; the strings lie in the text */
    const char *directory;
    bool terminal;
    uint16_t rows, columns;
};

/* 0, -EINVAL when the text is no description, -ENOMEM. On 0 the caller calls spec_free. */
int spec_parse(struct spec *spec, char *text, size_t len);
void spec_free(struct spec *spec);

#endif
