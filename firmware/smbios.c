/*
 * SMBIOS 3.4 tables (DSP0134): one BIOS, system, chassis and processor, one memory array with one
 * device. Called once a start by hv/arch/x86 (main thread). The guest shows them in
 * /sys/class/dmi/id and derives its identity from the UUID.
 */
#include "firmware/smbios.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "firmware/buf.h"

#define KIB             UINT64_C(1024)
#define MIB             (KIB * KIB)
#define LIMIT_4G        (UINT64_C(1) << 32)

#define SEGMENT_START   UINT64_C(0xf0000) /* 5.2.2: where the entry point is searched for */
#define SEGMENT_END     UINT64_C(0x100000)

#define ENTRY_SIZE      24
#define ENTRY_CHECKSUM  5
#define ENTRY_TABLE_LEN 12
#define TABLE_OFFSET    32 /* of the table in the blob; the entry point, aligned */

/* Handles are arbitrary; these say type and number. */
#define HANDLE(type, n)     ((uint16_t)((type)*256u + (n)))
#define HANDLE_NONE         0xffff
#define HANDLE_NOT_PROVIDED 0xfffe

#define MAX_STRINGS         4

/* A structure while it is written: its strings follow the formatted part (6.1.3). */
struct structure {
    struct buf *b;
    size_t start;
    const char *string[MAX_STRINGS];
    uint8_t strings;
};

static struct structure begin(struct buf *b, uint8_t type, unsigned number)
{
    struct structure s = {.b = b, .start = b->len};

    buf_u8(b, type);
    buf_u8(b, 0); /* length: below */
    buf_le16(b, HANDLE(type, number));
    return s;
}

/* Writes a reference to a string: its number, or 0 for a text that is not there. */
static void put_string(struct structure *s, const char *text)
{
    if (!text || !*text) {
        buf_u8(s->b, 0);
        return;
    }
    s->string[s->strings++] = text;
    buf_u8(s->b, s->strings);
}

/* Two zero bytes end a structure: those of its last string and of the list, or both of the list. */
static void end(struct structure *s)
{
    buf_set_u8(s->b, s->start + 1, (uint8_t)(s->b->len - s->start));
    for (uint8_t i = 0; i < s->strings; i++)
        buf_str(s->b, s->string[i]);
    if (!s->strings)
        buf_u8(s->b, 0);
    buf_u8(s->b, 0);
}

/* 7.1: there is no BIOS; it says so, and that this is a virtual machine. */
static void put_bios(struct buf *b, const struct smbios_machine *m)
{
    struct structure s = begin(b, 0, 0);

    put_string(&s, "hv");
    put_string(&s, m->version);
    buf_le16(b, 0);               /* no BIOS segment */
    put_string(&s, "01/01/2026"); /* guests distrust firmware without a date, or an old one */
    buf_u8(b, 0);                 /* ROM size: 64 KiB, the least that can be said */
    buf_le64(b, 1u << 3);         /* characteristics are not told here */
    buf_u8(b, 1u << 0);           /* ACPI */
    buf_u8(b, 1u << 4);           /* virtual machine; no UEFI, no targeted content */
    buf_u8(b, 0xff);              /* BIOS release: none */
    buf_u8(b, 0xff);
    buf_u8(b, 0xff); /* embedded controller: none */
    buf_u8(b, 0xff);
    buf_le16(b, 0);
    end(&s);
}

/* 7.2.1: the first three fields of a UUID are little-endian here, unlike in print. */
static void put_uuid(struct buf *b, const uint8_t uuid[16])
{
    static const uint8_t order[8] = {3, 2, 1, 0, 5, 4, 7, 6};

    for (int i = 0; i < 8; i++)
        buf_u8(b, uuid[order[i]]);
    buf_bytes(b, uuid + 8, 8);
}

/* 7.2 */
static void put_system(struct buf *b, const struct smbios_machine *m)
{
    struct structure s = begin(b, 1, 0);

    put_string(&s, "hv");
    put_string(&s, "hv virtual machine");
    put_string(&s, m->version);
    put_string(&s, m->name);
    put_uuid(b, m->uuid);
    buf_u8(b, 6); /* woken by the power switch */
    buf_u8(b, 0); /* SKU */
    buf_u8(b, 0); /* family */
    end(&s);
}

