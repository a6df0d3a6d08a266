/*
 * The block device (virtio 1.2, 5.2): options, features, configuration, saved state. What happens
 * to requests is in blk_parse.c and blk_io.c. Created by the device table before vCPUs run;
 * configuration accesses come on vCPU threads under dev.lock.
 */
#include "devices/virtio/blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/models.h"

#define DEVICE_ID   2
#define SEGMENT_MAX (BLK_QUEUE_SIZE - 2) /* a chain less its header and its status */
#define SIZE_MAX_C  UINT32_C(0x400000)   /* bytes of a segment */

struct blk_options {
    char *file, *serial;
    unsigned format, cache, queues, iops;
    uint64_t bps;
    bool readonly, snapshot;
};

/* Only what is named: an image whose guest wrote another format's header into it stays raw. */
static const char *const formats[] = {"raw", NULL};
static const char *const caches[] = {
    [BLOCK_WRITEBACK] = "writeback", [BLOCK_NONE] = "none", [BLOCK_UNSAFE] = "unsafe", NULL};

static const struct param_row rows[] = {
    {.key = "file",
     .arg = "PATH",
     .type = PARAM_STRING,
     .offset = offsetof(struct blk_options, file),
     .required = true,
     .help = "Image file or host block device"},
    {.key = "format",
     .arg = "FORMAT",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct blk_options, format),
     .choices = formats,
     .initial = "raw",
     .help = "Format of the image; never guessed"},
    {.key = "readonly",
     .arg = "BOOL",
     .type = PARAM_BOOL,
     .offset = offsetof(struct blk_options, readonly),
     .help = "The guest cannot write"},
    {.key = "snapshot",
     .arg = "BOOL",
     .type = PARAM_BOOL,
     .offset = offsetof(struct blk_options, snapshot),
     .help = "What the guest writes is thrown away at the end"},
    {.key = "serial",
     .arg = "TEXT",
     .type = PARAM_STRING,
     .offset = offsetof(struct blk_options, serial),
     .help = "Serial number that the guest sees, up to 20 bytes"},
    {.key = "cache",
     .arg = "MODE",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct blk_options, cache),
     .choices = caches,
     .initial = "writeback",
     .help = "none: past the host's page cache; unsafe: a flush does nothing"},
    {.key = "queues",
     .arg = "N",
     .type = PARAM_COUNT,
     .offset = offsetof(struct blk_options, queues),
     .min = 1,
     .max = BLK_MAX_QUEUES,
     .initial = "1",
     .help = "Request queues"},
    {.key = "iops",
     .arg = "N",
     .type = PARAM_COUNT,
     .offset = offsetof(struct blk_options, iops),
     .help = "Requests a second at most; 0: no limit"},
    {.key = "bps",
     .arg = "BYTES",
     .type = PARAM_SIZE,
     .offset = offsetof(struct blk_options, bps),
     .help = "Bytes a second at most; 0: no limit"},
    {.key = NULL},
};

const struct params virtio_blk_params = {rows, sizeof(struct blk_options), "file"};

static struct blk *blk_of(struct virtio *v)
{
    return container_of(v, struct blk, v);
}

static int blk_activate(struct virtio *v)
{
    struct blk *blk = blk_of(v);

    blk->limits.discard = virtio_has(v, BLK_F_DISCARD);
    blk->limits.write_zeroes = virtio_has(v, BLK_F_WRITE_ZEROES);
    /* 5.2.5.2: a driver that cannot flush gets no write cache. */
    if (!virtio_has(v, BLK_F_FLUSH))
        v->config[BLK_C_WRITEBACK] = 0;
    return 0;
}

/* Only `writeback`, and only if that was agreed (5.2.5). */
static void blk_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *data)
{
    if (offset != BLK_C_WRITEBACK || size != 1 || data[0] > 1 || !virtio_has(v, BLK_F_CONFIG_WCE)) {
        log_guest("virtio-blk: a write to what is read-only of the configuration");
        return;
    }
    v->config[BLK_C_WRITEBACK] = data[0];
}

static void blk_save(struct virtio *v, struct state_writer *w)
{
    state_put_u64(w, blk_of(v)->limits.size);
    state_put_u8(w, v->config[BLK_C_WRITEBACK]);
}

static int blk_load(struct virtio *v, struct state_reader *r)
{
    uint64_t size = state_get_u64(r);
    uint8_t writeback = state_get_u8(r);

    if (r->error || size != blk_of(v)->limits.size || writeback > 1)
        return -EINVAL;
    v->config[BLK_C_WRITEBACK] = writeback;
    if (v->status & VIRTIO_STATUS_DRIVER_OK) {
        blk_of(v)->limits.discard = virtio_has(v, BLK_F_DISCARD);
        blk_of(v)->limits.write_zeroes = virtio_has(v, BLK_F_WRITE_ZEROES);
    }
    return 0;
}

static void blk_destroy(struct virtio *v)
{
    struct blk *blk = blk_of(v);

    /* What comes back from here on only counts; the transport and its lock may be gone. */
    if (blk->block)
        block_set_batch(blk->block, NULL, NULL);
    block_close(blk->block);
    blk_io_exit(blk);
    free(blk);
}

