/* The bus: who gets an access, in which pieces, and what nobody's bytes read as. */
#include "devices/core/bus.h"

#include <errno.h>
#include <string.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"

/* A device that remembers its accesses and reads as its offsets. */
struct probe {
    struct dev dev;
    unsigned reads, writes;
    uint64_t offset[8], value[8];
    unsigned size[8];
};

static uint64_t probe_read(struct dev *dev, uint64_t offset, unsigned size)
{
    struct probe *p = container_of(dev, struct probe, dev);
    uint64_t value = 0;

    p->reads++;
    for (unsigned i = 0; i < 8; i++)
        value |= (offset + i) << (8 * i); /* more than `size` bytes, which must not leak */
    (void)size;
    return value;
}

static void probe_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct probe *p = container_of(dev, struct probe, dev);
    unsigned n = p->writes++ % 8;

    p->offset[n] = offset;
    p->size[n] = size;
    p->value[n] = value;
}

static const struct dev_ops probe_ops = {.tag = "probe", .read = probe_read, .write = probe_write};

static struct probe a, b;
static struct bus bus;

/* a at [0x10, 0x18), b at [0x18, 0x1a); both neighbours are free. */
static void set_up(void)
{
    memset(&bus, 0, sizeof(bus));
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    dev_init(&a.dev, &probe_ops);
    dev_init(&b.dev, &probe_ops);
    ck_assert_int_eq(bus_add(&bus, 0x18, 2, &b.dev), 0);
    ck_assert_int_eq(bus_add(&bus, 0x10, 8, &a.dev), 0);
}

static void tear_down(void)
{
    dev_fini(&a.dev);
    dev_fini(&b.dev);
}

START_TEST(add_of_bad_range_is_refused)
{
    ck_assert_int_eq(bus_add(&bus, 0x30, 0, &a.dev), -EINVAL);
    ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 2, &a.dev), -EINVAL);
    ck_assert_int_eq(bus_add(&bus, 0x30, 1, NULL), -EINVAL);
    ck_assert_int_eq(bus_add(&bus, 0x17, 1, &b.dev), -EINVAL);
    ck_assert_int_eq(bus_add(&bus, 0x0f, 2, &b.dev), -EINVAL);
    ck_assert_int_eq(bus_add(&bus, 0, 0x100, &b.dev), -EINVAL);
    ck_assert_uint_eq(bus.count, 2);
}
END_TEST

START_TEST(add_to_full_or_frozen_bus_is_refused)
{
    for (uint64_t at = 0x100; bus.count < BUS_MAX_RANGES; at += 2)
        ck_assert_int_eq(bus_add(&bus, at, 1, &a.dev), 0);
    ck_assert_int_eq(bus_add(&bus, 0x1000, 1, &a.dev), -ENOSPC);
    bus_freeze(&bus);
    ck_assert_int_eq(bus_add(&bus, 0x1000, 1, &a.dev), -EBUSY);
}
END_TEST

START_TEST(find_hits_first_and_last_byte_of_each_of_many)
{
    for (uint64_t at = 0x100; bus.count < BUS_MAX_RANGES; at += 4)
        ck_assert_int_eq(bus_add(&bus, at, 2, &a.dev), 0);
    for (unsigned i = 0; i < bus.count; i++) {
        const struct bus_range *r = &bus.range[i];

        ck_assert_ptr_eq(bus_find(&bus, r->base), r);
        ck_assert_ptr_eq(bus_find(&bus, r->base + r->size - 1), r);
        ck_assert_ptr_ne(bus_find(&bus, r->base - 1), r);
        ck_assert_ptr_ne(bus_find(&bus, r->base + r->size), r);
    }
    ck_assert_ptr_null(bus_find(&bus, 0));
    ck_assert_ptr_null(bus_find(&bus, UINT64_MAX));
}
END_TEST

