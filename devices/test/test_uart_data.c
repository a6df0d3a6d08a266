/*
 * The serial port's data: from guest to host and back, when either is slow, asleep or still
 * booting.
 */
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/devices.h"
#include "devices/test/fake_serial.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define THR RBR
#define FCR IIR
#define DLL RBR
#define DLM IER

static struct fake_serial port;
static char out[70000];

static void set_up(void)
{
    fake_serial_open(&port, uart16550_create);
}

static void tear_down(void)
{
    fake_serial_close(&port);
}

static uint8_t in(uint64_t reg)
{
    return fake_in(port.dev, reg);
}

static void outb(uint64_t reg, uint8_t value)
{
    fake_out(port.dev, reg, value);
}

/* As a driver in interrupt mode: FIFOs on, modem lines up, interrupt connected. */
static void open_port(uint8_t ier)
{
    outb(FCR, 0x07);
    outb(MCR, 0x0b);
    outb(IER, ier);
}

static void type(const char *text)
{
    fake_serial_type(&port, text);
}

START_TEST(transmit_reaches_the_host_and_thr_is_empty_again)
{
    for (const char *p = "serial\n"; *p; p++) {
        ck_assert_uint_eq(in(LSR)&0x60, 0x60);
        outb(THR, (uint8_t)*p);
    }
    fake_console_read(&port.console, out, sizeof(out));
    ck_assert_str_eq(out, "serial\n");
    ck_assert_uint_eq(port.irq.rises, 0);
}
END_TEST

START_TEST(without_fifo_one_byte_at_a_time_arrives)
{
    outb(MCR, 0x0b);
    outb(IER, 0x01);
    type("xyz");
    for (const char *p = "xyz"; *p; p++) {
        fake_console_run(&port.console, 1);
        ck_assert_uint_eq(in(IIR), 0x04);
        ck_assert_uint_eq(in(RBR), (uint8_t)*p);
        ck_assert_uint_eq(in(IIR), 0x01); /* the next comes with the loop */
    }
}
END_TEST

START_TEST(script_on_stdin_survives_the_driver_probing)
{
    type("poweroff -f\n");
    /* Console set-up raises DTR only, start-up clears the FIFOs and discards what it finds. */
    outb(MCR, 0x01);
    outb(FCR, 0x01);
    outb(FCR, 0x07);
    outb(FCR, 0x00);
    ck_assert_uint_eq(in(LSR)&0x01, 0);
    in(RBR);
    in(IIR);
    outb(MCR, 0x09);
    outb(IER, 0x05);
    outb(FCR, 0x07);
    outb(MCR, 0x0b);
    for (const char *p = "poweroff -f\n"; *p; p++) {
        fake_console_run(&port.console, 0);
        ck_assert_uint_eq(in(LSR)&0x01, 0x01);
        ck_assert_uint_eq(in(RBR), (uint8_t)*p);
    }
}
END_TEST

START_TEST(sender_honours_rts)
{
    open_port(0x01);
    outb(MCR, 0x09); /* throttled */
    type("q");
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(in(LSR)&0x01, 0);
    outb(MCR, 0x0b);
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(RBR), 'q');
}
END_TEST

START_TEST(polling_guest_that_sets_up_nothing_gets_input)
{
    type("k");
    ck_assert_uint_eq(in(LSR)&0x01, 0x01);
    ck_assert_uint_eq(in(RBR), 'k');
}
END_TEST

/* Prints as a driver that waits for THRE, until the host takes no more. */
static unsigned print_until_held_back(void)
{
    unsigned sent = 0;

    while (in(LSR)&0x20) {
        for (unsigned i = 0; i < 16; i++)
            outb(THR, (uint8_t)('a' + sent++ % 26));
        ck_assert_uint_lt(sent, 1000000);
    }
    return sent;
}

