/* Exit dispatch, fed with invented exits: no KVM anywhere. */
#include <stdlib.h>
#include <string.h>

#include "devices/core/bus.h"
#include "devices/core/dev.h"
#include "hv/exit.h"
#include "hv/test/run_suite.h"

/* A device of four byte registers that remembers what was done to it. */
struct probe {
    struct dev dev;
    uint8_t reg[4];
    unsigned reads, writes;
    unsigned last_size;
    uint64_t last_offset, last_value;
};

static uint64_t probe_read(struct dev *dev, uint64_t offset, unsigned size)
{
    struct probe *p = (struct probe *)dev;
    uint64_t value = 0;

    p->reads++;
    p->last_size = size;
    p->last_offset = offset;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)p->reg[offset + i] << (8 * i);
    return value;
}

static void probe_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct probe *p = (struct probe *)dev;

    p->writes++;
    p->last_size = size;
    p->last_offset = offset;
    p->last_value = value;
    for (unsigned i = 0; i < size; i++)
        p->reg[offset + i] = (uint8_t)(value >> (8 * i));
}

static const struct dev_ops probe_ops = {.tag = "probe", .read = probe_read, .write = probe_write};

#define PORT      0x100
#define MMIO      UINT64_C(0xd0000000)
#define RUN_BYTES 8192

static struct probe port_probe, mmio_probe;
static struct bus port_bus, mmio_bus;
static struct exit_log log_;
static struct exit_context ctx;
static struct kvm_run *run;
static struct outcome outcome;

static void setup(void)
{
    memset(&port_probe, 0, sizeof(port_probe));
    memset(&mmio_probe, 0, sizeof(mmio_probe));
    memset(&log_, 0, sizeof(log_));
    memset(&outcome, 0, sizeof(outcome));
    port_bus = (struct bus){.name = "port"};
    mmio_bus = (struct bus){.name = "mmio"};
    dev_init(&port_probe.dev, &probe_ops);
    dev_init(&mmio_probe.dev, &probe_ops);
    ck_assert_int_eq(bus_add(&port_bus, PORT, 4, &port_probe.dev), 0);
    ck_assert_int_eq(bus_add(&mmio_bus, MMIO, 4, &mmio_probe.dev), 0);
    bus_freeze(&port_bus);
    bus_freeze(&mmio_bus);
    ctx = (struct exit_context){&port_bus, &mmio_bus, &log_};
    free(run);
    run = calloc(1, RUN_BYTES);
}

static uint8_t *io_exit(int direction, uint16_t port, uint8_t size, uint32_t count)
{
    run->exit_reason = KVM_EXIT_IO;
    run->io.direction = (uint8_t)direction;
    run->io.port = port;
    run->io.size = size;
    run->io.count = count;
    run->io.data_offset = 4096;
    return (uint8_t *)run + 4096;
}

static enum exit_action dispatch(void)
{
    return exit_dispatch(&ctx, run, RUN_BYTES, &outcome);
}

START_TEST(port_write_of_each_width_reaches_the_device)
{
    for (uint8_t size = 1; size <= 4; size = (uint8_t)(size * 2)) {
        uint8_t *data;

        setup();
        data = io_exit(KVM_EXIT_IO_OUT, PORT, size, 1);
        memcpy(data, "\x11\x22\x33\x44", 4);
        ck_assert_int_eq(dispatch(), EXIT_CONTINUE);
        ck_assert_uint_eq(port_probe.writes, 1);
        ck_assert_uint_eq(port_probe.last_size, size);
        ck_assert_uint_eq(port_probe.last_value, 0x44332211u & size_mask(size));
    }
}
END_TEST

START_TEST(port_read_returns_the_device_value)
{
    uint8_t *data;

    setup();
    memcpy(port_probe.reg, "\xaa\xbb\xcc\xdd", 4);
    data = io_exit(KVM_EXIT_IO_IN, PORT, 4, 1);
    ck_assert_int_eq(dispatch(), EXIT_CONTINUE);
    ck_assert_int_eq(memcmp(data, "\xaa\xbb\xcc\xdd", 4), 0);
}
END_TEST

START_TEST(string_write_repeats_the_port_and_advances_the_data)
{
    uint8_t *data;

    setup();
    data = io_exit(KVM_EXIT_IO_OUT, PORT + 1, 1, 5);
    memcpy(data, "abcde", 5);
    ck_assert_int_eq(dispatch(), EXIT_CONTINUE);
    ck_assert_uint_eq(port_probe.writes, 5);
    ck_assert_uint_eq(port_probe.last_offset, 1);
    ck_assert_uint_eq(port_probe.last_value, 'e');
    ck_assert_uint_eq(port_probe.reg[2], 0);
}
END_TEST