START_TEST(access_inside_one_range_is_one_callback)
{
    static const unsigned sizes[] = {1, 2, 4, 8};
    uint8_t data[9];

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        memset(data, 0xee, sizeof(data));
        ck_assert(bus_read(&bus, 0x10, sizes[i], data));
        ck_assert_uint_eq(a.reads, i + 1);
        for (unsigned n = 0; n < sizes[i]; n++)
            ck_assert_uint_eq(data[n], n);
        ck_assert_uint_eq(data[sizes[i]], 0xee);
    }
    for (unsigned i = 0; i < 8; i++)
        data[i] = (uint8_t)(0x11 * (i + 1));
    ck_assert(bus_write(&bus, 0x14, 4, data));
    ck_assert_uint_eq(a.writes, 1);
    ck_assert_uint_eq(a.offset[0], 4);
    ck_assert_uint_eq(a.size[0], 4);
    ck_assert_uint_eq(a.value[0], 0x44332211); /* no more than 4 bytes of the buffer */
}
END_TEST

START_TEST(access_over_two_devices_is_split_into_bytes)
{
    uint8_t data[4] = {1, 2, 3, 4};

    ck_assert(bus_write(&bus, 0x16, 4, data));
    ck_assert_uint_eq(a.writes, 2);
    ck_assert_uint_eq(b.writes, 2);
    ck_assert_uint_eq(a.offset[1], 7);
    ck_assert_uint_eq(a.value[1], 2);
    ck_assert_uint_eq(b.offset[0], 0);
    ck_assert_uint_eq(b.value[0], 3);
    ck_assert(bus_read(&bus, 0x16, 4, data));
    ck_assert_mem_eq(data, "\x06\x07\x00\x01", 4);
    ck_assert_uint_eq(bus.unclaimed, 0);
}
END_TEST

START_TEST(odd_width_reaches_devices_as_bytes)
{
    uint8_t data[7] = {9, 8, 7, 6, 5, 4, 3};

    ck_assert(bus_write(&bus, 0x10, 3, data));
    ck_assert_uint_eq(a.writes, 3);
    ck_assert_uint_eq(a.size[2], 1);
    ck_assert_uint_eq(a.value[2], 7);
    ck_assert(bus_read(&bus, 0x10, 7, data));
    ck_assert_mem_eq(data, "\x00\x01\x02\x03\x04\x05\x06", 7);
}
END_TEST

START_TEST(unclaimed_bytes_read_as_ones_and_are_counted)
{
    uint8_t data[8] = {0};

    ck_assert(!bus_read(&bus, 0x1000, 4, data));
    ck_assert_mem_eq(data, "\xff\xff\xff\xff\x00", 5);
    ck_assert(!bus_write(&bus, 0x1000, 8, data));
    ck_assert_uint_eq(bus.unclaimed, 2);
    /* Half of it belongs to somebody. */
    ck_assert(!bus_read(&bus, 0x19, 2, data));
    ck_assert_mem_eq(data, "\x01\xff", 2);
    ck_assert(!bus_write(&bus, 0x0f, 2, data));
    ck_assert_uint_eq(a.writes, 1);
    ck_assert_uint_eq(bus.unclaimed, 4);
}
END_TEST

START_TEST(access_at_the_top_of_the_address_space_does_not_wrap)
{
    uint8_t data[8];

    ck_assert_int_eq(bus_add(&bus, 0, 4, &b.dev), 0);
    ck_assert(!bus_read(&bus, UINT64_MAX - 1, 8, data));
    ck_assert_mem_eq(data, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    ck_assert_uint_eq(b.reads, 0);
}
END_TEST

START_TEST(ten_million_unclaimed_accesses_only_count)
{
    uint8_t data[4];

    for (uint32_t i = 0; i < 10000000; i++)
        bus_read(&bus, 0xcf8, 4, data);
    ck_assert_uint_eq(bus.unclaimed, 10000000);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("bus");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, add_of_bad_range_is_refused);
    tcase_add_test(tc, add_to_full_or_frozen_bus_is_refused);
    tcase_add_test(tc, find_hits_first_and_last_byte_of_each_of_many);
    tcase_add_test(tc, access_inside_one_range_is_one_callback);
    tcase_add_test(tc, access_over_two_devices_is_split_into_bytes);
    tcase_add_test(tc, odd_width_reaches_devices_as_bytes);
    tcase_add_test(tc, unclaimed_bytes_read_as_ones_and_are_counted);
    tcase_add_test(tc, access_at_the_top_of_the_address_space_does_not_wrap);
    tcase_add_test(tc, ten_million_unclaimed_accesses_only_count);
    return fake_run(tc);
}