START_TEST(stalled_host_holds_the_guest_back_and_loses_nothing)
{
    unsigned sent = print_until_held_back(), got = 0;
    size_t n;

    ck_assert_uint_gt(sent, CHARDEV_RING_BYTES - 64);
    ck_assert_uint_eq(in(LSR), 0x00);
    ck_assert_uint_eq(chardev_get_stats(port.console.chr).dropped, 0);
    open_port(0x02);
    ck_assert(!port.irq.level); /* nor is the interrupt raised while there is no room */
    do {
        fake_console_run(&port.console, 0);
        n = fake_console_read(&port.console, out, sizeof(out));
        for (size_t i = 0; i < n; i++)
            ck_assert_int_eq(out[i], (char)('a' + got++ % 26));
    } while (n > 0);
    ck_assert_uint_eq(got, sent);
    ck_assert(port.irq.level); /* drained */
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST(guest_that_ignores_thre_loses_bytes_not_time)
{
    uint64_t start = loop_now_ns();

    for (unsigned i = 0; i < 1000000; i++)
        outb(THR, 'x');
    ck_assert_uint_lt(loop_now_ns() - start, UINT64_C(20000000000));
    ck_assert_uint_gt(chardev_get_stats(port.console.chr).dropped, 800000);
    ck_assert_uint_eq(chardev_get_stats(port.console.chr).written, 1000000);
}
END_TEST

START_TEST(hundred_megabytes_typed_at_a_guest_that_sleeps)
{
    static char block[4096];
    uint64_t pushed = 0;

    for (unsigned i = 0; i < 25600; i++) {
        ssize_t n = write(port.console.in_fd, block, sizeof(block));

        pushed += n > 0 ? (uint64_t)n : 0;
        if (i % 16 == 0)
            fake_console_run(&port.console, 0);
    }
    ck_assert_uint_le(pushed, 65536 + 16); /* the pipe and the wire */
    ck_assert_int_eq(loop_step(port.console.loop), 0);
}
END_TEST

START_TEST(long_input_arrives_whole_and_in_order)
{
    unsigned typed = 0, got = 0;

    open_port(0x01);
    while (got < 100000) {
        uint8_t byte = (uint8_t)typed;

        while (typed < 100000 && write(port.console.in_fd, &byte, 1) == 1)
            byte = (uint8_t)++typed;
        fake_console_run(&port.console, 0);
        while (in(LSR)&0x01)
            ck_assert_uint_eq(in(RBR), (uint8_t)got++);
    }
}
END_TEST

START_TEST(no_console_swallows_output)
{
    struct dev_env env = {.loop = port.console.loop};
    struct dev *alone;

    ck_assert_int_eq(uart16550_create(&env, &alone), 0);
    fake_out(alone, IER, 0x0f);
    fake_out(alone, MCR, 0x0b);
    fake_out(alone, THR, 'x');
    ck_assert_uint_eq(fake_in(alone, LSR), 0x60);
    dev_reset(alone);
    dev_destroy(alone);
}
END_TEST

/* The vCPU reads and changes modes while the loop brings more: nothing is lost or doubled. */
START_TEST(input_survives_a_race_of_guest_and_loop)
{
    open_port(0x01);
    fake_serial_race(&port, 3000);
    for (unsigned got = 0; got < 3000;) {
        if (in(LSR)&0x01)
            ck_assert_uint_eq(in(RBR), got++ % 251);
        if (got % 512 == 0)
            outb(FCR, got & 512 ? 0x00 : 0x01);
    }
    fake_serial_rest(&port);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("uart16550 data");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, transmit_reaches_the_host_and_thr_is_empty_again);
    tcase_add_test(tc, without_fifo_one_byte_at_a_time_arrives);
    tcase_add_test(tc, script_on_stdin_survives_the_driver_probing);
    tcase_add_test(tc, sender_honours_rts);
    tcase_add_test(tc, polling_guest_that_sets_up_nothing_gets_input);
    tcase_add_test(tc, stalled_host_holds_the_guest_back_and_loses_nothing);
    tcase_add_test(tc, guest_that_ignores_thre_loses_bytes_not_time);
    tcase_add_test(tc, hundred_megabytes_typed_at_a_guest_that_sleeps);
    tcase_add_test(tc, long_input_arrives_whole_and_in_order);
    tcase_add_test(tc, no_console_swallows_output);
    tcase_add_test(tc, input_survives_a_race_of_guest_and_loop);
    return fake_run(tc);
}
