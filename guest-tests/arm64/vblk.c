/* A disk behind virtio-mmio: reads, writes, and an interrupt for each request. */
#include "guest-tests/arm64/lib/exception.h"
#include "guest-tests/arm64/lib/gic.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_blk.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "vblk";

static struct virtio_blk disk;
static volatile uint32_t interrupts;
static uint8_t buffer[4 * SECTOR], copy[4 * SECTOR];

static void interrupted(void)
{
    disk.dev.transport->ack_interrupt(&disk.dev);
    interrupts++;
}

/* Carries one request out, and wants its interrupt. */
static void request(const char *what, uint32_t type, uint64_t sector, uint32_t size, uint8_t status)
{
    uint32_t before = interrupts;

    check(virtio_blk_start(&disk, type, sector, buffer, size), "%s: sent", what);
    check(wait_until(&interrupts, before + 1), "%s: interrupt", what);
    check_equal(virtio_blk_end(&disk), status, "%s: status", what);
}

void guest_main(void)
{
    if (!virtio_blk_open(&disk, 0, 0))
        skip("no disk");
    interrupt_handle(INTID_SPI + disk.dev.gsi, interrupted);
    disk.dev.transport->route(&disk.dev, 0);
    virtq_listen(&disk.queue, true);
    check_equal(disk.sectors, 64, "sectors");
    request("read", BLK_IN, 7, sizeof(buffer), BLK_OK);
    for (unsigned i = 0; i < 4; i++)
        check_equal(buffer[i * SECTOR], 7 + i, "sector %u", 7 + i);
    memset(buffer, 0xa5, sizeof(buffer));
    memcpy(copy, buffer, sizeof(copy));
    request("write", BLK_OUT, 20, sizeof(buffer), BLK_OK);
    memset(buffer, 0, sizeof(buffer));
    request("read again", BLK_IN, 20, sizeof(buffer), BLK_OK);
    check(memcmp(buffer, copy, sizeof(buffer)) == 0, "what was written is there");
    request("flush", BLK_FLUSH, 0, 0, BLK_OK);
    request("read behind the end", BLK_IN, 64, SECTOR, BLK_IOERR);
}
