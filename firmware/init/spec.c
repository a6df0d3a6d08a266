/* From a command's description to what execve wants. See spec.h. */
#include "firmware/init/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returns what follows the number, or NULL: there is none, or it is too large. */
static const char *parse_number(uint16_t *number, const char *text)
{
    const char *p = text;
    unsigned n = 0;

    for (; *p >= '0' && *p <= '9' && n <= UINT16_MAX; p++)
        n = n * 10 + (unsigned)(*p - '0');
    if (p == text || n > UINT16_MAX)
        return NULL;
    *number = (uint16_t)n;
    return p;
}

/* "ROWSxCOLUMNS" */
static int parse_size(struct spec *spec, const char *text)
{
    const char *rest = parse_number(&spec->rows, text);

    if (!rest || *rest != 'x')
        return -EINVAL;
    rest = parse_number(&spec->columns, rest + 1);
    return rest && *rest == '\0' ? 0 : -EINVAL;
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
