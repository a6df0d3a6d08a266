/* --share values: see share.h. */
#include "hv/command/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/params.h"
#include "devices/virtio/models.h"
/* Takes `text`. */
static int split(char *text, struct share_value *out, char *why, size_t cap)
{
    struct share_dir dir;

    out->host = text;
    if (!share_split(text, &dir)) {
        snprintf(why, cap, "HOST:GUEST is asked for, and :rw behind it if the guest may write");
        return -EINVAL;
    }
    out->writable = dir.writable;
    out->guest = strdup(dir.tag);
    if (out->guest)
        return 0;
    snprintf(why, cap, "out of memory");
    return -ENOMEM;
}

int share_parse(const char *text, struct share_value *out, char *why, size_t cap)
{
    struct share_config values;
    int err = params_parse(&virtio_share_params, text, &values, why, cap);

    *out = (struct share_value){0};
    if (err)
        return err;
    out->via = (enum share_via)values.via;
    return split(values.dir, out, why, cap);
}

void share_free(struct share_value *share)
{
    free(share->host);
    free(share->guest);
    *share = (struct share_value){0};
}

char *share_text(const char *host, const char *tag, bool writable, enum share_via via)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    /* In quotes, so that only quotes need doubling. */
    fputs("dir=\"", out);
    for (; *host; host++) {
        if (*host == '"')
            fputc('"', out);
        fputc(*host, out);
    }
    fprintf(out, ":%s%s\"", tag, writable ? ":rw" : "");
    if (via != SHARE_VIA_AUTO)
        fprintf(out, ",via=%s", share_vias[via]);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
