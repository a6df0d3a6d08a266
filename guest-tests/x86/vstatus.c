/*
 * A disk whose driver breaks the rules of the status machine, of the registers and of the queues'
 * places (virtio 1.2, 2.1, 3.1, 4.1.4, 4.2.2). Whatever was done before, a reset makes it a good
 * disk again. What only hv is strict about is an expected failure on QEMU.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_blk.h"

const char guest_name[] = "vstatus";

#define SHORT_WAIT  50000000u /* cycles in which a device that serves us would have answered */
#define NOT_OFFERED (UINT64_C(1) << 50)
#define BEHIND_RAM  UINT64_C(0x7ffffff000)
#define NO_QUEUE    0xffff
#define MMIO_REGS                                                                                  \
    0x110 /* bytes that a sweep covers: registers, and the start of the configuration */
#define COMMON_REGS  0x40
#define CONFIG_BYTES 0x80
#define IN_FLIGHT    32
#define GOOD_SIZE    16

static struct virtio_blk disk;
static struct virtio dev; /* the same disk, opened by hand */
static struct virtq queue;
static uint8_t buffer[IN_FLIGHT * SECTOR] __attribute__((aligned(4096)));
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static volatile uint8_t status;

/* hv refuses what the specification forbids. Others may be lenient. */
#define strict(holds, ...)                                                                         \
    (on_qemu() ? check_xfail(holds, "QEMU is lenient", __VA_ARGS__)                                \
               : (void)check(holds, __VA_ARGS__))

/* A reset, and a sector as it should be. */
static bool is_alive(void)
{
    memset(buffer, 0, SECTOR);
    if (!virtio_blk_open(&disk, 0, 0) || virtio_blk_do(&disk, BLK_IN, 5, buffer, SECTOR) != BLK_OK)
        return false;
    for (unsigned i = 0; i < SECTOR; i++)
        if (buffer[i] != 5)
            return false;
    return true;
}

static void check_alive(void)
{
    check(is_alive(), "after a reset it is a good disk");
}

/* A request as it should be, in rings that are. */
static void add_request(void)
{
    struct virtq_part part[] = {
        {&header, sizeof(header), false}, {buffer, SECTOR, true}, {(void *)&status, 1, true}};

    memset(&header, 0, sizeof(header));
    status = BLK_NO_ANSWER;
    virtq_add(&queue, part, 3);
}

/* Shows the request and rings the bell; whether it was carried out. */
static bool is_served(void)
{
    uint64_t start = rdtsc();

    virtq_publish(&queue);
    dev.transport->notify(&dev, 0);
    while (rdtsc() - start < SHORT_WAIT && status == BLK_NO_ANSWER)
        cpu_pause();
    return status != BLK_NO_ANSWER;
}

static void test_after_reset(void)
{
    group_begin("after reset");
    virtio_find(VIRTIO_ID_BLOCK, 0, &dev);
    virtio_reset(&dev);
    check_equal(dev.transport->status(&dev), 0, "the status is 0");
    check(dev.transport->queue_max(&dev, 0) >= 2, "there is queue 0");
    check(!dev.transport->queue_enabled(&dev, 0), "it is not enabled");
    check(dev.transport->features(&dev) & VIRTIO_F_VERSION_1, "VERSION_1 is offered");
    strict(dev.transport->queue_max(&dev, NO_QUEUE) == 0, "there is no queue 65535");
    group_end();
}

/* The way to DRIVER_OK in an order that is not that of 3.1.1. Each value is written in turn; 0 ends
 * it. */
static void test_orders(void)
{
    static const struct {
        const char *name;
        uint8_t writes[5];
    } orders[] = {{"DRIVER_OK alone", {VIRTIO_DRIVER_OK}},
                  {"DRIVER_OK without FEATURES_OK", {1, 3, 7}},
                  {"all at once", {15}},
                  {"FEATURES_OK before DRIVER", {1, 9, 13}}};

    group_begin("status in a wrong order");
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        virtio_find(VIRTIO_ID_BLOCK, 0, &dev);
        virtio_reset(&dev);
        virtq_setup(&queue, &dev, 0, GOOD_SIZE);
        for (unsigned k = 0; k < 5 && orders[i].writes[k]; k++)
            dev.transport->set_status(&dev, orders[i].writes[k]);
        add_request();
        strict(!is_served(), "%s: not served", orders[i].name);
        check_alive();
    }
    group_end();
}

