/* From a command's description to what execve wants. See spec.h. */
#include "firmware/init/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "ROWSxCOLUMNS" */
static int parse_size(struct spec *spec, const char *text)
{
    char *end;
    unsigned long rows = strtoul(text, &end, 10), columns;

    if (end == text || *end != 'x')
        return -EINVAL;
    text = end + 1;
    columns = strtoul(text, &end, 10);
    if (end == text || *end || rows > UINT16_MAX || columns > UINT16_MAX)
        return -EINVAL;
    spec->rows = (uint16_t)rows;
    spec->columns = (uint16_t)columns;
    return 0;
}

static int add_record(struct spec *spec, char *record, size_t *args, size_t *envs)
{
    char *rest = record + 1;

    switch (record[0]) {
    case 'a':
        spec->argv[(*args)++] = rest;
        return 0;
    case 'e':
        spec->envp[(*envs)++] = rest;
        return 0;
    case 'd':
        if (spec->directory)
            return -EINVAL;
        spec->directory = rest;
        return 0;
    case 't':
        if (spec->terminal)
            return -EINVAL;
        spec->terminal = true;
        return parse_size(spec, rest);
    default: /* an empty record too */
        return -EINVAL;
    }
}

static int parse_records(struct spec *spec, char *text, const char *end)
{
    size_t args = 0, envs = 0;
    int err = 0;

    for (char *p = text; p < end && !err; p += strlen(p) + 1)
        err = add_record(spec, p, &args, &envs);
    if (!err && args == 0)
        return -EINVAL;
    return err;
}

int spec_parse(struct spec *spec, char *text, size_t len)
{
    size_t args = 0, envs = 0;
    int err;

    *spec = (struct spec){0};
    if (len == 0 || text[len - 1] != '\0')
        return -EINVAL;
    for (const char *p = text; p < text + len; p += strlen(p) + 1) {
        args += *p == 'a';
        envs += *p == 'e';
    }
    spec->argv = calloc(args + 1, sizeof(*spec->argv));
    spec->envp = calloc(envs + 1, sizeof(*spec->envp));
    err = spec->argv && spec->envp ? parse_records(spec, text, text + len) : -ENOMEM;
    if (err)
        spec_free(spec);
    return err;
}

void spec_free(struct spec *spec)
{
    free(spec->argv);
    free(spec->envp);
    *spec = (struct spec){0};
}
