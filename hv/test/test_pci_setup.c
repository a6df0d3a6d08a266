/* The PCI bus as the bring-up builds it, seen through the machine's buses. No KVM needed. */
#include <errno.h>
#include <string.h>

#include "devices/core/dev.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/models.h"
#include "hv/pci_setup.h"
#include "hv/test/run_suite.h"
#include "hv/virtio_setup.h"
#include "hv/vm.h"

#define ECAM      UINT64_C(0xe0000000)
#define RNG       0x8000 /* device 1 */
#define RNG_ID    UINT32_C(0x10441af4)
#define WINDOW    UINT64_C(0xc0000000)
#define MORE_RNGS 40

static struct vm vm;
static struct vm_config config;

static void build(const char *bus)
{
    const char *argv[] = {"run", "-k", "x", "--rng", "on", "--bus", bus};

    memset(&vm, 0, sizeof(vm));
    config_init(&config);
    ck_assert_int_eq(config_parse_run(&config, 7, (char **)argv), 0);
    vm.config = &config;
    vm.loop = loop_create();
    ck_assert_ptr_nonnull(vm.loop);
    irqchip_init(&vm.irqchip, -1, false, false);
    ck_assert_int_eq(virtio_setup_open(&vm), 0);
    ck_assert_int_eq(virtio_setup_attach(&vm), 0);
}

static void take_down(void)
{
    while (vm.device_count) {
        struct vm_device *d = &vm.device[--vm.device_count];

        dev_destroy(d->dev);
        irq_msi_destroy(d->msi);
    }
    virtio_setup_close(&vm);
    irqchip_fini(&vm.irqchip);
    loop_destroy(vm.loop);
    config_free(&config);
}

static uint32_t peek(struct bus *bus, uint64_t addr)
{
    uint8_t data[4];

    bus_read(bus, addr, 4, data);
    return load_le32(data);
}

START_TEST(bus_pci_puts_devices_behind_a_bridge)
{
    const uint8_t address[4] = {0, 8, 0, 0x80}, memory[2] = {2, 0};

    build("pci");
    ck_assert_uint_eq(vm.device_count, 2);
    ck_assert_str_eq(vm.device[0].name, "pci-host");
    ck_assert_uint_eq(peek(&vm.mmio, ECAM), 0x00081b36);
    ck_assert_uint_eq(peek(&vm.mmio, ECAM + RNG), RNG_ID);
    ck_assert_uint_eq(peek(&vm.mmio, ECAM + 2 * RNG), UINT32_MAX);
    ck_assert(bus_write(&vm.port, 0xcf8, 4, address));
    ck_assert_uint_eq(peek(&vm.port, 0xcfc), RNG_ID);
    ck_assert_uint_eq(peek(&vm.mmio, WINDOW), UINT32_MAX);
    bus_write(&vm.mmio, ECAM + RNG + 4, 2, memory);
    ck_assert_uint_eq(peek(&vm.mmio, WINDOW), 0); /* its first register */
    take_down();
}
END_TEST

START_TEST(bus_mmio_has_no_bridge)
{
    build("mmio");
    ck_assert_uint_eq(vm.device_count, 1);
    ck_assert_ptr_null(vm.pci);
    ck_assert_uint_eq(peek(&vm.mmio, ECAM), UINT32_MAX);
    ck_assert_uint_eq(peek(&vm.port, 0xcfc), UINT32_MAX);
    take_down();
}
END_TEST

START_TEST(device_32_is_refused_with_the_reason)
{
    int err = 0;

    build("pci");
    while (!err && vm.device_count < MORE_RNGS) {
        struct virtio *v;

        ck_assert_int_eq(virtio_rng_create("", vm.loop, &v), 0);
        err = pci_setup_add(&vm, "rng", v);
    }
    ck_assert_int_eq(err, -ENOSPC);
    ck_assert_uint_eq(vm.device_count, 32); /* the bridge and 31 */
    take_down();
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(bus_pci_puts_devices_behind_a_bridge),
        CASE(bus_mmio_has_no_bridge),
        CASE(device_32_is_refused_with_the_reason),
    };

    return run_suite("pci_setup", cases, ARRAY_SIZE(cases));
}