static void test_features(void)
{
    const struct virtio_transport *t;

    group_begin("features");
    virtio_find(VIRTIO_ID_BLOCK, 0, &dev);
    t = dev.transport;
    virtio_reset(&dev);
    t->set_status(&dev, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    t->set_features(&dev, VIRTIO_F_VERSION_1 | NOT_OFFERED);
    t->set_status(&dev, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    strict(!(t->status(&dev) & VIRTIO_FEATURES_OK), "one that was not offered is refused");
    check_alive();
    virtio_reset(&dev);
    t->set_status(&dev, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    t->set_features(&dev, 0);
    t->set_status(&dev, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    strict(!(t->status(&dev) & VIRTIO_FEATURES_OK), "without VERSION_1 refused");
    check_alive();
    group_end();
}

/* 2.1.1: the driver must not clear a bit; the device lets go of one by reset only. */
static void test_bits_stay(void)
{
    group_begin("status bits taken back");
    is_alive();
    disk.dev.transport->set_status(&disk.dev, VIRTIO_ACKNOWLEDGE);
    strict(disk.dev.transport->status(&disk.dev) & VIRTIO_DRIVER_OK, "DRIVER_OK stays");
    check_alive();
    group_end();
}

/* Queues of impossible size or at impossible places (2.7, 2.7.5, 2.7.6, 2.7.8). */
static void test_bad_queues(void)
{
    static const struct {
        const char *name;
        uint16_t size;
        uint64_t desc, avail, used; /* added to the good address, or instead of it if large */
    } bad[] = {{"size 0", 0, 0, 0, 0},
               {"size 3", 3, 0, 0, 0},
               {"size 32768", 32768, 0, 0, 0},
               {"size 65535", 65535, 0, 0, 0},
               {"descriptors at an odd place", GOOD_SIZE, 8, 0, 0},
               {"available ring at an odd place", GOOD_SIZE, 0, 1, 0},
               {"used ring at an odd place", GOOD_SIZE, 0, 0, 2},
               {"descriptors behind RAM", GOOD_SIZE, BEHIND_RAM, 0, 0},
               {"available ring behind RAM", GOOD_SIZE, 0, BEHIND_RAM, 0},
               {"used ring behind RAM", GOOD_SIZE, 0, 0, BEHIND_RAM},
               {"descriptors among the devices", GOOD_SIZE, MMIO_UNCLAIMED, 0, 0},
               {"used ring at the end of all addresses", GOOD_SIZE, 0, 0, UINT64_MAX - 3}};

    group_begin("bad queue");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t at[3] = {bad[i].desc, bad[i].avail, bad[i].used};
        uint64_t good[3];

        virtio_find(VIRTIO_ID_BLOCK, 0, &dev);
        virtio_start(&dev, 0);
        virtq_setup(&queue, &dev, 0, GOOD_SIZE);
        good[0] = (uintptr_t)queue.desc, good[1] = (uintptr_t)queue.avail;
        good[2] = (uintptr_t)queue.used;
        for (unsigned k = 0; k < 3; k++)
            at[k] = at[k] < 16 /* an offset */ ? good[k] + at[k] : at[k];
        virtio_start(&dev, 0); /* undoes the good one */
        dev.transport->queue_enable(&dev, 0, bad[i].size, at[0], at[1], at[2]);
        virtio_driver_ok(&dev);
        add_request();
        /* On PCI the register keeps the size that it had, and that is a good one. */
        if (!dev.pci || bad[i].size == 0 || bad[i].size == GOOD_SIZE)
            strict(!is_served(), "%s: not served", bad[i].name);
        check_alive();
    }
    group_end();
}

/* 4.1.4.3.2, 4.2.2.2: a queue that runs stays where it is. */
static void test_queue_moved(void)
{
    group_begin("queue changed while it runs");
    is_alive();
    disk.dev.transport->queue_enable(&disk.dev, 0, 4, BEHIND_RAM, BEHIND_RAM, BEHIND_RAM);
    strict(virtio_blk_do(&disk, BLK_IN, 5, buffer, SECTOR) == BLK_OK, "it serves as before");
    check_alive();
    group_end();
}

static void test_notifications(void)
{
    static const uint16_t queues[] = {1, 2, 63, 255, 256, 32767, 32768, 65535};

    group_begin("notification");
    virtio_find(VIRTIO_ID_BLOCK, 0, &dev);
    virtio_reset(&dev);
    dev.transport->notify(&dev, 0);
    check_equal(dev.transport->status(&dev), 0, "before anything else");
    is_alive();
    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
        disk.dev.transport->notify(&disk.dev, queues[i]);
    check_equal(virtio_blk_do(&disk, BLK_IN, 5, buffer, SECTOR), BLK_OK,
                "of queues that are not there: it goes on");
    for (unsigned i = 0; i < 100; i++)
        disk.dev.transport->notify(&disk.dev, 0);
    check_equal(virtio_blk_do(&disk, BLK_IN, 5, buffer, SECTOR), BLK_OK, "100 for nothing");
    check_alive();
    group_end();
}

/* Reads and writes of every width at every offset, aligned or not. */
static void sweep(uintptr_t from, unsigned bytes, uint64_t value)
{
    for (uintptr_t at = from; at < from + bytes; at++) {
        (void)mmio_read8(at);
        (void)mmio_read16(at);
        (void)mmio_read32(at);
        (void)mmio_read64(at);
        mmio_write8(at, (uint8_t)value);
        mmio_write16(at, (uint16_t)value);
        mmio_write32(at, (uint32_t)value);
        mmio_write64(at, value);
    }
}

static void test_sweeps(void)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_C(0x8000000080008080)};
    bool pci;

    group_begin("every register, every width");
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        is_alive();
        pci = disk.dev.pci != 0;
        sweep(disk.dev.regs, pci ? COMMON_REGS : MMIO_REGS, values[i]);
        sweep(disk.dev.config, CONFIG_BYTES, values[i]);
        check(is_alive(), "0x%llx: after a reset it is a good disk", (unsigned long long)values[i]);
    }
    group_end();
}

