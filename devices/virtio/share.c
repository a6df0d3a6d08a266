/* The option --share: see share.h. Called through the device table. */
#include "devices/virtio/share.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/virtio/models.h"

const char *const share_vias[] = {
    [SHARE_VIA_AUTO] = "auto", [SHARE_VIA_9P] = "9p", [SHARE_VIA_VIRTIOFS] = "virtiofs", NULL};

static const struct param_row rows[] = {
    {.key = "dir",
     .arg = "HOST:GUEST[:rw]",
     .type = PARAM_STRING,
     .offset = offsetof(struct share_config, dir),
     .required = true,
     .help =
         "Directory of the host; its mount tag, by custom the place in the guest; rw: writable"},
    {.key = "via",
     .arg = "HOW",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct share_config, via),
     .choices = share_vias,
     .initial = "auto",
     .help =
         "9p, or virtiofs by the program virtiofsd; auto: 9p, unless a command's kernel lacks it"},
    {.key = NULL},
};

const struct params virtio_share_params = {rows, sizeof(struct share_config), "dir"};

bool share_split(char *text, struct share_dir *dir)
{
    char *colon = strrchr(text, ':');

    dir->writable = colon && strcmp(colon, ":rw") == 0;
    if (colon && (dir->writable || strcmp(colon, ":ro") == 0)) {
        *colon = '\0';
        colon = strrchr(text, ':');
    }
    if (!colon || colon == text || colon[1] == '\0')
        return false;
    *colon = '\0';
    dir->host = text;
    dir->tag = colon + 1;
    return true;
}

void share_explain(const struct share_dir *dir, int err)
{
    if (err == -ENOTDIR)
        log_error("--share %s: not a directory (share the directory it is in)", dir->host);
    else
        log_error("--share %s: cannot open: %s%s", dir->host, strerror(-err),
                  err == -ENOENT ? " (check the path)" : "");
}

static int create(struct share_config *config, struct loop *loop, struct virtio **out)
{
    bool fs = config->via == SHARE_VIA_VIRTIOFS;
    size_t most = fs ? SHARE_FS_TAG_MAX : SHARE_9P_TAG_MAX;
    struct share_dir dir;

    if (!share_split(config->dir, &dir)) {
        log_error("--share %s: HOST:GUEST is asked for, and :rw behind it if the guest may write "
                  "(--share src:/src:rw)",
                  config->dir);
        return -EINVAL;
    }
    if (strlen(dir.tag) > most) {
        log_error("--share %s: %s: longer than a mount tag may be (%zu bytes)", dir.host, dir.tag,
                  most);
        return -EINVAL;
    }
    return (fs ? virtio_fs_create : virtio_9p_create)(&dir, loop, out);
}

int virtio_share_create(const char *text, struct loop *loop, struct virtio **out)
{
    struct share_config config;
    char why[200];
    int err = params_parse(&virtio_share_params, text, &config, why, sizeof(why));

    if (err) {
        log_error("--share: %s", why);
        return err;
    }
    err = create(&config, loop, out);
    params_free(&virtio_share_params, &config);
    return err;
}