START_TEST(string_read_fills_each_element)
{
    uint8_t *data;

    setup();
    port_probe.reg[0] = 0x5a;
    data = io_exit(KVM_EXIT_IO_IN, PORT, 1, 3);
    memset(data, 0, 4);
    dispatch();
    ck_assert_int_eq(memcmp(data, "\x5a\x5a\x5a\x00", 4), 0);
    ck_assert_uint_eq(port_probe.reads, 3);
}
END_TEST

START_TEST(string_data_beyond_the_shared_area_is_a_fault)
{
    setup();
    io_exit(KVM_EXIT_IO_OUT, PORT, 4, RUN_BYTES);
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
    ck_assert_int_eq(outcome.end, END_VMM_ERROR);
    ck_assert_uint_eq(port_probe.writes, 0);
    setup();
    io_exit(KVM_EXIT_IO_OUT, PORT, 1, 1);
    run->io.data_offset = UINT64_MAX;
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
}
END_TEST

START_TEST(unclaimed_port_reads_as_ones_and_is_counted)
{
    uint8_t *data;

    setup();
    data = io_exit(KVM_EXIT_IO_IN, 0x500, 2, 1);
    dispatch();
    ck_assert_int_eq(memcmp(data, "\xff\xff", 2), 0);
    ck_assert_uint_eq(port_bus.unclaimed, 1);
    ck_assert(!exit_log_recent(&log_, 0)->claimed);
}
END_TEST

START_TEST(access_across_the_end_of_a_device_is_routed_by_bytes)
{
    uint8_t *data;

    setup();
    port_probe.reg[3] = 0x77;
    data = io_exit(KVM_EXIT_IO_IN, PORT + 3, 2, 1);
    dispatch();
    ck_assert_int_eq(memcmp(data, "\x77\xff", 2), 0);
    ck_assert_uint_eq(port_probe.last_size, 1);
}
END_TEST

START_TEST(mmio_of_each_width_and_an_odd_one)
{
    static const unsigned widths[] = {1, 2, 4, 3};

    for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
        setup();
        run->exit_reason = KVM_EXIT_MMIO;
        run->mmio.phys_addr = MMIO;
        run->mmio.len = widths[i];
        run->mmio.is_write = 1;
        memcpy(run->mmio.data, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        ck_assert_int_eq(dispatch(), EXIT_CONTINUE);
        for (unsigned b = 0; b < 4; b++)
            ck_assert_uint_eq(mmio_probe.reg[b], b < widths[i] ? b + 1 : 0);
    }
}
END_TEST

START_TEST(mmio_straddling_the_end_keeps_the_claimed_part)
{
    setup();
    memcpy(mmio_probe.reg, "\x01\x02\x03\x04", 4);
    run->exit_reason = KVM_EXIT_MMIO;
    run->mmio.phys_addr = MMIO + 2;
    run->mmio.len = 8;
    dispatch();
    ck_assert_int_eq(memcmp(run->mmio.data, "\x03\x04\xff\xff\xff\xff\xff\xff", 8), 0);
}
END_TEST

START_TEST(mmio_longer_than_its_buffer_is_a_fault)
{
    setup();
    run->exit_reason = KVM_EXIT_MMIO;
    run->mmio.phys_addr = MMIO;
    run->mmio.len = 9;
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
}
END_TEST

START_TEST(shutdown_is_a_triple_fault_not_a_clean_end)
{
    setup();
    run->exit_reason = KVM_EXIT_SHUTDOWN;
    ck_assert_int_eq(dispatch(), EXIT_STOP);
    ck_assert_int_eq(outcome.end, END_TRIPLE_FAULT);
    ck_assert_int_eq(outcome_status(&outcome), 255);
}
END_TEST

START_TEST(an_access_that_cannot_be_described_is_refused)
{
    const struct exit_record *r;

    setup();
    run->exit_reason = KVM_EXIT_ARM_NISV;
    run->arm_nisv.fault_ipa = MMIO;
    ck_assert_int_eq(exit_dispatch(&ctx, run, RUN_BYTES, &outcome), EXIT_REFUSED);
    ck_assert_uint_eq(mmio_probe.reads + mmio_probe.writes, 0);
    ck_assert_int_eq(outcome.end, END_NONE);
    r = exit_log_recent(&log_, 0);
    ck_assert_int_eq(r->kind, EXIT_KIND_MMIO);
    ck_assert_uint_eq(r->addr, MMIO);
    ck_assert(!r->claimed);
    ck_assert_str_eq(exit_reason_name(r->reason), "ARM_NISV");
}
END_TEST

