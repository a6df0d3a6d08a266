/* The GICv3's driver; see gic.h. */
#include "guest-tests/arm64/lib/gic.h"

#include "guest-tests/arm64/lib/board.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/virtio.h"

/* Distributor, and the second frame of a redistributor (12.8, 12.10). */
#define DIST_CTLR       0x0000
#define DIST_TYPER      0x0004
#define GROUP           0x0080
#define ENABLE          0x0100
#define CONFIG          0x0c00
#define ROUTER          0x6000
#define CTLR_GROUP1     2
#define CTLR_AFFINITY   16

#define REDIST_WAKER    0x0014
#define WAKER_SLEEP     2
#define WAKER_CHILDREN  4
#define REDIST_FRAME    0x10000

#define ICC_SRE         "S3_0_C12_C12_5"
#define ICC_PMR         "S3_0_C4_C6_0"
#define ICC_GROUP1      "S3_0_C12_C12_7"
#define ICC_ACKNOWLEDGE "S3_0_C12_C12_0"
#define ICC_END         "S3_0_C12_C12_1"
#define ICC_SEND        "S3_0_C12_C11_5"

#define LINES_OF(typer) (32 * (((typer)&31) + 1) - INTID_SPI)

static uintptr_t private_frame; /* of CPU 0, whose interrupts gic_enable knows */

void gic_init(void)
{
    mmio_write32(GIC_DIST + DIST_CTLR, CTLR_GROUP1 | CTLR_AFFINITY);
    gic_cpu_init(0);
    private_frame = GIC_REDIST + REDIST_FRAME;
}

bool gic_cpu_init(unsigned cpu)
{
    uintptr_t redist = GIC_REDIST + cpu * GIC_REDIST_STEP;
    unsigned tries = 100000;

    mmio_write32(redist + REDIST_WAKER,
                 mmio_read32(redist + REDIST_WAKER) & ~(uint32_t)WAKER_SLEEP);
    while (mmio_read32(redist + REDIST_WAKER) & WAKER_CHILDREN)
        if (tries-- == 0)
            return false;
    mmio_write32(redist + REDIST_FRAME + GROUP, UINT32_MAX);
    mmio_write32(redist + REDIST_FRAME + ENABLE, 0xffff); /* software's */
    write_sysreg(ICC_SRE, 7);
    write_sysreg(ICC_PMR, 0xff);
    write_sysreg(ICC_GROUP1, 1);
    return true;
}

void gic_enable(unsigned intid, bool edge)
{
    uintptr_t frame = intid < INTID_SPI ? private_frame : GIC_DIST;
    uintptr_t config = frame + CONFIG + intid / 16 * 4, group = frame + GROUP + intid / 32 * 4;
    uint32_t bit = UINT32_C(2) << intid % 16 * 2;

    mmio_write32(group, mmio_read32(group) | UINT32_C(1) << intid % 32);
    mmio_write32(config, edge ? mmio_read32(config) | bit : mmio_read32(config) & ~bit);
    if (intid >= INTID_SPI)
        mmio_write64(GIC_DIST + ROUTER + intid * 8, 0);
    mmio_write32(frame + ENABLE + intid / 32 * 4, UINT32_C(1) << intid % 32);
}

/* 16 CPUs of one cluster by a list; their cluster's number is affinity 1. */
void gic_send(unsigned intid, uint64_t mpidr)
{
    write_sysreg(ICC_SEND,
                 (uint64_t)intid << 24 | (mpidr >> 8 & 0xff) << 16 | UINT64_C(1) << (mpidr & 15));
}

unsigned gic_lines(void)
{
    return LINES_OF(mmio_read32(GIC_DIST + DIST_TYPER));
}

uint32_t gic_acknowledge(void)
{
    return (uint32_t)read_sysreg(ICC_ACKNOWLEDGE);
}

void gic_end(uint32_t intid)
{
    write_sysreg(ICC_END, intid);
}

/* virtio_mmio.c asks; the handler is that of the line (interrupt_handle). */
void interrupt_route(unsigned gsi, uint8_t vector)
{
    (void)vector;
    gic_enable(INTID_SPI + gsi, true);
}
