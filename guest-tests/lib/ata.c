/* An IDE disk, by ports and by DMA; see ata.h. */
#include "guest-tests/lib/ata.h"

#include <stddef.h>

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/pci.h"

/* ATA/ATAPI-6, 7: the registers of the first channel */
#define PORT_DATA    0x1f0
#define PORT_COUNT   0x1f2
#define PORT_LBA     0x1f3 /* three bytes */
#define PORT_DEVICE  0x1f6
#define PORT_COMMAND 0x1f7 /* read: status */
#define PORT_CONTROL 0x3f6
#define DEVICE_LBA   0xe0
#define NO_INTERRUPT 0x02

enum {
    READ = 0x20,
    READ_WIDE = 0x24,
    WRITE = 0x30,
    WRITE_WIDE = 0x34,
    READ_DMA = 0xc8,
    WRITE_DMA = 0xca,
    FLUSH = 0xe7,
    IDENTIFY = 0xec
};

/* Words of what IDENTIFY answers (ATA/ATAPI-6, 8.15) */
#define ID_SECTORS      60
#define ID_COMMANDS     83
#define ID_WIDE         0x0400
#define ID_SECTORS_WIDE 100

/* Bus master: ports of the first channel */
#define BM_COMMAND   0
#define BM_STATUS    2
#define BM_TABLE     4
#define BM_START     0x01
#define BM_TO_MEMORY 0x08
#define BM_ACTIVE    0x01
#define BM_ERROR     0x02
#define BM_INTERRUPT 0x04

#define CLASS_IDE    0x0101
#define BAR_MASTER   (PCI_BAR + 4 * 4)
#define POLLS        1000000

/* Until the disk is no longer busy; its status then, with ATA_BUSY if it stays so. */
static uint8_t wait_ready(void)
{
    uint8_t status = ATA_BUSY;

    for (unsigned i = 0; i < POLLS && status & ATA_BUSY; i++)
        status = in8(PORT_COMMAND);
    return status;
}

static void put_position(uint64_t sector, unsigned count, bool wide)
{
    out8(PORT_DEVICE, (uint8_t)(DEVICE_LBA | (wide ? 0 : sector >> 24 & 0xf)));
    if (wide) { /* each register is a queue of two: the high bytes go first (6.20) */
        out8(PORT_COUNT, (uint8_t)(count >> 8));
        for (unsigned i = 0; i < 3; i++)
            out8((uint16_t)(PORT_LBA + i), (uint8_t)(sector >> (24 + 8 * i)));
    }
    out8(PORT_COUNT, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++)
        out8((uint16_t)(PORT_LBA + i), (uint8_t)(sector >> (8 * i)));
}

static bool is_bad(uint8_t status)
{
    return status & (ATA_ERROR | ATA_FAULT | ATA_BUSY);
}

/* PIO data in (9.5): the disk says for each sector that its data can be fetched. */
static uint8_t fetch(unsigned count, uint16_t *data)
{
    uint8_t status = wait_ready();

    for (; count && !is_bad(status) && status & ATA_DRQ; count--) {
        for (unsigned i = 0; i < ATA_SECTOR / 2; i++)
            *data++ = in16(PORT_DATA);
        status = wait_ready();
    }
    return count ? status | ATA_ERROR : status;
}

uint8_t ata_read(struct ata *disk, uint64_t sector, unsigned count, void *data, bool wide)
{
    (void)disk;
    put_position(sector, count, wide);
    out8(PORT_COMMAND, wide ? READ_WIDE : READ);
    return fetch(count, data);
}

uint8_t ata_write(struct ata *disk, uint64_t sector, unsigned count, const void *data, bool wide)
{
    const uint16_t *from = data;
    uint8_t status;

    (void)disk;
    put_position(sector, count, wide);
    out8(PORT_COMMAND, wide ? WRITE_WIDE : WRITE);
    status = wait_ready();
    for (; count && !is_bad(status) && status & ATA_DRQ; count--) {
        for (unsigned i = 0; i < ATA_SECTOR / 2; i++)
            out16(PORT_DATA, *from++);
        status = wait_ready();
    }
    return count ? status | ATA_ERROR : status;
}

uint8_t ata_flush(struct ata *disk)
{
    (void)disk;
    out8(PORT_DEVICE, DEVICE_LBA);
    out8(PORT_COMMAND, FLUSH);
    return wait_ready();
}

/* The PCI function that is an IDE controller tells where its bus master's ports are. */
static uint16_t find_bus_master(void)
{
    for (uint32_t function = 0; pci_present() && function < 256; function++) {
        if (pci_read32(function, PCI_CLASS) >> 16 != CLASS_IDE)
            continue;
        pci_write16(function, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
        return (uint16_t)(pci_read32(function, BAR_MASTER) & 0xfffc);
    }
    return 0;
}

bool ata_open(struct ata *disk)
{
    static uint16_t id[ATA_SECTOR / 2];

    out8(PORT_CONTROL, NO_INTERRUPT);
    out8(PORT_DEVICE, DEVICE_LBA);
    out8(PORT_COMMAND, IDENTIFY);
    if (in8(PORT_COMMAND) == 0 || in8(PORT_COMMAND) == 0xff || is_bad(fetch(1, id)))
        return false;
    disk->wide = id[ID_COMMANDS] & ID_WIDE;
    disk->sectors = id[ID_SECTORS] | (uint32_t)id[ID_SECTORS + 1] << 16;
    if (disk->wide)
        disk->sectors = id[ID_SECTORS_WIDE] | (uint64_t)id[ID_SECTORS_WIDE + 1] << 16 |
                        (uint64_t)id[ID_SECTORS_WIDE + 2] << 32;
    disk->bus_master = find_bus_master();
    return true;
}

/* One entry of the table that the bus master reads: 8 bytes, on 4; the last has its top bit set. */
static struct {
    uint32_t address;
    uint16_t bytes, flags; /* 0 bytes: 64 KiB */
} table[1] __attribute__((aligned(8)));

uint8_t ata_dma(struct ata *disk, uint64_t sector, unsigned count, void *data, bool write)
{
    uint16_t port = disk->bus_master;
    uint8_t direction = write ? 0 : BM_TO_MEMORY, status = BM_ACTIVE;

    table[0].address = (uint32_t)(uintptr_t)data;
    table[0].bytes = (uint16_t)(count * ATA_SECTOR);
    table[0].flags = 0x8000;
    out8(PORT_CONTROL, 0); /* the interrupt is how the bus master knows that the disk is done */
    out8((uint16_t)(port + BM_COMMAND), direction);
    out8((uint16_t)(port + BM_STATUS), BM_ERROR | BM_INTERRUPT); /* writing 1 clears them */
    out32((uint16_t)(port + BM_TABLE), (uint32_t)(uintptr_t)table);
    put_position(sector, count, false);
    out8(PORT_COMMAND, write ? WRITE_DMA : READ_DMA);
    out8((uint16_t)(port + BM_COMMAND), direction | BM_START);
    for (unsigned i = 0; i < POLLS && !(status & BM_INTERRUPT); i++)
        status = in8((uint16_t)(port + BM_STATUS));
    out8((uint16_t)(port + BM_COMMAND), direction);
    out8(PORT_CONTROL, NO_INTERRUPT);
    if (!(status & BM_INTERRUPT))
        return ATA_BUSY;
    return wait_ready() | (status & BM_ERROR ? ATA_ERROR : 0);
}
