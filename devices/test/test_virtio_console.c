/* The console: bytes both ways, none lost and none in excess. */
#include <string.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/test/console_guest.h"

/* Guest to host. */

START_TEST(guest_output_reaches_the_host)
{
    static const uint64_t features[] = {0, F_MULTIPORT, F_MULTIPORT | VIRTIO_F_EVENT_IDX,
                                        F_MULTIPORT | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX};
    char got[100];

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        console_create_piped("");
        console_start(features[i]);
        guest_write(0, "hello ", 6);
        guest_write(0, "host\n", 5);
        ck_assert_uint_eq(host_read(got, sizeof(got)), 11);
        ck_assert_str_eq(got, "hello host\n");
        console_close_pipes();
        driver_destroy(&guest);
    }
}
END_TEST

START_TEST(callback_port_takes_a_large_chain_in_pieces)
{
    static uint8_t data[100000];
    uint16_t id;
    uint32_t len;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    guest_write(1, data, sizeof(data));
    ck_assert(driver_used(&guest, tx_queue(1), 0, &id, &len) && len == 0);
    ck_assert_uint_eq(host.len, sizeof(data));
    ck_assert_mem_eq(host.data, data, sizeof(data));
    driver_destroy(&guest);
}
END_TEST

START_TEST(host_that_is_full_holds_the_guest_back)
{
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT | VIRTIO_F_EVENT_IDX);
    host.appetite = 5;
    guest_write(1, "12345678", 8);
    guest_write(1, "abc", 3);
    ck_assert(!driver_used(&guest, tx_queue(1), 20, &id, &len));
    ck_assert_uint_eq(host.len, 5);
    host.appetite = 4;
    virtio_console_resume(con, 1);
    ck_assert(driver_used(&guest, tx_queue(1), 20, &id, &len));
    ck_assert(!driver_used(&guest, tx_queue(1), 20, &id, &len));
    host.appetite = 100;
    virtio_console_resume(con, 1);
    ck_assert(driver_used(&guest, tx_queue(1), 20, &id, &len));
    ck_assert_uint_eq(host.len, 11);
    ck_assert_mem_eq(host.data, "12345678abc", 11);
    driver_destroy(&guest);
}
END_TEST

START_TEST(full_pipe_holds_the_guest_back_and_loses_nothing)
{
    static uint8_t data[250000], got[sizeof(data)];
    uint16_t id;
    uint32_t len;
    size_t have = 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i ^ i >> 8);
    console_create_piped("");
    console_start(F_MULTIPORT);
    guest_write(0, data, sizeof(data));
    ck_assert(!driver_used(&guest, 1, 30, &id, &len));
    /* Well before the console would give up. */
    for (unsigned i = 0; i < 400 && have < sizeof(data); i++) {
        ssize_t n = read(host_out, got + have, sizeof(got) - have);

        have += n > 0 ? (size_t)n : 0;
        driver_run(&guest);
        usleep(1000);
    }
    ck_assert(driver_used(&guest, 1, 0, &id, &len));
    ck_assert_uint_eq(have, sizeof(data));
    ck_assert_mem_eq(got, data, sizeof(data));
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

/* Linux would wait with interrupts off, for ever. */
START_TEST(reader_that_stopped_for_good_does_not_stop_a_console)
{
    static uint8_t data[250000];
    uint16_t id;
    uint32_t len;

    console_create_piped("");
    console_start(F_MULTIPORT);
    guest_write(0, data, sizeof(data));
    ck_assert(!driver_used(&guest, 1, 800, &id, &len));
    ck_assert(driver_used(&guest, 1, 1000, &id, &len));
    guest_write(0, data, sizeof(data)); /* no second wait */
    ck_assert(driver_used(&guest, 1, 0, &id, &len));
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

START_TEST(reset_forgets_how_far_the_host_was)
{
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    host.appetite = 3;
    guest_write(1, "old old", 7);
    ck_assert(!driver_used(&guest, tx_queue(1), 20, &id, &len));
    host.appetite = 100;
    driver_start(&guest, F_MULTIPORT, 64);
    guest_write(1, "new", 3);
    ck_assert(driver_used(&guest, tx_queue(1), 20, &id, &len));
    ck_assert_uint_eq(host.len, 6);
    ck_assert_mem_eq(host.data, "oldnew", 6);
    driver_destroy(&guest);
}
END_TEST

START_TEST(queue_reset_forgets_how_far_the_host_was)
{
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT | VIRTIO_F_RING_RESET);
    host.appetite = 3;
    guest_write(1, "old old", 7);
    ck_assert(!driver_used(&guest, tx_queue(1), 20, &id, &len));
    driver_write(&guest, 0x30, tx_queue(1));
    driver_write(&guest, 0xc0, 1);
    driver_set_queue(&guest, tx_queue(1), 64);
    host.appetite = 100;
    virtio_console_resume(con, 1);
    guest_write(1, "new", 3);
    ck_assert(driver_used(&guest, tx_queue(1), 20, &id, &len));
    ck_assert_uint_eq(host.len, 6);
    ck_assert_mem_eq(host.data, "oldnew", 6);
    driver_destroy(&guest);
}
END_TEST

