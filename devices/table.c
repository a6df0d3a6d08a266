/* The device table: see table.h. Ports are those of a PC, where guests look for them. */
#include "devices/table.h"

#include <string.h>

#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/net/net.h"
#include "devices/virtio/models.h"

static const struct device_type uart16550 = {
    .name = "uart16550",
    .help = "serial port (16550A), the console",
    .modes = MODE_PV,
    .create = uart16550_create,
};

static const struct device_type pl011 = {
    .name = "pl011",
    .help = "serial port (PL011), the console",
    .modes = MODE_PV,
    .create = pl011_create,
};

static const struct device_type debugcon = {
    .name = "debugcon",
    .help = "debug console: bytes written to port 0xe9 appear on the console",
    .modes = MODE_PV,
    .create = debugcon_create,
};

static const struct device_type rtc = {
    .name = "rtc",
    .help = "real-time clock and CMOS memory (MC146818) with the host's time in UTC",
    .modes = MODE_PV,
    .create = rtc_create,
};

static const struct device_type pl031 = {
    .name = "pl031",
    .help = "real-time clock (PL031) with the host's time in UTC",
    .modes = MODE_PV,
    .create = pl031_create,
};

static const struct device_type i8042 = {
    .name = "i8042",
    .help = "the keyboard controller's reset line: 0xfe to port 0x64",
    .modes = MODE_PV,
    .create = i8042_create,
};

static const struct device_type debugexit = {
    .name = "debugexit",
    .help = "debug exit: a value written to port 0xf4 ends the run with that status",
    .modes = MODE_PV,
    .create = debugexit_create,
};

static const struct device_type pvpanic = {
    .name = "pvpanic",
    .help = "panic notifier at port 0x505",
    .modes = MODE_PV,
    .create = pvpanic_create,
};

static const struct device_type acpi_power = {
    .name = "acpi-power",
    .help = "ACPI power-off, reset register and power button",
    .modes = MODE_PV,
    .create = acpi_power_create,
};

/*
 * Columns of a place: bus, base, size, interrupt line, output bytes that may come in batches.
 *
 * The order is that of creation, and the reverse of teardown. Only the serial port's transmit
 * register may be written late: nothing else about the machine depends on when a letter is printed.
 */
static const struct device_row x86_rows[] = {
    {&uart16550, {DEVICE_PORT, 0x3f8, 8, 4, 1}},  {&debugcon, {DEVICE_PORT, 0xe9, 1, -1, 0}},
    {&rtc, {DEVICE_PORT, 0x70, 2, -1, 0}},        {&i8042, {DEVICE_PORT, 0x64, 1, -1, 0}},
    {&debugexit, {DEVICE_PORT, 0xf4, 4, -1, 0}},  {&pvpanic, {DEVICE_PORT, 0x505, 1, -1, 0}},
    {&acpi_power, {DEVICE_PORT, 0x600, 8, 9, 0}},
};

const struct device_table devices_x86 = {x86_rows, ARRAY_SIZE(x86_rows)};

/* Where most arm64 virtual machines have them; the device tree says so anyway. */
static const struct device_row arm64_rows[] = {
    {&pl011, {DEVICE_MMIO, 0x9000000, 0x1000, 1, 4}},
    {&pl031, {DEVICE_MMIO, 0x9010000, 0x1000, 2, 0}},
};

const struct device_table devices_arm64 = {arm64_rows, ARRAY_SIZE(arm64_rows)};

/* In the order in which a machine's devices are numbered. */
const struct virtio_type virtio_types[] = {
    {
        .name = "virtio-blk",
        .help = "a disk",
        .option = "disk",
        .params = &virtio_blk_params,
        .create = virtio_blk_create,
    },
    {
        .name = "virtio-net",
        .help = "a network card",
        .option = "net",
        .params = &net_params,
        .create = virtio_net_create,
    },
    {
        .name = "virtio-rng",
        .help = "random numbers of the host",
        .option = "rng",
        .params = &virtio_rng_params,
        .create = virtio_rng_create,
    },
    {
        .name = "virtio-balloon",
        .help = "gives the guest's free memory back to the host",
        .option = "balloon",
        .params = &virtio_balloon_params,
        .create = virtio_balloon_create,
    },
    {
        .name = "virtio-console",
        .help = "a console and named byte streams beside the serial port",
        .option = "virtio-console",
        .params = &virtio_console_params,
        .create = virtio_console_create,
    },
    {
        .name = "virtio-share",
        .help = "a directory of the host (virtio-9p or virtio-fs)",
        .option = "share",
        .params = &virtio_share_params,
        .create = virtio_share_create,
    },
};

const unsigned virtio_type_count = ARRAY_SIZE(virtio_types);

const struct virtio_type *virtio_type_find(const char *option)
{
    for (unsigned i = 0; i < virtio_type_count; i++)
        if (strcmp(virtio_types[i].option, option) == 0)
            return &virtio_types[i];
    return NULL;
}
