/*
 * A virtio disk of 64 KiB whose sector n is full of the byte n: read, write, errors, interrupts.
 * guest-tests/run makes the disk (`disk =` in tests.cfg).
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_blk.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "vblk";

#define SECTORS     128
#define MANY        1000
#define VECTOR_DISK 0x50

#define MSIX_MASK   12 /* in the first entry of the table */

static struct virtio_blk disk;
static uint8_t buffer[SECTORS * SECTOR] __attribute__((aligned(4096)));
static volatile uint32_t interrupts;

static void on_disk(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
    disk.dev.transport->ack_interrupt(&disk.dev);
    apic_eoi();
}

static bool is_full_of(const uint8_t *at, size_t size, uint8_t byte)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != byte)
            return false;
    return true;
}

static void test_read(void)
{
    bool same = true;

    group_begin("read");
    check_equal(disk.sectors, SECTORS, "capacity");
    check_equal(virtio_blk_do(&disk, BLK_IN, 5, buffer, SECTOR), BLK_OK, "one sector");
    check(is_full_of(buffer, SECTOR, 5), "its content");
    check_equal(virtio_blk_do(&disk, BLK_IN, 0, buffer, sizeof(buffer)), BLK_OK, "whole disk");
    for (unsigned i = 0; i < SECTORS; i++)
        same = same && is_full_of(buffer + i * SECTOR, SECTOR, (uint8_t)i);
    check(same, "all its content");
    group_end();
}

static void test_write(void)
{
    group_begin("write");
    memset(buffer, 0xa5, 2 * SECTOR);
    check_equal(virtio_blk_do(&disk, BLK_OUT, 7, buffer, 2 * SECTOR), BLK_OK, "two sectors");
    check_equal(virtio_blk_do(&disk, BLK_FLUSH, 0, NULL, 0), BLK_OK, "flush");
    memset(buffer, 0, sizeof(buffer));
    check_equal(virtio_blk_do(&disk, BLK_IN, 6, buffer, 4 * SECTOR), BLK_OK, "read back");
    check(is_full_of(buffer + SECTOR, 2 * SECTOR, 0xa5), "what was written");
    check(is_full_of(buffer, SECTOR, 6), "the sector before is untouched");
    check(is_full_of(buffer + 3 * SECTOR, SECTOR, 9), "the sector behind is untouched");
    group_end();
}

static void test_identity(void)
{
    static char id[BLK_ID_LEN];

    check_equal(virtio_blk_do(&disk, BLK_GET_ID, 0, id, sizeof(id)), BLK_OK, "GET_ID");
    check(strncmp(id, "guest-test", BLK_ID_LEN) == 0, "the serial number is that of the option");
}

/* The disk answers each with an error, and works on. */
static void test_errors(void)
{
    group_begin("errors");
    check_equal(virtio_blk_do(&disk, BLK_IN, SECTORS, buffer, SECTOR), BLK_IOERR,
                "a read behind the end");
    check_equal(virtio_blk_do(&disk, BLK_OUT, SECTORS - 1, buffer, 2 * SECTOR), BLK_IOERR,
                "a write across the end");
    check_equal(virtio_blk_do(&disk, BLK_IN, UINT64_MAX, buffer, SECTOR), BLK_IOERR,
                "a read whose position in bytes does not fit 64 bits");
    check_equal(virtio_blk_do(&disk, 0x7777, 0, buffer, SECTOR), BLK_UNSUPPORTED,
                "a request of no known type");
    check_equal(virtio_blk_do(&disk, BLK_IN, 3, buffer, SECTOR), BLK_OK, "a good one afterwards");
    group_end();
}

/*
 * One at a time, so that no two completions can share an interrupt: as many as requests. None is
 * taken before its interrupt: with EVENT_IDX, one that is seen in the ring first and taken at once
 * moves used_event on before the device looks at it, and then there rightly is no interrupt
 * (2.7.7).
 */
static void test_interrupts(void)
{
    uint32_t unexpected = trap_unexpected;
    unsigned done = 0;

    group_begin("interrupts");
    interrupts_on(); /* what is left of the requests before */
    delay_us(1000);
    interrupts_off();
    interrupts = 0;
    for (uint32_t i = 1; i <= MANY; i++) {
        if (!virtio_blk_start(&disk, BLK_IN, i % SECTORS, buffer, SECTOR) ||
            !wait_until(&interrupts, i))
            break;
        done += virtio_blk_end(&disk) == BLK_OK;
    }
    check_equal(done, MANY, "requests done");
    delay_us(1000);
    interrupts_on();
    interrupts_off();
    check_equal(interrupts, MANY, "one for each request");
    check_equal(trap_unexpected - unexpected, 0, "none on other vectors");
    group_end();
}

/* PCI 3.0, 6.8.3.3: what comes while the entry is masked is kept, once, until it is unmasked. */
static void test_masking(void)
{
    group_begin("masked MSI-X entry");
    interrupts = 0;
    mmio_write32(disk.dev.msix + MSIX_MASK, 1);
    for (unsigned i = 0; i < 10; i++)
        virtio_blk_do(&disk, BLK_IN, i, buffer, SECTOR);
    interrupts_on();
    delay_us(1000);
    interrupts_off();
    check_equal(interrupts, 0, "nothing arrives");
    mmio_write32(disk.dev.msix + MSIX_MASK, 0);
    check(wait_until(&interrupts, 1), "unmasked: it arrives");
    interrupts_on();
    delay_us(1000);
    interrupts_off();
    check_equal(interrupts, 1, "ten completions are one interrupt");
    group_end();
}

/* Many in flight: the queue holds 128 descriptors, a request takes three. */
static void test_depth(void)
{
    enum { DEPTH = 16 };
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header[DEPTH];
    static uint8_t status[DEPTH];
    unsigned done = 0;
    uint16_t token;
    uint32_t written;
    bool good = true;

    for (unsigned i = 0; i < DEPTH; i++) {
        struct virtq_part part[] = {{&header[i], sizeof(header[i]), false},
                                    {buffer + i * SECTOR, SECTOR, true},
                                    {&status[i], 1, true}};

        header[i].sector = 100 + i;
        status[i] = BLK_NO_ANSWER;
        virtq_add(&disk.queue, part, 3);
    }
    virtq_publish(&disk.queue);
    while (done < DEPTH && virtq_wait(&disk.queue, &token, &written)) {
        good = good && written == SECTOR + 1;
        done++;
    }
    for (unsigned i = 0; i < DEPTH; i++)
        good = good && status[i] == BLK_OK &&
               is_full_of(buffer + i * SECTOR, SECTOR, (uint8_t)(100 + i));
    check(done == DEPTH && good, "16 requests at once, %u done", done);
}

void guest_main(void)
{
    uint64_t features = cmdline_has("event-idx") ? VIRTIO_F_EVENT_IDX : 0;

    trap_set_handler(VECTOR_DISK, on_disk);
    apic_enable(false);
    if (!virtio_find(VIRTIO_ID_BLOCK, 0, &disk.dev))
        skip("no virtio disk");
    disk.dev.transport->route(&disk.dev, VECTOR_DISK);
    if (!check(virtio_blk_open(&disk, 0, features), "the disk starts"))
        return;
    printf("on %s\n", disk.dev.transport->name);
    check((disk.dev.features & features) == features, "the features asked for are there");
    test_read();
    test_write();
    test_identity();
    test_errors();
    test_interrupts();
    if (disk.dev.msix)
        test_masking();
    test_depth();
}
