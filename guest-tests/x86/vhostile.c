/*
 * A disk whose driver lies in its rings (virtio 1.2, 2.7): chains without an end, buffers that are
 * not there, indexes that run away; and a second CPU that rewrites descriptors while the device
 * reads them. Whatever was done, the machine goes on, and after a reset it is a good disk.
 *
 * Command line: ms=N, how long the second CPU rewrites (300); x2apic; event-idx.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/smp.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_blk.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "vhostile";

#define SHORT_WAIT 100000000u /* cycles in which a device would have answered */
#define BEHIND_RAM UINT64_C(0x7ffffff000)
#define SIZE       16
#define SANDBOX    65536 /* bytes that the device may do with what it likes */

static struct virtio_blk disk;
static struct virtq *const queue = &disk.queue;
static uint8_t sandbox[2 * SANDBOX] __attribute__((aligned(4096)));
static uint8_t sector[SECTOR];
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static uint8_t status;
static struct virtq_desc table[SIZE] __attribute__((aligned(16)));
static volatile uint32_t scribbling, stopped;

static bool is_alive(void)
{
    memset(sector, 0, SECTOR);
    if (!virtio_blk_open(&disk, 0, cmdline_has("event-idx") ? VIRTIO_F_EVENT_IDX : 0) ||
        virtio_blk_do(&disk, BLK_IN, 5, sector, SECTOR) != BLK_OK)
        return false;
    for (unsigned i = 0; i < SECTOR; i++)
        if (sector[i] != 5)
            return false;
    return true;
}

/* A disk with a small queue that is empty, with INDIRECT_DESC where it is wanted. */
static bool open_small(uint64_t features)
{
    struct virtio *dev = &disk.dev;

    if (!virtio_find(VIRTIO_ID_BLOCK, 0, dev) || !virtio_start(dev, features) ||
        !virtq_setup(queue, dev, 0, SIZE))
        return false;
    virtio_driver_ok(dev);
    memset(&header, 0, sizeof(header));
    status = BLK_NO_ANSWER;
    return true;
}

static void set(unsigned at, void *address, uint32_t len, uint16_t flags, uint16_t next)
{
    queue->desc[at].address = (uintptr_t)address;
    queue->desc[at].len = len;
    queue->desc[at].flags = flags;
    queue->desc[at].next = next;
}

/* Descriptors 0 to 2: a read of a sector as it should be, for a case to spoil. */
static void set_good(void)
{
    set(0, &header, sizeof(header), VIRTQ_NEXT, 1);
    set(1, sandbox, SECTOR, VIRTQ_NEXT | VIRTQ_WRITE, 2);
    set(2, &status, 1, VIRTQ_WRITE, 0);
}

/* Shows `count` heads from ring entry 0 on, whatever that means, and rings the bell. */
static void show(uint16_t index)
{
    __asm__ volatile("" : : : "memory");
    queue->avail->index = index;
    disk.dev.transport->notify(&disk.dev, 0);
}

/* What the device makes of it: it says that it needs a reset, or gives the chain back, or neither.
 */
enum answer { NOTHING, USED, BROKEN };

static enum answer wait_for_answer(void)
{
    for (uint64_t start = rdtsc(); rdtsc() - start < SHORT_WAIT;) {
        if (disk.dev.transport->status(&disk.dev) & VIRTIO_NEEDS_RESET)
            return BROKEN;
        if (queue->used->index != 0)
            return USED;
    }
    return NOTHING;
}

static void loop_of_one(void)
{
    set(1, sandbox, SECTOR, VIRTQ_NEXT | VIRTQ_WRITE, 1);
}

static void loop_of_two(void)
{
    set(2, &status, 1, VIRTQ_NEXT | VIRTQ_WRITE, 1);
}

static void next_outside(void)
{
    set(1, sandbox, SECTOR, VIRTQ_NEXT | VIRTQ_WRITE, 0xfff0);
}

static void head_outside(void)
{
    queue->avail->ring[0] = 0xffff;
}

static void buffer_behind_ram(void)
{
    queue->desc[1].address = BEHIND_RAM;
}

static void buffer_that_wraps(void)
{
    queue->desc[1].address = UINT64_MAX - 100;
}

static void buffer_among_devices(void)
{
    queue->desc[1].address = MMIO_UNCLAIMED;
}

static void buffer_of_4_gib(void)
{
    queue->desc[1].len = UINT32_MAX;
}

static void header_behind_ram(void)
{
    queue->desc[0].address = BEHIND_RAM;
}

