/* The configuration that hv puts into the initramfs. See config.h. */
#include "firmware/init/config.h"

#include <string.h>

struct words {
    const char *at, *end; /* what was not read yet; the last byte is a NUL */
};

/* The next word, or NULL behind the last. */
static const char *next(struct words *w)
{
    const char *word = w->at;

    if (word == w->end)
        return NULL;
    w->at += strlen(word) + 1;
    return word;
}

/* NULL when there is none or it is empty. */
static const char *value(struct words *w)
{
    const char *word = next(w);

    return word && *word ? word : NULL;
}

static const char *file_system(struct config_share *share, struct words *w)
{
    share->tag = value(w);
    share->type = value(w);
    if (!share->tag || !share->type)
        return "a share without tag or type";
    if (strcmp(share->type, "9p") != 0 && strcmp(share->type, "virtiofs") != 0)
        return "a share that is neither 9p nor virtiofs";
    return NULL;
}

static const char *read_module(struct config *config, struct words *w)
{
    const char *file = value(w);

    if (!file)
        return "a module without a file";
    if (config->module_count == CONFIG_MODULES)
        return "too many modules";
    config->modules[config->module_count++] = file;
    return NULL;
}

static const char *read_root(struct config *config, struct words *w)
{
    if (config->root.tag)
        return "two roots";
    return file_system(&config->root, w);
}

static const char *read_share(struct config *config, struct words *w)
{
    struct config_share share = {0};
    const char *problem = file_system(&share, w), *mode;

    if (problem)
        return problem;
    mode = value(w);
    share.path = value(w);
    if (!mode || (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0))
        return "a share that is neither ro nor rw";
    if (!share.path || share.path[0] != '/')
        return "a share whose path is not absolute";
    if (config->share_count == CONFIG_SHARES)
        return "too many shares";
    share.writable = strcmp(mode, "rw") == 0;
    config->shares[config->share_count++] = share;
    return NULL;
}

static const char *read_net(struct config *config, struct words *w)
{
    const char *how = value(w);

    if (!how || strcmp(how, "dhcp") != 0)
        return "a network without dhcp";
    config->dhcp = true;
    return NULL;
}

static const char *read_hostname(struct config *config, struct words *w)
{
    config->hostname = value(w);
    return config->hostname ? NULL : "an empty host name";
}

static const struct {
    const char *word;
    const char *(*read)(struct config *config, struct words *w);
} keywords[] = {
    {"module", read_module}, {"root", read_root},         {"share", read_share},
    {"net", read_net},       {"hostname", read_hostname},
};

const char *config_parse(struct config *config, const char *text, size_t len)
{
    struct words w = {text, text + len};
    const char *word, *problem;

    *config = (struct config){0};
    if (len && text[len - 1] != '\0')
        return "the last word has no end";
    while ((word = next(&w))) {
        problem = "an unknown keyword";
        for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
            if (strcmp(word, keywords[i].word) == 0)
                problem = keywords[i].read(config, &w);
        }
        if (problem)
            return problem;
    }
    return NULL;
}
