/*
 * A disk on the first IDE channel of a PC: commands by ports, data by ports (PIO) or by the bus
 * master of the PCI IDE function (ATA/ATAPI-6; Programming Interface for Bus Master IDE Controller,
 * revision 1.0). Master disk, polled, one command at a time.
 */
#ifndef GUEST_ATA_H
#define GUEST_ATA_H

#include <stdbool.h>
#include <stdint.h>

#define ATA_SECTOR  512
#define ATA_ERROR   0x01 /* in what the functions return: the status register */
#define ATA_DRQ     0x08
#define ATA_FAULT   0x20
#define ATA_BUSY    0x80 /* it never became ready */

#define ATA_DMA_MAX 65536 /* bytes that one descriptor covers */

struct ata {
    uint64_t sectors;
    bool wide;           /* 48-bit positions */
    uint16_t bus_master; /* its first port; 0: there is none */
};

/* Finds the disk, and asks it what it is. False: no disk there. */
bool ata_open(struct ata *disk);

/*
 * Each returns the status register, good when it has neither ATA_ERROR nor ATA_FAULT nor ATA_BUSY.
 * count: sectors, 1 to 255. wide: 48-bit command.
 */
uint8_t ata_read(struct ata *disk, uint64_t sector, unsigned count, void *data, bool wide);
uint8_t ata_write(struct ata *disk, uint64_t sector, unsigned count, const void *data, bool wide);
uint8_t ata_flush(struct ata *disk);

/* Through the bus master. `data`: 2-byte aligned, at most ATA_DMA_MAX bytes, within 64 KiB. */
uint8_t ata_dma(struct ata *disk, uint64_t sector, unsigned count, void *data, bool write);

#endif
