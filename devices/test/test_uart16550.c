/*
 * The serial port register by register: its interrupt, loopback, saved state, and what Linux'
 * driver does to find out what chip it is. The data's way is test_uart_data.c's.
 */
#include <unistd.h>

#include "devices/core/util.h"
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

START_TEST(reset_values_are_those_of_the_data_sheet)
{
    ck_assert_uint_eq(in(IER), 0);
    ck_assert_uint_eq(in(IIR), 0x01);
    ck_assert_uint_eq(in(LCR), 0);
    ck_assert_uint_eq(in(MCR), 0);
    ck_assert_uint_eq(in(LSR), 0x60);
    ck_assert_uint_eq(in(MSR), 0xb0);
    ck_assert_uint_eq(in(RBR), 0);
    ck_assert_uint_eq(port.irq.rises, 0);
}
END_TEST

START_TEST(scratch_lcr_and_divisor_keep_what_is_written)
{
    for (unsigned v = 0; v < 256; v++) {
        outb(SCR, (uint8_t)v);
        ck_assert_uint_eq(in(SCR), v);
        outb(LCR, (uint8_t)v);
        ck_assert_uint_eq(in(LCR), v);
    }
    outb(LCR, 0x83);
    outb(DLL, 0x34);
    outb(DLM, 0x12);
    ck_assert_uint_eq(in(DLL), 0x34);
    ck_assert_uint_eq(in(DLM), 0x12);
    outb(LCR, 0x03);
    ck_assert_uint_eq(in(IER), 0); /* the divisor was not IER */
    ck_assert_uint_eq(fake_console_read(&port.console, out, sizeof(out)), 0);
}
END_TEST

START_TEST(reserved_bits_of_ier_and_mcr_read_zero)
{
    outb(IER, 0xff);
    ck_assert_uint_eq(in(IER), 0x0f);
    outb(MCR, 0xff);
    ck_assert_uint_eq(in(MCR), 0x1f);
}
END_TEST

START_TEST(writes_to_lsr_and_msr_are_ignored)
{
    outb(LSR, 0xff);
    outb(MSR, 0xff);
    ck_assert_uint_eq(in(LSR), 0x60);
    ck_assert_uint_eq(in(MSR), 0xb0);
}
END_TEST

/* The probes of Linux' 8250 driver (autoconfig and autoconfig_16550a), in its order. */
START_TEST(linux_autoconfig_finds_a_16550a)
{
    outb(IER, 0);
    ck_assert_uint_eq(in(IER), 0);
    outb(IER, 0x0f);
    ck_assert_uint_eq(in(IER)&0x0f, 0x0f);
    outb(IER, 0);
    outb(MCR, 0x10 | 0x0a);
    ck_assert_uint_eq(in(MSR)&0xf0, 0x90);
    outb(MCR, 0);
    outb(LCR, 0xbf);
    outb(2, 0); /* EFR of other chips, FCR here */
    outb(LCR, 0);
    outb(FCR, 0x01);
    ck_assert_uint_eq(in(IIR) >> 6, 3);
    outb(FCR, 0x01);
    outb(LCR, 0x80);
    ck_assert_uint_ne(in(2), 0); /* no EFR behind DLAB: not a 16650 */
    outb(LCR, 0);
    outb(FCR, 0x21);
    ck_assert_uint_eq(in(IIR)&0x20, 0); /* no 64-byte FIFO */
    outb(IER, 0x40);
    ck_assert_uint_eq(in(IER)&0x40, 0); /* not an XScale */
}
END_TEST

/* serial8250_do_startup: does the chip raise THRE again when IER is written again? */
START_TEST(linux_startup_finds_no_thre_or_txen_bug)
{
    uint8_t first, second;

    outb(IER, 0x02);
    first = in(IIR);
    outb(IER, 0);
    outb(IER, 0x02);
    second = in(IIR);
    ck_assert_uint_eq(first & 1, 0);
    ck_assert_uint_eq(second & 1, 0);
    outb(IER, 0);
    outb(IER, 0x02);
    ck_assert_uint_eq(in(LSR)&0x40, 0x40);
    ck_assert_uint_eq(in(IIR)&1, 0);
}
END_TEST