START_TEST(system_events_end_in_their_own_way)
{
    static const struct {
        uint32_t type;
        enum vm_end end;
    } rows[] = {{KVM_SYSTEM_EVENT_SHUTDOWN, END_POWEROFF},
                {KVM_SYSTEM_EVENT_RESET, END_REBOOT},
                {KVM_SYSTEM_EVENT_CRASH, END_PANIC},
                {12345, END_VMM_ERROR}};

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        setup();
        run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
        run->system_event.type = rows[i].type;
        ck_assert_int_ne(dispatch(), EXIT_CONTINUE);
        ck_assert_int_eq(outcome.end, rows[i].end);
    }
}
END_TEST

START_TEST(errors_of_kvm_are_told_apart)
{
    setup();
    run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
    ck_assert(strstr(outcome.detail, "emulate"));
    setup();
    run->exit_reason = KVM_EXIT_FAIL_ENTRY;
    run->fail_entry.hardware_entry_failure_reason = 0x80000021;
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
    ck_assert(strstr(outcome.detail, "0x80000021"));
    setup();
    run->exit_reason = 999;
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
    ck_assert(strstr(outcome.detail, "999"));
    setup();
    run->exit_reason = KVM_EXIT_HYPERCALL;
    ck_assert_int_eq(dispatch(), EXIT_FAULT);
}
END_TEST

START_TEST(interrupted_runs_continue)
{
    setup();
    run->exit_reason = KVM_EXIT_INTR;
    ck_assert_int_eq(dispatch(), EXIT_CONTINUE);
    run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
    ck_assert_int_eq(dispatch(), EXIT_CONTINUE);
}
END_TEST

START_TEST(the_log_counts_by_reason_and_address)
{
    setup();
    for (int i = 0; i < 20; i++) {
        io_exit(KVM_EXIT_IO_OUT, PORT, 1, 2);
        dispatch();
    }
    ck_assert_uint_eq(log_.total, 20);
    ck_assert_uint_eq(log_.by_reason[KVM_EXIT_IO], 20);
    ck_assert_ptr_nonnull(exit_log_recent(&log_, EXIT_LOG_RECENT - 1));
    ck_assert_ptr_null(exit_log_recent(&log_, EXIT_LOG_RECENT));
    for (unsigned i = 0; i < EXIT_LOG_ADDRESSES; i++)
        if (log_.address[i].writes) {
            ck_assert_uint_eq(log_.address[i].addr, PORT);
            ck_assert_uint_eq(log_.address[i].writes, 40);
        }
}
END_TEST

START_TEST(more_addresses_than_the_log_holds_are_still_counted)
{
    struct exit_log sum = {0};
    uint64_t counted = 0;

    setup();
    for (uint16_t port = 0x1000; port < 0x1400; port++) {
        io_exit(KVM_EXIT_IO_IN, port, 1, 1);
        dispatch();
    }
    exit_log_merge(&sum, &log_);
    exit_log_merge(&sum, &log_);
    for (unsigned i = 0; i < EXIT_LOG_ADDRESSES; i++)
        counted += sum.address[i].reads;
    ck_assert_uint_eq(counted + sum.other_addresses, 2 * 0x400);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(port_write_of_each_width_reaches_the_device),
        CASE(port_read_returns_the_device_value),
        CASE(string_write_repeats_the_port_and_advances_the_data),
        CASE(string_read_fills_each_element),
        CASE(string_data_beyond_the_shared_area_is_a_fault),
        CASE(unclaimed_port_reads_as_ones_and_is_counted),
        CASE(access_across_the_end_of_a_device_is_routed_by_bytes),
        CASE(mmio_of_each_width_and_an_odd_one),
        CASE(mmio_straddling_the_end_keeps_the_claimed_part),
        CASE(mmio_longer_than_its_buffer_is_a_fault),
        CASE(shutdown_is_a_triple_fault_not_a_clean_end),
        CASE(an_access_that_cannot_be_described_is_refused),
        CASE(system_events_end_in_their_own_way),
        CASE(errors_of_kvm_are_told_apart),
        CASE(interrupted_runs_continue),
        CASE(the_log_counts_by_reason_and_address),
        CASE(more_addresses_than_the_log_holds_are_still_counted),
    };

    return run_suite("exit", cases, ARRAY_SIZE(cases));
}
