/* Guest RAM around the hole, and batched writes from a ring as KVM fills it. No KVM needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/core/dev.h"
#include "devices/core/log.h"
#include "hv/coalesce.h"
#include "hv/memory.h"
#include "hv/test/run_suite.h"

#define HOLE     (3 * GIB)
#define HOLE_END (4 * GIB)

static char last_line[256];

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    strncpy(last_line, line, sizeof(last_line) - 1);
}

static int create(struct memory *mem, uint64_t size, enum memory_backing backing)
{
    last_line[0] = '\0';
    log_set_sink(keep_line, NULL);
    return memory_create(mem, size, backing, false, HOLE, HOLE_END);
}

/* What another process maps is what the guest sees, on both sides of the hole. */
START_TEST(shared_ram_has_a_file)
{
    struct memory mem;

    ck_assert_int_eq(memory_create(&mem, 64 * MIB, BACKING_THP, true, 32 * MIB, HOLE_END), 0);
    ck_assert(mem.guest.has_file);
    ck_assert_int_eq(mem.guest.fd, mem.fd);
    for (unsigned i = 0; i < mem.guest.count; i++) {
        const struct gmem_region *r = &mem.guest.region[i];
        uint8_t *other =
            mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, mem.fd, (off_t)r->offset);

        ck_assert_ptr_ne(other, MAP_FAILED);
        r->host[4096] = (uint8_t)(i + 1);
        ck_assert_uint_eq(other[4096], i + 1);
        munmap(other, r->size);
    }
    ck_assert_uint_eq(mem.guest.count, 2);
    memory_destroy(&mem);
}
END_TEST

START_TEST(small_ram_is_one_region_from_zero)
{
    struct memory mem;

    ck_assert_int_eq(create(&mem, 64 * MIB, BACKING_THP), 0);
    ck_assert_uint_eq(mem.guest.count, 1);
    ck_assert(gmem_contains(&mem.guest, 0, 64 * MIB));
    ck_assert(!gmem_contains(&mem.guest, 64 * MIB, 1));
    memory_destroy(&mem);
}
END_TEST

START_TEST(ram_up_to_the_hole_stays_below_it)
{
    struct memory mem;

    ck_assert_int_eq(create(&mem, HOLE, BACKING_THP), 0);
    ck_assert_uint_eq(mem.guest.count, 1);
    memory_destroy(&mem);
}
END_TEST

START_TEST(ram_beyond_the_hole_continues_at_4_gib)
{
    struct memory mem;
    uint32_t value = 0x12345678, back = 0;

    ck_assert_int_eq(create(&mem, HOLE + 4096, BACKING_THP), 0);
    ck_assert_uint_eq(mem.guest.count, 2);
    ck_assert(!gmem_contains(&mem.guest, HOLE, 1));
    ck_assert(gmem_contains(&mem.guest, HOLE_END, 4096));
    ck_assert(!gmem_contains(&mem.guest, HOLE_END + 4096, 1));
    ck_assert_int_eq(gmem_write(&mem.guest, HOLE_END + 4092, &value, 4), 0);
    ck_assert_int_eq(gmem_read(&mem.guest, HOLE_END + 4092, &back, 4), 0);
    ck_assert_uint_eq(back, value);
    ck_assert_int_eq(memcmp(mem.host + HOLE + 4092, &value, 4), 0);
    memory_destroy(&mem);
}
END_TEST

START_TEST(ram_behind_a_hole_at_0_is_one_region)
{
    struct memory mem;

    ck_assert_int_eq(memory_create(&mem, 64 * MIB, BACKING_THP, false, 0, GIB), 0);
    ck_assert_uint_eq(mem.guest.count, 1);
    ck_assert_uint_eq(mem.guest.region[0].gpa, GIB);
    ck_assert_uint_eq(mem.guest.region[0].size, 64 * MIB);
    memory_destroy(&mem);
}
END_TEST

START_TEST(ram_starts_at_a_huge_page)
{
    struct memory mem;

    ck_assert_int_eq(create(&mem, 16 * MIB, BACKING_THP), 0);
    ck_assert_uint_eq((uintptr_t)mem.host % (2 * MIB), 0);
    memory_destroy(&mem);
}
END_TEST

START_TEST(more_ram_than_the_host_has_is_refused)
{
    struct memory mem;

    ck_assert_int_eq(create(&mem, memory_host_total() + 4096, BACKING_THP), -ENOMEM);
    ck_assert(strstr(last_line, "more than this host has"));
    memory_destroy(&mem);
}
END_TEST

START_TEST(huge_pages_want_whole_pages)
{
    struct memory mem;

    ck_assert_int_eq(create(&mem, 17 * MIB, BACKING_HUGE_2M), -EINVAL);
    ck_assert(strstr(last_line, "multiple of the huge page size"));
    memory_destroy(&mem);
}
END_TEST