/* 7.4 */
static void put_chassis(struct buf *b)
{
    struct structure s = begin(b, 3, 0);

    put_string(&s, "hv");
    buf_u8(b, 1); /* type: other */
    buf_u8(b, 0); /* version, serial number, asset tag */
    buf_u8(b, 0);
    buf_u8(b, 0);
    buf_u8(b, 3); /* boot-up, power supply and thermal state: safe */
    buf_u8(b, 3);
    buf_u8(b, 3);
    buf_u8(b, 3); /* security: none */
    buf_le32(b, 0);
    buf_u8(b, 0); /* height */
    buf_u8(b, 1); /* power cords */
    buf_u8(b, 0); /* contained elements, and the size of each */
    buf_u8(b, 0);
    buf_u8(b, 0); /* SKU */
    end(&s);
}

static void put_core_counts(struct buf *b, unsigned cpus)
{
    for (int i = 0; i < 3; i++) /* 0xff: see the wide fields */
        buf_u8(b, cpus > 0xff ? 0xff : (uint8_t)cpus);
    buf_le16(b, (uint16_t)(1u << 2 | (cpus > 1 ? 1u << 3 : 0))); /* 64-bit, multi-core */
    buf_le16(b, 2);                                              /* family: unknown */
    for (int i = 0; i < 3; i++)
        buf_le16(b, (uint16_t)cpus);
}

/* 7.5: one socket with all vCPUs as its cores, each with one thread. */
static void put_processor(struct buf *b, const struct smbios_machine *m)
{
    struct structure s = begin(b, 4, 0);

    put_string(&s, "CPU 0");
    buf_u8(b, 3); /* central processor */
    buf_u8(b, 2); /* family: unknown */
    put_string(&s, "hv");
    buf_le64(b, 0); /* CPUID signature: ask the CPU */
    put_string(&s, m->version);
    buf_u8(b, 0);   /* voltage */
    buf_le16(b, 0); /* external clock, maximum and current speed: unknown */
    buf_le16(b, 0);
    buf_le16(b, 0);
    buf_u8(b, 1u << 6 | 1); /* socket populated, processor enabled */
    buf_u8(b, 1);           /* upgrade: other */
    for (int level = 1; level <= 3; level++)
        buf_le16(b, HANDLE_NONE); /* cache */
    buf_u8(b, 0);                 /* serial number, asset tag, part number */
    buf_u8(b, 0);
    buf_u8(b, 0);
    put_core_counts(b, m->cpus);
    end(&s);
}

/* 7.17 */
static void put_memory_array(struct buf *b, uint64_t ram)
{
    struct structure s = begin(b, 16, 0);
    uint64_t kib = ram / KIB;

    buf_u8(b, 1); /* location: other */
    buf_u8(b, 3); /* use: system memory */
    buf_u8(b, 3); /* error correction: none */
    buf_le32(b, kib < 0x80000000 ? (uint32_t)kib : 0x80000000);
    buf_le16(b, HANDLE_NOT_PROVIDED);
    buf_le16(b, 1); /* devices */
    buf_le64(b, kib < 0x80000000 ? 0 : ram);
    end(&s);
}

/*
 * 7.18.4, 7.18.5: MiB, or KiB (bit 15) where that is exact and fits; 0x7fff sends the reader to
 * the wide field, which counts MiB.
 */
static uint16_t device_size(uint64_t ram, uint32_t *extended)
{
    *extended = 0;
    if (ram % MIB && ram / KIB < 0x7fff)
        return (uint16_t)(0x8000 | ram / KIB);
    if (ram / MIB < 0x7fff)
        return (uint16_t)(ram / MIB);
    *extended = (uint32_t)(ram / MIB);
    return 0x7fff;
}

/* 7.18, from the operating mode capability on: what only persistent memory has. */
static void put_volatile_details(struct buf *b, uint64_t ram)
{
    buf_le16(b, 1u << 3); /* mode: volatile memory */
    buf_u8(b, 0);         /* firmware version */
    buf_zero(b, 8);       /* module and controller makers: unknown */
    buf_le64(b, 0);       /* non-volatile size */
    buf_le64(b, ram);     /* volatile size */
    buf_le64(b, 0);       /* cache size */
    buf_le64(b, 0);       /* logical size */
    buf_le32(b, 0);       /* wide speeds */
    buf_le32(b, 0);
}

