/*
 * An IDE disk of 64 KiB whose sector n is full of the byte n: by ports, or with `dma` on the
 * command line by the bus master. guest-tests/run makes the disk (`disk =` in tests.cfg).
 */
#include "guest-tests/lib/ata.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "ata";

#define SECTORS 128
#define BAD     (ATA_ERROR | ATA_FAULT | ATA_BUSY)

static struct ata disk;
static uint8_t buffer[SECTORS * ATA_SECTOR] __attribute__((aligned(65536)));

static bool is_full_of(unsigned sector, uint8_t byte)
{
    for (unsigned i = 0; i < ATA_SECTOR; i++)
        if (buffer[sector * ATA_SECTOR + i] != byte)
            return false;
    return true;
}

static uint8_t read(uint64_t sector, unsigned count)
{
    return cmdline_has("dma") ? ata_dma(&disk, sector, count, buffer, false)
                              : ata_read(&disk, sector, count, buffer, false);
}

static uint8_t write(uint64_t sector, unsigned count)
{
    return cmdline_has("dma") ? ata_dma(&disk, sector, count, buffer, true)
                              : ata_write(&disk, sector, count, buffer, false);
}

static void test_read(void)
{
    bool same = true;

    group_begin("read");
    check_equal(disk.sectors, SECTORS, "capacity");
    check(!(read(5, 1) & BAD) && is_full_of(0, 5), "one sector");
    check(!(read(0, SECTORS) & BAD), "all of them at once");
    for (unsigned i = 0; i < SECTORS; i++)
        same = same && is_full_of(i, (uint8_t)i);
    check(same, "all their content");
    group_end();
}

static void test_write(void)
{
    group_begin("write");
    memset(buffer, 0xa5, 2 * ATA_SECTOR);
    check(!(write(7, 2) & BAD), "two sectors");
    check(!(ata_flush(&disk) & BAD), "flush");
    memset(buffer, 0, sizeof(buffer));
    check(!(read(6, 4) & BAD), "read back");
    check(is_full_of(1, 0xa5) && is_full_of(2, 0xa5), "what was written");
    check(is_full_of(0, 6) && is_full_of(3, 9), "the sectors around are untouched");
    group_end();
}

static void test_wide(void)
{
    group_begin("48-bit commands");
    if (check(disk.wide, "the disk knows them")) {
        check(!(ata_read(&disk, 100, 3, buffer, true) & BAD) && is_full_of(2, 102), "read");
        memset(buffer, 0x5a, ATA_SECTOR);
        check(!(ata_write(&disk, 50, 1, buffer, true) & BAD), "write");
        check(!(ata_read(&disk, 50, 1, buffer, true) & BAD) && is_full_of(0, 0x5a), "read back");
    }
    group_end();
}

static void test_errors(void)
{
    group_begin("errors");
    check(read(SECTORS, 1) & BAD, "a read behind the end");
    check(read(SECTORS - 1, 2) & BAD, "a read across the end");
    check(!(read(3, 1) & BAD) && is_full_of(0, 3), "a good one afterwards");
    group_end();
}

void guest_main(void)
{
    if (!check(ata_open(&disk), "there is a disk"))
        return;
    if (cmdline_has("dma") && !check(disk.bus_master != 0, "there is a bus master"))
        return;
    test_read();
    test_write();
    if (!cmdline_has("dma"))
        test_wide();
    test_errors();
}