START_TEST(output_without_a_port_is_dropped)
{
    uint16_t id;
    uint32_t len;

    console_create("");
    console_start(0);
    guest_write(0, "hello", 5);
    ck_assert(driver_used(&guest, 1, 0, &id, &len));
    driver_destroy(&guest);
}
END_TEST

/* Callbacks may use the console: no lock is held. */
static size_t echo(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    ck_assert_uint_eq(virtio_console_send(con, 1, buf, len), len);
    return len;
}

START_TEST(callback_may_answer_at_once)
{
    const struct virtio_console_port port = {.name = "echo", .data = echo};
    uint64_t gpa;
    uint16_t id;
    uint32_t len;

    console_create("");
    ck_assert_int_eq(virtio_console_add(con, &port), 1);
    console_start(F_MULTIPORT);
    send_control(1, OPEN, 1);
    gpa = guest_read_buf(1, 64);
    guest_write(1, "ping", 4);
    ck_assert(driver_used(&guest, rx_queue(1), 0, &id, &len) && len == 4);
    ck_assert_mem_eq(driver_ptr(&guest, gpa), "ping", 4);
    driver_destroy(&guest);
}
END_TEST

static unsigned calls;

/* As a vCPU may meanwhile; but for the first time calls are only counted. */
static size_t reset_device(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    if (*buf == 'x')
        driver_write(&guest, 0x70, 0);
    calls++;
    return len;
}

START_TEST(reset_while_a_callback_runs_is_survived)
{
    const struct virtio_console_port port = {.data = reset_device};
    uint16_t id;
    uint32_t len;

    console_create("");
    ck_assert_int_eq(virtio_console_add(con, &port), 1);
    console_start(F_MULTIPORT);
    guest_write(1, "x", 1);
    ck_assert(!driver_used(&guest, tx_queue(1), 0, &id, &len));
    ck_assert_uint_eq(driver_read(&guest, 0x70), 0);
    /* What the callback took was of a chain that is gone. */
    driver_start(&guest, F_MULTIPORT, 64);
    calls = 0;
    guest_write(1, "y", 1);
    ck_assert(driver_used(&guest, tx_queue(1), 0, &id, &len));
    ck_assert_uint_eq(calls, 1);
    driver_destroy(&guest);
}
END_TEST

/* Host to guest. */

START_TEST(host_input_waits_for_the_guest_to_open)
{
    uint64_t gpa;
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    gpa = guest_read_buf(1, 64);
    ck_assert_uint_eq(virtio_console_send(con, 1, "early", 5), 5);
    ck_assert(!driver_used(&guest, rx_queue(1), 0, &id, &len));
    send_control(1, OPEN, 1);
    ck_assert(driver_used(&guest, rx_queue(1), 0, &id, &len) && len == 5);
    ck_assert_mem_eq(driver_ptr(&guest, gpa), "early", 5);
    ck_assert_uint_eq(host.opens, 1);
    send_control(1, OPEN, 0);
    ck_assert_uint_eq(host.closes, 1);
    driver_destroy(&guest);
}
END_TEST

START_TEST(sending_is_bounded_and_tells_when_there_is_room)
{
    static uint8_t data[10000];
    uint16_t id;
    uint32_t len;
    size_t have = 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 5 + i / 256);
    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT | VIRTIO_F_RING_PACKED);
    send_control(1, OPEN, 1);
    ck_assert_uint_eq(virtio_console_send(con, 1, data, sizeof(data)), VIRTIO_CONSOLE_SEND_BYTES);
    ck_assert_uint_eq(virtio_console_send(con, 1, data, 1), 0);
    ck_assert_uint_eq(virtio_console_send(con, 9, data, 1), 0); /* no such port */
    driver_run(&guest);
    ck_assert_uint_eq(host.room_calls, 0);
    for (unsigned i = 0; i < 50; i++) {
        uint64_t gpa = guest_read_buf(1, 100);

        if (driver_used(&guest, rx_queue(1), 0, &id, &len)) {
            ck_assert_mem_eq(driver_ptr(&guest, gpa), data + have, len);
            have += len;
        }
    }
    ck_assert_uint_eq(have, VIRTIO_CONSOLE_SEND_BYTES);
    ck_assert_uint_eq(host.room_calls, 1);
    driver_destroy(&guest);
}
END_TEST