static void header_writable(void)
{
    queue->desc[0].flags = VIRTQ_NEXT | VIRTQ_WRITE;
}

static void header_short(void)
{
    queue->desc[0].len = 15;
}

static void status_readable(void)
{
    queue->desc[2].flags = 0;
}

static void readable_after_writable(void)
{
    set(2, sandbox, SECTOR, VIRTQ_NEXT, 3);
    set(3, &status, 1, VIRTQ_WRITE, 0);
}

static void length_zero(void)
{
    queue->desc[1].len = 0;
}

static void all_lengths_zero(void)
{
    for (unsigned i = 0; i < 3; i++)
        queue->desc[i].len = 0;
}

static void indirect_not_negotiated(void)
{
    set(0, table, sizeof(table), VIRTQ_INDIRECT, 0);
}

/* The device's own registers as a buffer: it must not be entered while it works. */
static void buffer_in_own_registers(void)
{
    queue->desc[1].address = disk.dev.regs;
    queue->desc[1].len = 16;
}

static void ring_as_buffer(void)
{
    queue->desc[1].address = (uintptr_t)queue->desc;
    queue->desc[1].len = SECTOR;
}

static const struct {
    const char *name;
    void (*spoil)(void);
    enum answer answer;
} chains[] = {{"a chain that is a loop of one", loop_of_one, BROKEN},
              {"a chain that is a loop of two", loop_of_two, BROKEN},
              {"next outside of the table", next_outside, BROKEN},
              {"a head outside of the table", head_outside, BROKEN},
              {"a buffer behind RAM", buffer_behind_ram, BROKEN},
              {"a buffer that wraps", buffer_that_wraps, BROKEN},
              {"a buffer among the devices", buffer_among_devices, BROKEN},
              {"a buffer of 4 GiB", buffer_of_4_gib, BROKEN},
              {"a header behind RAM", header_behind_ram, BROKEN},
              {"a header that can be written", header_writable, USED},
              {"a header of 15 bytes", header_short, USED},
              {"a status that can only be read", status_readable, BROKEN},
              {"readable behind writable", readable_after_writable, BROKEN},
              {"data of length 0", length_zero, USED},
              {"nothing but length 0", all_lengths_zero, BROKEN},
              {"an indirect table that was not negotiated", indirect_not_negotiated, BROKEN},
              {"a buffer in the device's own registers", buffer_in_own_registers, BROKEN},
              {"a buffer on top of the ring", ring_as_buffer, USED}};

/* QEMU breaks where hv gives back, and the other way round; that it goes on holds for both. */
static void test_chains(void)
{
    group_begin("chain");
    for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
        enum answer answer;

        if (!open_small(0))
            break;
        set_good();
        queue->avail->ring[0] = 0;
        chains[i].spoil();
        show(1);
        answer = wait_for_answer();
        if (on_qemu())
            check_xfail(answer == chains[i].answer, "QEMU decides otherwise", "%s", chains[i].name);
        else
            check_equal(answer, chains[i].answer, "%s", chains[i].name);
        check(is_alive(), "%s: after a reset it is a good disk", chains[i].name);
    }
    group_end();
}

/* Where the available index may go: at most as far ahead as the queue is long (2.7.13.3). */
static void test_indexes(void)
{
    static const uint16_t indexes[] = {SIZE + 1, 100, 32768, 65535};

    group_begin("available index");
    for (unsigned i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        if (!open_small(0))
            break;
        set_good();
        for (unsigned k = 0; k < SIZE; k++)
            queue->avail->ring[k] = 0;
        show(indexes[i]);
        check_equal(wait_for_answer(), BROKEN, "%u ahead", indexes[i]);
        check(is_alive(), "%u ahead: after a reset it is a good disk", indexes[i]);
    }
    if (open_small(0)) {
        set_good();
        queue->avail->ring[0] = queue->avail->ring[1] = 0;
        show(2);
        wait_for_answer();
        check(is_alive(), "the same head twice: after a reset it is a good disk");
    }
    group_end();
}

