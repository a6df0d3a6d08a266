/*
 * From a chain of guest memory to a checked command (virtio 1.2, 5.2.6). Pure: reads each byte of
 * the guest once, changes nothing. The header and the status byte may be cut in any way over
 * descriptors (2.7.4.1). Called by blk_io.c under dev.lock, and by the tests.
 */
#include "devices/core/util.h"
#include "devices/virtio/blk.h"

#define RANGE_BYTES 16 /* struct virtio_blk_discard_write_zeroes */
#define F_UNMAP     1u

/* Sectors to bytes, for a range inside the disk. False: it is not, or is empty. */
static bool locate(const struct blk_limits *limits, uint64_t sector, uint64_t len,
                   struct blk_range *range)
{
    uint64_t offset;

    if (len == 0 || len % BLOCK_SECTOR != 0 ||
        __builtin_mul_overflow(sector, (uint64_t)BLOCK_SECTOR, &offset) ||
        !range_fits(offset, len, limits->size))
        return false;
    *range = (struct blk_range){.offset = offset, .len = len};
    return true;
}

/* OK means: nothing was found wrong, go on. */
static uint8_t parse_transfer(const struct blk_limits *limits, uint64_t sector, uint64_t len,
                              struct blk_command *cmd)
{
    cmd->ranges = 1;
    return locate(limits, sector, len, &cmd->range[0]) ? BLK_S_OK : BLK_S_IOERR;
}

static uint8_t parse_range(const struct blk_limits *limits, const uint8_t *raw, bool discard,
                           struct blk_range *range)
{
    uint64_t sector = load_le64(raw);
    uint32_t sectors = load_le32(raw + 8), flags = load_le32(raw + 12);

    /* 5.2.6.2: unknown flags, and unmap with discard. */
    if (flags & ~F_UNMAP || (discard && flags & F_UNMAP))
        return BLK_S_UNSUPP;
    if (sectors > BLK_MAX_RANGE || !locate(limits, sector, (uint64_t)sectors * BLOCK_SECTOR, range))
        return BLK_S_IOERR;
    range->unmap = flags & F_UNMAP;
    return BLK_S_OK;
}

static uint8_t parse_ranges(const struct blk_limits *limits, const struct virtq_chain *chain,
                            struct blk_command *cmd)
{
    uint8_t raw[BLK_MAX_SEGMENTS * RANGE_BYTES];
    uint64_t len = chain->out_len - BLK_HEADER_BYTES;
    uint8_t status = BLK_S_OK;

    if (len == 0 || len % RANGE_BYTES != 0 || len > sizeof(raw))
        return BLK_S_IOERR;
    virtq_chain_read(chain, BLK_HEADER_BYTES, raw, (size_t)len);
    cmd->ranges = (unsigned)(len / RANGE_BYTES);
    /* All are looked at before the first is carried out. */
    for (unsigned i = 0; i < cmd->ranges && status == BLK_S_OK; i++)
        status = parse_range(limits, raw + (size_t)i * RANGE_BYTES, cmd->op == BLOCK_DISCARD,
                             &cmd->range[i]);
    return status;
}

static uint8_t parse_write(const struct blk_limits *limits, const struct virtq_chain *chain,
                           uint32_t type, uint64_t sector, struct blk_command *cmd)
{
    if ((type == BLK_T_DISCARD && !limits->discard) ||
        (type == BLK_T_WRITE_ZEROES && !limits->write_zeroes))
        return limits->readonly ? BLK_S_IOERR : BLK_S_UNSUPP;
    if (limits->readonly)
        return BLK_S_IOERR;
    if (type != BLK_T_OUT) {
        cmd->op = type == BLK_T_DISCARD ? BLOCK_DISCARD : BLOCK_ZERO;
        return parse_ranges(limits, chain, cmd);
    }
    cmd->op = BLOCK_WRITE;
    return parse_transfer(limits, sector, chain->out_len - BLK_HEADER_BYTES, cmd);
}

bool blk_parse(const struct blk_limits *limits, const struct virtq_chain *chain,
               struct blk_command *cmd)
{
    uint8_t header[BLK_HEADER_BYTES];
    uint64_t sector;
    uint32_t type;

    cmd->action = BLK_ANSWER;
    cmd->status = BLK_S_IOERR;
    cmd->ranges = 0;
    if (chain->in_len == 0)
        return false;
    if (virtq_chain_read(chain, 0, header, sizeof(header)) < sizeof(header))
        return true;
    type = load_le32(header);
    sector = load_le64(header + 8);
    switch (type) {
    case BLK_T_IN:
        cmd->op = BLOCK_READ;
        cmd->status = parse_transfer(limits, sector, chain->in_len - 1, cmd);
        break;
    case BLK_T_OUT:
    case BLK_T_DISCARD:
    case BLK_T_WRITE_ZEROES:
        cmd->status = parse_write(limits, chain, type, sector, cmd);
        break;
    case BLK_T_FLUSH:
        cmd->op = BLOCK_FLUSH;
        cmd->status = BLK_S_OK;
        break;
    case BLK_T_GET_ID:
        cmd->action = BLK_IDENTIFY;
        return true;
    default:
        cmd->status = BLK_S_UNSUPP;
        break;
    }
    if (cmd->status == BLK_S_OK)
        cmd->action = BLK_IO;
    return true;
}