/* Table (a), row 76: what the guest does not take stays with the host. */
START_TEST(host_input_of_megabytes_is_not_taken_in)
{
    static uint8_t data[4096];
    size_t taken = 0;
    ssize_t n;

    console_create_piped("");
    console_start(F_MULTIPORT);
    send_control(1, OPEN, 1);
    for (unsigned i = 0; i < 1000; i++) {
        n = write(host_in, data, sizeof(data));
        taken += n > 0 ? (size_t)n : 0;
        driver_run(&guest);
    }
    /* A pipe's 64 KiB, the port's ring, and no more. */
    ck_assert_uint_le(taken, 65536 + VIRTIO_CONSOLE_SEND_BYTES + 4096);
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

START_TEST(host_input_reaches_the_guest_in_order)
{
    uint64_t gpa;
    uint16_t id;
    uint32_t len;

    console_create_piped("");
    console_start(F_MULTIPORT);
    send_control(1, OPEN, 1);
    ck_assert_int_eq(write(host_in, "first second", 12), 12);
    driver_run(&guest);
    gpa = guest_read_buf(1, 6);
    ck_assert(driver_used(&guest, rx_queue(1), 0, &id, &len) && len == 6);
    ck_assert_mem_eq(driver_ptr(&guest, gpa), "first ", 6);
    gpa = guest_read_buf(1, 100);
    ck_assert(driver_used(&guest, rx_queue(1), 0, &id, &len) && len == 6);
    ck_assert_mem_eq(driver_ptr(&guest, gpa), "second", 6);
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

START_TEST(driver_without_multiport_has_port_0_open)
{
    struct driver_buf buf = {.len = 64, .writable = true};
    const struct virtio_console_port port = {.console = true};
    uint16_t id;
    uint32_t len;

    console_create("");
    ck_assert_int_eq(virtio_console_add(con, &port), 0);
    console_start(0);
    buf.gpa = driver_alloc(&guest, 64);
    driver_add(&guest, 0, &buf, 1);
    driver_kick(&guest, 0);
    ck_assert_uint_eq(virtio_console_send(con, 0, "hi", 2), 2);
    ck_assert(driver_used(&guest, 0, 0, &id, &len) && len == 2);
    /* The control queues are dead. */
    buf.writable = false;
    driver_add(&guest, CONTROL_TX, &buf, 1);
    driver_kick(&guest, CONTROL_TX);
    ck_assert(!driver_used(&guest, CONTROL_TX, 0, &id, &len));
    driver_destroy(&guest);
}
END_TEST

START_TEST(buffers_without_room_come_back_empty)
{
    struct driver_buf buf = {.len = 0, .writable = true};
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    send_control(1, OPEN, 1);
    buf.gpa = driver_alloc(&guest, 16);
    for (unsigned i = 0; i < 40; i++)
        driver_add(&guest, rx_queue(1), &buf, 1);
    driver_kick(&guest, rx_queue(1));
    virtio_console_send(con, 1, "x", 1);
    for (unsigned i = 0; i < 40; i++)
        ck_assert(driver_used(&guest, rx_queue(1), 0, &id, &len) && len == 0);
    ck_assert(!driver_broken(&guest));
    driver_destroy(&guest);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-console");

    tcase_add_test(tc, guest_output_reaches_the_host);
    tcase_add_test(tc, callback_port_takes_a_large_chain_in_pieces);
    tcase_add_test(tc, host_that_is_full_holds_the_guest_back);
    tcase_add_test(tc, full_pipe_holds_the_guest_back_and_loses_nothing);
    tcase_add_test(tc, reader_that_stopped_for_good_does_not_stop_a_console);
    tcase_add_test(tc, reset_forgets_how_far_the_host_was);
    tcase_add_test(tc, queue_reset_forgets_how_far_the_host_was);
    tcase_add_test(tc, output_without_a_port_is_dropped);
    tcase_add_test(tc, callback_may_answer_at_once);
    tcase_add_test(tc, reset_while_a_callback_runs_is_survived);
    tcase_add_test(tc, host_input_waits_for_the_guest_to_open);
    tcase_add_test(tc, sending_is_bounded_and_tells_when_there_is_room);
    tcase_add_test(tc, host_input_of_megabytes_is_not_taken_in);
    tcase_add_test(tc, host_input_reaches_the_guest_in_order);
    tcase_add_test(tc, driver_without_multiport_has_port_0_open);
    tcase_add_test(tc, buffers_without_room_come_back_empty);
    return fake_run(tc);
}