/* Indirect tables (2.7.5.3). */
static void test_indirect(void)
{
    static const struct {
        const char *name;
        uint64_t address; /* 0: the table */
        uint32_t len;
        uint16_t flags, inner; /* of the descriptor; added to those of the table's first */
    } bad[] = {{"length 0", 0, 0, VIRTQ_INDIRECT, 0},
               {"odd length", 0, 17, VIRTQ_INDIRECT, 0},
               {"behind RAM", BEHIND_RAM, 48, VIRTQ_INDIRECT, 0},
               {"longer than the queue", 0, 65536 * 16, VIRTQ_INDIRECT, 0},
               {"with NEXT", 0, 48, VIRTQ_INDIRECT | VIRTQ_NEXT, 0},
               {"table within a table", 0, 48, VIRTQ_INDIRECT, VIRTQ_INDIRECT}};

    group_begin("indirect table");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!open_small(VIRTIO_F_INDIRECT_DESC))
            break;
        set_good();
        memcpy(table, (const void *)queue->desc, sizeof(table));
        table[0].flags |= bad[i].inner;
        set(3, table, bad[i].len, bad[i].flags, 0);
        if (bad[i].address)
            queue->desc[3].address = bad[i].address;
        queue->avail->ring[0] = 3;
        show(1);
        wait_for_answer();
        check(is_alive(), "%s: after a reset it is a good disk", bad[i].name);
    }
    group_end();
}

static uint32_t random_state = 0x2545f491;

/* xorshift (Marsaglia 2003); the same numbers each time, so that a failure repeats. */
static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* An address that harms nobody when it is written to: in the sandbox, or where no RAM is. */
static uint64_t random_address(uint32_t r)
{
    switch (r & 7) {
    case 0:
        return BEHIND_RAM + (r >> 8);
    case 1:
        return MMIO_UNCLAIMED + (r >> 16);
    case 2:
        return UINT64_MAX - (r >> 16);
    case 3:
    case 4:
        return (uintptr_t)&header;
    default:
        return (uintptr_t)sandbox + (r >> 8) % SANDBOX;
    }
}

/* At most as long as the sandbox behind its middle, or longer than RAM. */
static uint32_t random_length(uint32_t r)
{
    static const uint32_t some[] = {0, 1, 15, 16, SECTOR, 8 * SECTOR, UINT32_MAX, 0x80000000};

    return r & 8 ? some[r & 7] : (r >> 8) % SANDBOX;
}

/* The header may be overwritten, too: then it asks for anything. Its neighbours must not be. */
static void random_descriptor(volatile struct virtq_desc *d)
{
    uint32_t r = next_random();

    d->address = random_address(r);
    d->len = d->address == (uintptr_t)&header ? sizeof(header) : random_length(next_random());
    r = next_random();
    d->flags = (uint16_t)(r & 3);
    d->next = (uint16_t)(r >> 8 & (r & 4 ? 0xffff : SIZE - 1));
}

/* The second CPU: rewrites one descriptor after the other, and now and then a whole good chain. */
static void scribble(uint32_t id)
{
    (void)id;
    while (scribbling) {
        random_descriptor(&queue->desc[next_random() % SIZE]);
        header.type = next_random() & 15;
        header.sector = next_random() & 255;
        if ((next_random() & 15) == 0)
            set_good();
    }
    stopped = 1;
}

/* The first CPU shows heads meanwhile, and resets the device whenever it has had enough. */
static void feed(uint64_t cycles)
{
    unsigned resets = 0, used = 0;

    for (uint64_t start = rdtsc(); rdtsc() - start < cycles;) {
        uint16_t at = queue->avail->index;

        queue->avail->ring[at % SIZE] = (uint16_t)(at % SIZE);
        show((uint16_t)(at + 1));
        if (disk.dev.transport->status(&disk.dev) & VIRTIO_NEEDS_RESET ||
            (uint16_t)(at + 1 - queue->used->index) >= SIZE) {
            used += queue->used->index;
            open_small(0);
            resets++;
        }
    }
    check(resets > 0, "%u resets, %u chains given back", resets, used);
}

static void test_second_cpu(void)
{
    uint64_t cycles = cmdline_number("ms", 300) * UINT64_C(2000000);
    bool x2apic = cmdline_has("x2apic");

    group_begin("a second CPU rewrites descriptors");
    open_small(0);
    apic_enable(x2apic);
    scribbling = 1;
    if (!check(smp_start(1, x2apic, scribble), "it starts"))
        return;
    feed(cycles);
    scribbling = 0;
    check(wait_until(&stopped, 1), "it stops");
    check(is_alive(), "after a reset it is a good disk");
    group_end();
}

void guest_main(void)
{
    if (!virtio_find(VIRTIO_ID_BLOCK, 0, &disk.dev))
        skip("no virtio disk");
    printf("on %s\n", disk.dev.transport->name);
    if (!check(is_alive(), "the disk works"))
        return;
    test_chains();
    test_indexes();
    test_indirect();
    test_second_cpu();
}