/* What was in flight must not be written once the reset has been read back (2.1.2). */
static void test_reset_in_flight(void)
{
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
        uint8_t status;
    } request[IN_FLIGHT];
    bool untouched = true;

    group_begin("reset with requests in flight");
    for (unsigned round = 0; round < 20; round++) {
        is_alive();
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            struct virtq_part part[] = {{&request[i], 16, false},
                                        {buffer + i * SECTOR, SECTOR, true},
                                        {&request[i].status, 1, true}};

            request[i].sector = i;
            virtq_add(&disk.queue, part, 3);
        }
        virtq_publish(&disk.queue);
        virtio_reset(&disk.dev);
        memset(buffer, 0xee, sizeof(buffer));
        for (uint64_t start = rdtsc(); rdtsc() - start < SHORT_WAIT / 20;)
            cpu_pause();
        for (unsigned i = 0; i < sizeof(buffer); i++)
            untouched = untouched && buffer[i] == 0xee;
    }
    check(untouched, "nothing is written afterwards, 20 times");
    check_alive();
    group_end();
}

void guest_main(void)
{
    if (!virtio_find(VIRTIO_ID_BLOCK, 0, &disk.dev))
        skip("no virtio disk");
    printf("on %s\n", disk.dev.transport->name);
    if (!check(is_alive(), "the disk works"))
        return;
    test_after_reset();
    test_orders();
    test_features();
    test_bits_stay();
    test_bad_queues();
    test_queue_moved();
    test_notifications();
    test_sweeps();
    test_reset_in_flight();
}