static const struct virtio_ops blk_ops = {
    .name = "virtio-blk",
    .id = DEVICE_ID,
    .activate = blk_activate,
    .kick = blk_kick,
    .stop = blk_stop,
    .config_write = blk_config_write,
    .save = blk_save,
    .load = blk_load,
    .destroy = blk_destroy,
};

static uint64_t features(const struct block_info *info, unsigned queues)
{
    uint64_t f = BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY | BLK_F_FLUSH;

    if (queues > 1)
        f |= BLK_F_MQ;
    if (info->readonly)
        return f | BLK_F_RO;
    f |= BLK_F_CONFIG_WCE | BLK_F_WRITE_ZEROES;
    return info->discard ? f | BLK_F_DISCARD : f;
}

static uint32_t log2_of(uint32_t v)
{
    return v ? 31u - (uint32_t)__builtin_clz(v) : 0;
}

static void set_config(struct blk *blk, const struct block_info *info)
{
    uint8_t *c = blk->v.config;
    uint32_t per_physical = info->physical / info->logical;
    uint32_t align = info->discard_alignment / BLOCK_SECTOR;

    blk->v.config_len = BLK_C_BYTES;
    store_le64(c + BLK_C_CAPACITY, info->size / BLOCK_SECTOR);
    store_le32(c + BLK_C_SIZE_MAX, SIZE_MAX_C);
    store_le32(c + BLK_C_SEG_MAX, SEGMENT_MAX);
    store_le32(c + BLK_C_BLK_SIZE, info->logical);
    c[BLK_C_PHYSICAL_EXP] = (uint8_t)log2_of(per_physical);
    store_le16(c + BLK_C_MIN_IO, (uint16_t)(per_physical < UINT16_MAX ? per_physical : 1));
    store_le32(c + BLK_C_OPT_IO, info->optimal / info->logical);
    c[BLK_C_WRITEBACK] = !info->readonly;
    store_le16(c + BLK_C_NUM_QUEUES, (uint16_t)blk->v.queue_count);
    if (blk->v.offered & BLK_F_DISCARD) {
        store_le32(c + BLK_C_MAX_DISCARD, BLK_MAX_RANGE);
        store_le32(c + BLK_C_MAX_DISCARD_SEG, BLK_MAX_SEGMENTS);
        store_le32(c + BLK_C_DISCARD_ALIGN, align ? align : 1);
    }
    if (blk->v.offered & BLK_F_WRITE_ZEROES) {
        store_le32(c + BLK_C_MAX_ZEROES, BLK_MAX_RANGE);
        store_le32(c + BLK_C_MAX_ZEROES_SEG, BLK_MAX_SEGMENTS);
        c[BLK_C_ZEROES_UNMAP] = info->write_zeroes;
    }
}

static int check_options(const struct blk_options *o)
{
    if (o->serial && strlen(o->serial) > BLK_ID_BYTES) {
        log_error("--disk: serial: \"%s\" is longer than %d bytes", o->serial, BLK_ID_BYTES);
        return -EINVAL;
    }
    return 0;
}

static int open_block(struct blk *blk, const struct blk_options *o, struct loop *loop)
{
    const struct block_config config = {.path = o->file,
                                        .readonly = o->readonly,
                                        .snapshot = o->snapshot,
                                        .cache = (enum block_cache)o->cache,
                                        .depth = BLK_SLOTS};
    int err = block_open(&config, loop, &blk->block);

    if (err)
        return err;
    if (blk_io_init(blk, loop)) {
        log_error("--disk: %s: out of memory", o->file);
        return -ENOMEM;
    }
    return 0;
}

static void set_up(struct blk *blk, const struct blk_options *o)
{
    const struct block_info *info = block_info(blk->block);
    uint64_t now = loop_now_ns();

    virtio_init(&blk->v, &blk_ops, o->queues, BLK_QUEUE_SIZE, features(info, o->queues));
    blk->limits.size = info->size;
    blk->limits.readonly = info->readonly;
    blk->zeroes_cost = !info->write_zeroes;
    bucket_init(&blk->iops, o->iops, 0, now);
    bucket_init(&blk->bps, o->bps, 0, now);
    if (o->serial)
        memcpy(blk->id, o->serial, strlen(o->serial));
    set_config(blk, info);
}

int virtio_blk_create(const char *text, struct loop *loop, struct virtio **out)
{
    struct blk_options o;
    struct blk *blk = NULL;
    char why[256];
    int err = params_parse(&virtio_blk_params, text, &o, why, sizeof(why));

    if (err) {
        log_error("--disk: %s", why);
        return err;
    }
    err = check_options(&o);
    if (!err) {
        blk = calloc(1, sizeof(*blk));
        err = blk ? open_block(blk, &o, loop) : -ENOMEM;
    }
    if (!err) {
        set_up(blk, &o);
        *out = &blk->v;
    } else if (blk) {
        blk_destroy(&blk->v);
    }
    params_free(&virtio_blk_params, &o);
    return err;
}