/* 7.18 */
static void put_memory_device(struct buf *b, uint64_t ram)
{
    struct structure s = begin(b, 17, 0);
    uint32_t extended;
    uint16_t size = device_size(ram, &extended);

    buf_le16(b, HANDLE(16, 0));
    buf_le16(b, HANDLE_NOT_PROVIDED);
    buf_le16(b, 0xffff); /* total and data width: unknown */
    buf_le16(b, 0xffff);
    buf_le16(b, size);
    buf_u8(b, 9); /* form factor: DIMM */
    buf_u8(b, 0); /* no set */
    put_string(&s, "DIMM 0");
    buf_u8(b, 0);         /* bank */
    buf_u8(b, 7);         /* type: RAM */
    buf_le16(b, 1u << 1); /* detail: other */
    buf_le16(b, 0);       /* speed */
    put_string(&s, "hv");
    buf_u8(b, 0); /* serial number, asset tag, part number */
    buf_u8(b, 0);
    buf_u8(b, 0);
    buf_u8(b, 0); /* rank */
    buf_le32(b, extended);
    buf_le16(b, 0); /* configured speed */
    buf_zero(b, 6); /* voltages */
    buf_u8(b, 3);   /* technology: DRAM */
    put_volatile_details(b, ram);
    end(&s);
}

/* 7.20: a range of addresses; KiB where they fit 32 bits, else bytes in the wide fields. */
static void put_mapping(struct buf *b, unsigned number, uint64_t gpa, uint64_t size)
{
    struct structure s = begin(b, 19, number);
    uint64_t last = gpa + size - 1;
    bool wide = last / KIB >= UINT32_MAX;

    buf_le32(b, wide ? UINT32_MAX : (uint32_t)(gpa / KIB));
    buf_le32(b, wide ? UINT32_MAX : (uint32_t)(last / KIB));
    buf_le16(b, HANDLE(16, 0));
    buf_u8(b, 1); /* devices that form a row */
    buf_le64(b, wide ? gpa : 0);
    buf_le64(b, wide ? last : 0);
    end(&s);
}

/* 7.33: booted without an error. */
static void put_boot_status(struct buf *b)
{
    struct structure s = begin(b, 32, 0);

    buf_zero(b, 6);
    buf_u8(b, 0);
    end(&s);
}

static void put_table(struct buf *b, const struct smbios_machine *m, uint64_t low)
{
    struct structure last;

    put_bios(b, m);
    put_system(b, m);
    put_chassis(b);
    put_processor(b, m);
    put_memory_array(b, m->ram);
    put_memory_device(b, m->ram);
    put_mapping(b, 0, 0, low);
    if (low < m->ram)
        put_mapping(b, 1, LIMIT_4G, m->ram - low);
    put_boot_status(b);
    last = begin(b, 127, 0);
    end(&last);
}

/* 5.2.2: the 64-bit entry point. */
static void put_entry_point(struct buf *b, uint64_t table)
{
    buf_bytes(b, "_SM3_", 5);
    buf_u8(b, 0); /* checksum: below */
    buf_u8(b, ENTRY_SIZE);
    buf_u8(b, 3); /* version 3.4, document revision 0 */
    buf_u8(b, 4);
    buf_u8(b, 0);
    buf_u8(b, 1); /* entry point revision */
    buf_u8(b, 0);
    buf_le32(b, 0); /* table length: below */
    buf_le64(b, table);
    buf_align(b, TABLE_OFFSET);
}

static int check(const struct smbios_machine *m, uint64_t gpa)
{
    if (gpa % 16 || gpa < SEGMENT_START || gpa >= SEGMENT_END)
        return -EINVAL;
    if (m->cpus < 1 || m->cpus > UINT16_MAX - 1)
        return -EINVAL;
    /* 31 bits of MiB: what a memory device can say. */
    if (m->ram < KIB || m->ram / MIB > INT32_MAX || m->low_ram > m->ram)
        return -EINVAL;
    return 0;
}

int smbios_build(const struct smbios_machine *m, uint64_t gpa, uint8_t *buf, size_t cap,
                 size_t *len)
{
    struct buf b = buf_over(buf, cap);
    int err = check(m, gpa);

    if (err)
        return err;
    put_entry_point(&b, gpa + TABLE_OFFSET);
    put_table(&b, m, m->low_ram ? m->low_ram : m->ram);
    if (b.overflow)
        return -ENOSPC;
    if (b.len > SEGMENT_END - gpa) /* RAM follows there */
        return -EINVAL;
    buf_set_le32(&b, ENTRY_TABLE_LEN, (uint32_t)(b.len - TABLE_OFFSET));
    buf_set_u8(&b, ENTRY_CHECKSUM, buf_checksum(&b, 0, ENTRY_SIZE));
    *len = b.len;
    return 0;
}
