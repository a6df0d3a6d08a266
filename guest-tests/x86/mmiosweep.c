/*
 * Writes to all of the space where devices are: a dword in each MiB of the hole below 4 GiB, and
 * every dword of the pages where there is a device. The machine goes on. The local APIC is left
 * out: this CPU would stop hearing.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio.h"

const char guest_name[] = "mmiosweep";

#define HOLE_START  UINT64_C(0xc0000000)
#define LOCAL_APIC  UINT64_C(0xfee00000)
#define BEHIND_APIC UINT64_C(0xfef00000)
#define HOLE_END    UINT64_C(0x100000000)
#define IO_APIC     UINT64_C(0xfec00000)
#define STEP        0x100000
#define PAGE        4096

static void write_steps(uint64_t from, uint64_t to, uint32_t value)
{
    for (uint64_t at = from; at < to; at += STEP)
        mmio_write32((uintptr_t)at, value);
}

static void write_page(uintptr_t at, uint32_t value)
{
    for (unsigned offset = 0; offset < PAGE; offset += 4)
        mmio_write32(at + offset, value);
}

static void test_value(uint32_t value)
{
    struct virtio dev;

    write_steps(HOLE_START, LOCAL_APIC, value);
    write_steps(BEHIND_APIC, HOLE_END, value);
    write_page(IO_APIC, value);
    for (unsigned i = 0; virtio_mmio_find(VIRTIO_ID_BLOCK, i, &dev); i++)
        write_page(dev.regs, value);
    check(true, "0x%x everywhere: the guest goes on", value);
}

void guest_main(void)
{
    struct virtio dev;

    test_value(0);
    test_value(UINT32_MAX);
    test_value(0x80000001);
    if (virtio_find(VIRTIO_ID_BLOCK, 0, &dev)) {
        virtio_reset(&dev);
        check_equal(dev.transport->status(&dev), 0, "a disk can be reset");
        check(virtio_start(&dev, 0), "and started");
    }
    ioapic_route(GSI_UART, 0x60, 0);
    check_equal(ioapic_entry(GSI_UART) & 0xff, 0x60, "the I/O APIC takes an entry");
    ioapic_mask(GSI_UART);
}