START_TEST(thre_interrupt_comes_on_enable_and_after_each_byte)
{
    open_port(0x02);
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert(!port.irq.level); /* reading it as the source clears it */
    ck_assert_uint_eq(in(IIR), 0xc1);
    outb(THR, 'x');
    ck_assert(port.irq.level);
    outb(THR, 'y'); /* still: no second edge */
    ck_assert_uint_eq(port.irq.rises, 2);
    ck_assert_uint_eq(in(IIR), 0xc2);
    outb(IER, 0x02); /* was enabled before: nothing new */
    ck_assert(!port.irq.level);
    outb(IER, 0);
    outb(IER, 0x02);
    ck_assert(port.irq.level);
    outb(IER, 0);
    ck_assert(!port.irq.level);
}
END_TEST

START_TEST(iir_read_with_higher_source_keeps_thre_pending)
{
    open_port(0x03);
    type("z");
    ck_assert_uint_eq(in(IIR), 0xc4);
    ck_assert_uint_eq(in(RBR), 'z');
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert_uint_eq(in(IIR), 0xc1);
}
END_TEST

START_TEST(receive_interrupt_follows_the_data)
{
    open_port(0x01);
    ck_assert(!port.irq.level);
    type("ab");
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(LSR), 0x61);
    ck_assert_uint_eq(in(RBR), 'a');
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(RBR), 'b');
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(in(LSR), 0x60);
    ck_assert_uint_eq(in(RBR), 0);
}
END_TEST

START_TEST(trigger_level_tells_data_from_timeout)
{
    static const struct {
        uint8_t fcr, level;
    } trigger[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};

    open_port(0x01);
    for (unsigned i = 0; i < ARRAY_SIZE(trigger); i++) {
        outb(FCR, trigger[i].fcr);
        type("0123456789abcde");
        for (unsigned left = 15; left > 0; left--) {
            ck_assert_uint_eq(in(IIR), left >= trigger[i].level ? 0xc4 : 0xcc);
            in(RBR);
        }
        ck_assert_uint_eq(in(IIR), 0xc1);
    }
}
END_TEST

START_TEST(out2_connects_the_interrupt)
{
    open_port(0x02);
    outb(MCR, 0x03);
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(in(IIR), 0xc2);
    outb(IER, 0);
    outb(IER, 0x02);
    ck_assert(!port.irq.level);
    outb(MCR, 0x0b);
    ck_assert(port.irq.level);
}
END_TEST

START_TEST(loopback_returns_each_output_on_its_input)
{
    static const struct {
        uint8_t mcr, msr;
    } line[] = {{0x10, 0x00}, {0x11, 0x20}, {0x12, 0x10}, {0x14, 0x40}, {0x18, 0x80}, {0x1f, 0xf0}};

    for (unsigned i = 0; i < ARRAY_SIZE(line); i++) {
        outb(MCR, line[i].mcr);
        ck_assert_uint_eq(in(MSR)&0xf0, line[i].msr);
    }
}
END_TEST

START_TEST(loopback_data_comes_back_and_not_out)
{
    outb(FCR, 0x01);
    outb(MCR, 0x1b);
    outb(IER, 0x01);
    outb(THR, 0xa5);
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(LSR), 0x61);
    ck_assert_uint_eq(in(RBR), 0xa5);
    ck_assert(!port.irq.level);
    fake_console_run(&port.console, 30);
    ck_assert_uint_eq(fake_console_read(&port.console, out, sizeof(out)), 0);
}
END_TEST

START_TEST(loopback_hides_the_host_and_loses_nothing)
{
    open_port(0x01);
    outb(MCR, 0x1b);
    type("h");
    ck_assert_uint_eq(in(LSR)&0x01, 0);
    outb(MCR, 0x0b);
    ck_assert_uint_eq(in(RBR), 'h');
}
END_TEST

