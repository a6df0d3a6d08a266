/* From the start code to guest_main, the console (PL011, Arm DDI 0183), and the end of a run. */
#include "guest-tests/arm64/lib/board.h"
#include "guest-tests/arm64/lib/dtb.h"
#include "guest-tests/arm64/lib/gic.h"
#include "guest-tests/arm64/lib/psci.h"
#include "guest-tests/arm64/lib/start.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio.h"

#define UART_DATA  0x00
#define UART_FLAGS 0x18
#define UART_CTRL  0x30
#define FLAG_FULL  0x20
#define CTRL_SEND  0x101 /* the port and its transmitter are on */

struct boot_info boot_info;

void console_init(void)
{
    mmio_write32(UART_BASE + UART_CTRL, CTRL_SEND);
}

void console_write(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        while (mmio_read32(UART_BASE + UART_FLAGS) & FLAG_FULL)
            cpu_pause();
        mmio_write32(UART_BASE + UART_DATA, (uint8_t)text[i]);
    }
}

void guest_start(uintptr_t device_tree)
{
    const char *line;
    uint32_t len;

    console_init();
    dtb_open(device_tree);
    line = dtb_property("chosen", "bootargs", &len);
    if (line)
        string_copy(boot_info.cmdline, line, sizeof(boot_info.cmdline));
    gic_init();
    guest_main();
    test_finish();
}

/* There is no port for a status: the marker tells. */
void guest_exit(unsigned status)
{
    (void)status;
    psci(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        halt();
}

/* No test here looks at the PCI bus. */
bool virtio_pci_find(uint32_t type, unsigned nth, struct virtio *dev)
{
    (void)type;
    (void)nth;
    (void)dev;
    return false;
}
