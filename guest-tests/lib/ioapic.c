/* The I/O APIC: two registers in memory, an index and a window. Called by tests, one CPU at a time.
 */
#include "guest-tests/lib/ioapic.h"

#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/virtio.h"

#define IOAPIC_GPA      0xfec00000u
#define IOAPIC_INDEX    (IOAPIC_GPA + 0x00)
#define IOAPIC_WINDOW   (IOAPIC_GPA + 0x10)

#define REG_VERSION     1
#define REG_REDIRECTION 0x10 /* two registers for each line */

static uint32_t read(unsigned reg)
{
    mmio_write32(IOAPIC_INDEX, reg);
    return mmio_read32(IOAPIC_WINDOW);
}

static void write(unsigned reg, uint32_t value)
{
    mmio_write32(IOAPIC_INDEX, reg);
    mmio_write32(IOAPIC_WINDOW, value);
}

unsigned ioapic_lines(void)
{
    return (read(REG_VERSION) >> 16 & 0xff) + 1;
}

/* The target first: with the second write the line goes live. */
void ioapic_route(unsigned gsi, unsigned vector, uint32_t apic_id)
{
    write(REG_REDIRECTION + 2 * gsi + 1, apic_id << 24);
    write(REG_REDIRECTION + 2 * gsi, vector);
}

void ioapic_mask(unsigned gsi)
{
    write(REG_REDIRECTION + 2 * gsi, IOAPIC_MASKED);
}

uint32_t ioapic_entry(unsigned gsi)
{
    return read(REG_REDIRECTION + 2 * gsi);
}

void interrupt_route(unsigned gsi, uint8_t vector)
{
    ioapic_route(gsi, vector, apic_id());
}