START_TEST(full_fifo_overruns_and_keeps_the_old)
{
    outb(FCR, 0x01);
    outb(MCR, 0x18);
    outb(IER, 0x04);
    for (uint8_t i = 0; i < 16; i++)
        outb(THR, i);
    ck_assert(!port.irq.level);
    outb(THR, 0xee);
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(IIR), 0xc6);
    ck_assert_uint_eq(in(LSR), 0x63);
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(in(LSR), 0x61); /* reading cleared it */
    for (uint8_t i = 0; i < 16; i++)
        ck_assert_uint_eq(in(RBR), i);
    ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST(overrun_without_fifo_keeps_the_new)
{
    outb(MCR, 0x10);
    outb(THR, 'o');
    outb(THR, 'n');
    ck_assert_uint_eq(in(LSR), 0x63);
    ck_assert_uint_eq(in(RBR), 'n');
    ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST(fcr_clears_what_the_chip_received)
{
    static const uint8_t clearing[] = {0x03, 0x00}; /* RX reset; FIFOs off */

    outb(MCR, 0x10);
    for (unsigned i = 0; i < ARRAY_SIZE(clearing); i++) {
        outb(FCR, 0x01);
        outb(THR, 'x');
        outb(FCR, 0x05); /* the transmitter's reset is not the receiver's */
        ck_assert_uint_eq(in(LSR)&0x01, 0x01);
        outb(FCR, clearing[i]);
        ck_assert_uint_eq(in(LSR)&0x01, 0);
    }
    ck_assert_uint_eq(in(IIR), 0x01);
    outb(FCR, 0xc2); /* without bit 0 the others do nothing */
    ck_assert_uint_eq(in(IIR), 0x01);
}
END_TEST

START_TEST(modem_status_changes_are_told_and_cleared)
{
    outb(MCR, 0x18);
    in(MSR);
    outb(IER, 0x08);
    ck_assert(!port.irq.level);
    outb(MCR, 0x1a); /* RTS: CTS rises */
    ck_assert(port.irq.level);
    ck_assert_uint_eq(in(IIR), 0x00);
    ck_assert_uint_eq(in(MSR), 0x91);
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(in(MSR), 0x90);
    outb(MCR, 0x1e); /* RI rises: not told */
    ck_assert(!port.irq.level);
    outb(MCR, 0x1a); /* RI falls */
    ck_assert_uint_eq(in(MSR), 0x94);
    outb(MCR, 0x1b);
    ck_assert_uint_eq(in(MSR), 0xb2);
    outb(IER, 0);
    outb(MCR, 0x13); /* DCD falls with OUT2 */
    ck_assert_uint_eq(in(MSR), 0x38);
}
END_TEST

START_TEST(sources_come_by_priority)
{
    outb(FCR, 0x01);
    outb(MCR, 0x18);
    for (uint8_t i = 0; i < 17; i++)
        outb(THR, i);
    outb(MCR, 0x1a);
    outb(IER, 0x0f);
    ck_assert_uint_eq(in(IIR), 0xc6);
    in(LSR);
    ck_assert_uint_eq(in(IIR), 0xc4);
    for (uint8_t i = 0; i < 16; i++)
        in(RBR);
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert_uint_eq(in(IIR), 0xc0);
    in(MSR);
    ck_assert_uint_eq(in(IIR), 0xc1);
    ck_assert_uint_eq(port.irq.rises, 1);
    ck_assert(!port.irq.level);
}
END_TEST

START_TEST(wide_access_is_consecutive_registers)
{
    fake_write(port.dev, LCR, 2, 0x0a03);
    ck_assert_uint_eq(in(LCR), 0x03);
    ck_assert_uint_eq(in(MCR), 0x0a);
    ck_assert_uint_eq(fake_read(port.dev, 0, 8), UINT64_C(0x00b0600a03010000));
    fake_write(port.dev, 6, 2, 0x7700);
    ck_assert_uint_eq(in(SCR), 0x77);
}
END_TEST

START_TEST(reset_lowers_the_line_and_keeps_the_wire)
{
    open_port(0x03);
    type("r");
    ck_assert(port.irq.level);
    dev_reset(port.dev);
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(in(IIR), 0x01);
    ck_assert_uint_eq(in(RBR), 'r');
}
END_TEST

START_TEST(state_moves_to_another_uart)
{
    struct fake_irq other_irq = {0};
    struct dev_env env = {.irq = fake_irq_line(&other_irq)};
    struct dev *other;

    open_port(0x0f);
    outb(LCR, 0x80);
    outb(DLL, 0x55);
    outb(LCR, 0x03);
    outb(SCR, 0x5a);
    type("abc");
    in(RBR);
    ck_assert_int_eq(uart16550_create(&env, &other), 0);
    ck_assert_int_eq(fake_transfer(port.dev, other), 0);
    ck_assert(other_irq.level);
    ck_assert_uint_eq(fake_in(other, SCR), 0x5a);
    ck_assert_uint_eq(fake_in(other, RBR), 'b');
    ck_assert_uint_eq(fake_in(other, RBR), 'c');
    ck_assert_uint_eq(fake_in(other, IIR), 0xc2);
    fake_out(other, LCR, 0x83);
    ck_assert_uint_eq(fake_in(other, DLL), 0x55);
    dev_destroy(other);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    outb(FCR, 0xc1);
    outb(MCR, 0x1f);
    outb(THR, 'x');
    fake_hostile_states(port.dev, 8);
}
END_TEST

START_TEST(state_that_no_chip_can_have_is_refused)
{
    static const struct {
        uint8_t at, value;
    } bad[] = {
        {0, 0x10},     /* IER */
        {1, 0x08},     /* FCR: a bit that is not kept */
        {1, 0xc0},     /* a trigger level without FIFOs */
        {3, 0x20},     /* MCR */
        {5, 0x04},     /* overrun */
        {6, 0x10},     /* modem status changes */
        {9, 0x10},     /* flags */
        {9, 0x01},     /* THRE waits though it is not enabled */
        {9, 0x02},     /* or is owed */
        {10, 17},      /* more bytes than the wire holds */
        {10 + 17, 17}, /* than the FIFO holds */
        {10 + 17, 2},  /* than one without FIFOs holds */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        fake_expect_refused(port.dev, bad[i].at, bad[i].value);
}
END_TEST

/* The line is what the registers say, after every access. */
static void check_invariants(void)
{
    uint8_t lcr = in(LCR), mcr, iir;

    outb(LCR, lcr & 0x7f);
    mcr = in(MCR);
    /* THRE may go with the look at IIR, and must then not come back by itself. */
    iir = in(IIR);
    if ((iir & 0x0f) != 0x02)
        ck_assert_int_eq(port.irq.level, mcr & 0x08 && !(iir & 1));
    else
        ck_assert_int_eq(port.irq.level, mcr & 0x08 && !(in(IIR)&1));
    ck_assert_uint_eq(iir & 0x30, 0);
    ck_assert(iir >> 6 == 0 || iir >> 6 == 3);
    if (!(in(IER)))
        ck_assert_uint_eq(iir & 0x0f, 1);
    outb(LCR, lcr);
}

START_TEST(fuzz_of_all_registers_keeps_the_invariants)
{
    uint64_t seed = 0x16550;

    for (unsigned i = 0; i < 60000; i++) {
        uint64_t r = fake_random(&seed);
        uint64_t reg = r & 7;
        unsigned size = 1U << (r >> 3 & 3);

        if (reg + size > 8)
            size = 1;
        if (r & 0x100)
            fake_write(port.dev, reg, size, r >> 16);
        else
            fake_read(port.dev, reg, size);
        check_invariants();
        if (i % 64 == 0) {
            if (r & 0x200)
                (void)!write(port.console.in_fd, &r, 8);
            fake_console_run(&port.console, 0);
            if (r & 0x400)
                fake_console_read(&port.console, out, sizeof(out));
        }
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("uart16550 registers");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, reset_values_are_those_of_the_data_sheet);
    tcase_add_test(tc, scratch_lcr_and_divisor_keep_what_is_written);
    tcase_add_test(tc, reserved_bits_of_ier_and_mcr_read_zero);
    tcase_add_test(tc, writes_to_lsr_and_msr_are_ignored);
    tcase_add_test(tc, linux_autoconfig_finds_a_16550a);
    tcase_add_test(tc, linux_startup_finds_no_thre_or_txen_bug);
    tcase_add_test(tc, thre_interrupt_comes_on_enable_and_after_each_byte);
    tcase_add_test(tc, iir_read_with_higher_source_keeps_thre_pending);
    tcase_add_test(tc, receive_interrupt_follows_the_data);
    tcase_add_test(tc, trigger_level_tells_data_from_timeout);
    tcase_add_test(tc, out2_connects_the_interrupt);
    tcase_add_test(tc, loopback_returns_each_output_on_its_input);
    tcase_add_test(tc, loopback_data_comes_back_and_not_out);
    tcase_add_test(tc, loopback_hides_the_host_and_loses_nothing);
    tcase_add_test(tc, full_fifo_overruns_and_keeps_the_old);
    tcase_add_test(tc, overrun_without_fifo_keeps_the_new);
    tcase_add_test(tc, fcr_clears_what_the_chip_received);
    tcase_add_test(tc, modem_status_changes_are_told_and_cleared);
    tcase_add_test(tc, sources_come_by_priority);
    tcase_add_test(tc, wide_access_is_consecutive_registers);
    tcase_add_test(tc, reset_lowers_the_line_and_keeps_the_wire);
    tcase_add_test(tc, state_moves_to_another_uart);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, state_that_no_chip_can_have_is_refused);
    tcase_add_test(tc, fuzz_of_all_registers_keeps_the_invariants);
    return fake_run(tc);
}
