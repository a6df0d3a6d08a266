/*
 * All devices of each architecture at once, as hv puts them together: they fit on their buses,
 * answer every access, survive noise, and their state goes through one buffer.
 */
#include "devices/table.h"

#include <errno.h>
#include <string.h>

#include "devices/core/bus.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/test/fake.h"

#define MOST 32

static struct fake_console c;
static struct fake_irq irq[MOST];
static struct fake_sink sink;
static const struct device_table *const tables[] = {&devices_x86, &devices_arm64};
static const struct device_table *table; /* the one that is tested */
static struct bus bus;
static struct dev *dev[MOST];
static unsigned count;

/* Builds the devices of tables[i], all on one bus: no architecture's has both kinds. */
static void start(int i)
{
    table = tables[i];
    log_set_level(LOG_ERROR);
    memset(&bus, 0, sizeof(bus));
    memset(irq, 0, sizeof(irq));
    memset(&sink, 0, sizeof(sink));
    fake_console_open(&c, NULL);
    for (count = 0; count < table->count; count++) {
        const struct device_row *row = &table->row[count];
        struct dev_env env = {.loop = c.loop,
                              .console = c.chr,
                              .irq = fake_irq_line(&irq[count]),
                              .sink = fake_sink_of(&sink)};

        ck_assert_int_eq(row->type->create(&env, &dev[count]), 0);
        ck_assert_int_eq(row->place.bus, table->row[0].place.bus);
        ck_assert_int_eq(bus_add(&bus, row->place.base, row->place.size, dev[count]), 0);
    }
    bus_freeze(&bus);
}

static void tear_down(void)
{
    if (!table)
        return;
    while (count)
        dev_destroy(dev[--count]);
    fake_console_close(&c);
}

START_TEST(rows_are_complete_and_unique)
{
    start(_i);
    for (unsigned i = 0; i < count; i++) {
        const struct device_type *t = table->row[i].type;

        ck_assert(t->name && t->help && t->modes);
        ck_assert_uint_lt(strlen(dev[i]->ops->tag), STATE_TAG_LEN);
        ck_assert_uint_ge(dev[i]->ops->version, 1);
        for (unsigned j = 0; j < i; j++) {
            ck_assert_str_ne(t->name, table->row[j].type->name);
            ck_assert_str_ne(dev[i]->ops->tag, dev[j]->ops->tag);
        }
    }
}
END_TEST

START_TEST(every_width_at_every_offset_is_answered)
{
    uint8_t data[8];

    start(_i);
    for (unsigned i = 0; i < bus.count; i++) {
        const struct bus_range *r = &bus.range[i];

        for (uint64_t at = r->base - 8; at < r->base + r->size; at++) {
            for (unsigned size = 1; size <= 8; size++) {
                bool inside = at >= r->base && at + size <= r->base + r->size;

                memset(data, 0xa5, sizeof(data));
                ck_assert(bus_read(&bus, at, size, data) || !inside);
                ck_assert(bus_write(&bus, at, size, data) || !inside);
                if (size < 8)
                    memset(data, 0, size);
            }
        }
    }
}
END_TEST

START_TEST(random_storm_keeps_all_devices_answering)
{
    uint64_t seed = 42;
    char out[8192];

    start(_i);
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t r = fake_random(&seed);
        const struct bus_range *range = &bus.range[r % bus.count];
        uint64_t at = range->base + (r >> 8) % (range->size + 2) - 1;
        unsigned size = 1U << (r >> 16 & 3);
        uint8_t data[8];

        store_le64(data, fake_random(&seed));
        if (r >> 24 & 1)
            bus_write(&bus, at, size, data);
        else
            bus_read(&bus, at, size, data);
        if (i % 4096 == 0) {
            fake_console_run(&c, 0);
            fake_console_read(&c, out, sizeof(out));
        }
    }
    for (unsigned i = 0; i < count; i++)
        dev_reset(dev[i]);
    for (unsigned i = 0; i < count; i++)
        ck_assert(!irq[i].level);
}
END_TEST

START_TEST(state_of_all_goes_through_one_buffer_in_order)
{
    struct state_writer w = {0};
    struct state_reader r;
    uint16_t version;

    start(_i);
    for (unsigned i = 0; i < count; i++)
        dev_save(dev[i], &w);
    ck_assert_int_eq(w.error, 0);
    state_reader_init(&r, w.data, w.len);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(dev_load(dev[i], &r), 0);
    ck_assert_int_eq(state_enter(&r, "more", &version), -ENOENT);
    /* Another device's section is not taken for one's own. */
    state_reader_init(&r, w.data, w.len);
    ck_assert_int_ne(dev_load(dev[1], &r), 0);
    state_writer_free(&w);
}
END_TEST

START_TEST(section_of_another_version_is_refused)
{
    start(_i);
    for (unsigned i = 0; i < count; i++) {
        static const uint16_t versions[] = {0, 99, 0xffff};
        struct state_writer w = {0};
        struct state_reader r;

        dev_save(dev[i], &w);
        for (unsigned v = 0; v < ARRAY_SIZE(versions); v++) {
            store_le16(w.data + STATE_TAG_LEN, versions[v]);
            state_reader_init(&r, w.data, w.len);
            ck_assert_int_ne(dev_load(dev[i], &r), 0);
        }
        state_writer_free(&w);
    }
}
END_TEST

START_TEST(hostile_state_of_each_is_refused_or_harmless)
{
    start(_i);
    for (unsigned i = 0; i < count; i++)
        fake_hostile_states(dev[i], table->row[i].place.size);
}
END_TEST

START_TEST(destroy_of_nothing_is_fine)
{
    dev_destroy(NULL);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("table");

    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_loop_test(tc, rows_are_complete_and_unique, 0, ARRAY_SIZE(tables));
    tcase_add_loop_test(tc, every_width_at_every_offset_is_answered, 0, ARRAY_SIZE(tables));
    tcase_add_loop_test(tc, random_storm_keeps_all_devices_answering, 0, ARRAY_SIZE(tables));
    tcase_add_loop_test(tc, state_of_all_goes_through_one_buffer_in_order, 0, ARRAY_SIZE(tables));
    tcase_add_loop_test(tc, section_of_another_version_is_refused, 0, ARRAY_SIZE(tables));
    tcase_add_loop_test(tc, hostile_state_of_each_is_refused_or_harmless, 0, ARRAY_SIZE(tables));
    tcase_add_test(tc, destroy_of_nothing_is_fine);
    return fake_run(tc);
}