START_TEST(destroy_accepts_twice_and_never_created)
{
    struct memory mem = {.fd = -1};

    memory_destroy(&mem);
    ck_assert_int_eq(create(&mem, 16 * MIB, BACKING_THP), 0);
    memory_destroy(&mem);
    memory_destroy(&mem);
}
END_TEST

/* A device that records what is written to it. */
static uint8_t written[4096];
static unsigned writes;

static void record(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)size;
    written[writes++ % sizeof(written)] = (uint8_t)value;
}

static const struct dev_ops recorder = {.tag = "recorder", .write = record};
static struct dev device;
static struct bus bus;
static struct coalesce c;

/* The ring that KVM would fill: one page, as coalesce_init computes it. */
static void make_ring(uint32_t start)
{
    bus = (struct bus){.name = "port"};
    writes = 0;
    dev_init(&device, &recorder);
    ck_assert_int_eq(bus_add(&bus, 0x3f8, 8, &device), 0);
    bus_freeze(&bus);
    memset(&c, 0, sizeof(c));
    pthread_mutex_init(&c.lock, NULL);
    c.bus = &bus;
    c.pio = true;
    c.ring = calloc(1, 4096);
    c.ring_entries = (uint32_t)((4096 - sizeof(*c.ring)) / sizeof(struct kvm_coalesced_mmio));
    c.ring->first = c.ring->last = start;
}

static void produce(uint8_t value, uint32_t len, uint32_t pio)
{
    struct kvm_coalesced_mmio *e = &c.ring->coalesced_mmio[c.ring->last];

    *e = (struct kvm_coalesced_mmio){.phys_addr = 0x3f8, .len = len, .pio = pio};
    e->data[0] = value;
    c.ring->last = (c.ring->last + 1) % c.ring_entries;
}

START_TEST(queued_writes_come_in_order_across_the_rings_end)
{
    make_ring(160);
    for (uint8_t i = 0; i < 100; i++)
        produce(i, 1, 1);
    coalesce_drain(&c);
    ck_assert_uint_eq(writes, 100);
    for (uint8_t i = 0; i < 100; i++)
        ck_assert_uint_eq(written[i], i);
    ck_assert_uint_eq(c.drained, 100);
    ck_assert_uint_eq(c.ring->first, c.ring->last);
    free(c.ring);
}
END_TEST

START_TEST(a_full_ring_is_emptied_once)
{
    make_ring(3);
    for (uint32_t i = 0; i < c.ring_entries - 1; i++)
        produce((uint8_t)i, 1, 1);
    coalesce_drain(&c);
    ck_assert_uint_eq(writes, c.ring_entries - 1);
    coalesce_drain(&c);
    ck_assert_uint_eq(writes, c.ring_entries - 1);
    free(c.ring);
}
END_TEST

START_TEST(entries_that_are_no_port_writes_are_passed_over)
{
    make_ring(0);
    produce('a', 1, 1);
    produce('b', 1, 0);
    produce('c', 7, 1);
    produce('d', 1, 1);
    coalesce_drain(&c);
    ck_assert_uint_eq(writes, 2);
    ck_assert_uint_eq(written[1], 'd');
    free(c.ring);
}
END_TEST

START_TEST(registers_in_memory_are_batched_as_ports_are)
{
    make_ring(0);
    c.pio = false;
    produce('a', 1, 1);
    produce('b', 2, 0);
    coalesce_drain(&c);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(written[0], 'b');
    free(c.ring);
}
END_TEST

START_TEST(batching_that_is_not_there_does_nothing)
{
    struct coalesce none = {.ring = NULL};
    struct kvm_run run = {.exit_reason = KVM_EXIT_IO};

    coalesce_drain(&none);
    coalesce_note(&none, &run);
    coalesce_fini(&none);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(shared_ram_has_a_file),
        CASE(small_ram_is_one_region_from_zero),
        CASE(ram_up_to_the_hole_stays_below_it),
        CASE(ram_beyond_the_hole_continues_at_4_gib),
        CASE(ram_behind_a_hole_at_0_is_one_region),
        CASE(ram_starts_at_a_huge_page),
        CASE(more_ram_than_the_host_has_is_refused),
        CASE(huge_pages_want_whole_pages),
        CASE(destroy_accepts_twice_and_never_created),
        CASE(queued_writes_come_in_order_across_the_rings_end),
        CASE(a_full_ring_is_emptied_once),
        CASE(entries_that_are_no_port_writes_are_passed_over),
        CASE(registers_in_memory_are_batched_as_ports_are),
        CASE(batching_that_is_not_there_does_nothing),
    };

    return run_suite("memory", cases, ARRAY_SIZE(cases));
}
