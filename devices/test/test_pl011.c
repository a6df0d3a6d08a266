/* The PL011: registers, interrupts, and its data from guest to host and back, as drivers ask. */
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/test/fake_serial.h"

enum {
    DR = 0x00,
    RSR = 0x04,
    FR = 0x18,
    ILPR = 0x20,
    IBRD = 0x24,
    FBRD = 0x28,
    LCR_H = 0x2c,
    CR = 0x30,
    IFLS = 0x34,
    IMSC = 0x38,
    RIS = 0x3c,
    MIS = 0x40,
    ICR = 0x44,
    DMACR = 0x48
};

#define FEN         0x10
#define UARTEN      0x0001
#define LBE         0x0080
#define TXE         0x0100
#define RXE         0x0200
#define DTR         0x0400
#define RTS         0x0800
#define RXFE        0x10
#define TXFF        0x20
#define INT_RX      0x10
#define INT_TX      0x20
#define INT_RT      0x40
#define INT_OE      0x400
#define STATE_CR    6 /* offsets in the saved state */
#define STATE_FLAGS 15

static struct fake_serial port;
static char out[70000];

static void set_up(void)
{
    fake_serial_open(&port, pl011_create);
}

static void tear_down(void)
{
    fake_serial_close(&port);
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)fake_read(port.dev, reg, 4);
}

static void set(uint64_t reg, uint32_t value)
{
    fake_write(port.dev, reg, 4, value);
}

static void type(const char *text)
{
    fake_serial_type(&port, text);
}

/* As a driver in interrupt mode that raises RTS. */
static void open_port(uint32_t imsc)
{
    set(LCR_H, 0x60 | FEN);
    set(CR, UARTEN | TXE | RXE | DTR | RTS);
    set(IMSC, imsc);
}

START_TEST(reset_values_are_those_of_the_manual)
{
    static const struct {
        uint64_t reg;
        uint32_t value;
    } reset[] = {{RSR, 0},   {FR, 0x97},  {ILPR, 0},    {IBRD, 0}, {FBRD, 0},
                 {LCR_H, 0}, {CR, 0x300}, {IFLS, 0x12}, {IMSC, 0}, {RIS, 0},
                 {MIS, 0},   {DMACR, 0},  {0x4c, 0},    {0xfdc, 0}};
    static const uint8_t id[] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

    for (unsigned i = 0; i < ARRAY_SIZE(reset); i++)
        ck_assert_msg(get(reset[i].reg) == reset[i].value, "0x%x: 0x%x", (unsigned)reset[i].reg,
                      get(reset[i].reg));
    for (unsigned i = 0; i < ARRAY_SIZE(id); i++)
        ck_assert_uint_eq(get(0xfe0 + 4 * i), id[i]);
    ck_assert(!port.irq.level);
}
END_TEST

START_TEST(registers_keep_the_bits_that_there_are)
{
    static const struct {
        uint64_t reg;
        uint32_t kept;
    } regs[] = {{ILPR, 0xff}, {IBRD, 0xffff}, {FBRD, 0x3f},  {LCR_H, 0xff},
                {CR, 0xff87}, {IFLS, 0x3f},   {IMSC, 0x7ff}, {DMACR, 7}};

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        set(regs[i].reg, UINT32_MAX);
        ck_assert_uint_eq(get(regs[i].reg), regs[i].kept);
        set(regs[i].reg, 0);
        ck_assert_uint_eq(get(regs[i].reg), 0);
    }
}
END_TEST

START_TEST(bytes_reach_the_host_by_every_width)
{
    fake_write(port.dev, DR, 1, 'a');
    fake_write(port.dev, DR, 2, 'b');
    fake_write(port.dev, DR, 4, 'c' | 0xffffff00);
    fake_write(port.dev, DR, 8, '\n');
    fake_write(port.dev, DR + 1, 1, 'x'); /* no register begins there */
    fake_console_read(&port.console, out, sizeof(out));
    ck_assert_str_eq(out, "abc\n");
    ck_assert_uint_eq(get(FR) & (TXFF | 0x88), 0x80); /* empty again, not busy */
}
END_TEST

/* 3.4: before anything is written there is no transmit interrupt, whatever the level. */
START_TEST(transmit_interrupt_follows_what_was_written)
{
    open_port(INT_TX);
    ck_assert(!port.irq.level);
    set(DR, 'x');
    ck_assert(port.irq.level);
    ck_assert_uint_eq(get(RIS), INT_TX);
    ck_assert_uint_eq(get(MIS), INT_TX);
    set(ICR, INT_RX);
    ck_assert(port.irq.level);
    set(ICR, INT_TX);
    ck_assert(!port.irq.level);
    set(DR, 'y');
    ck_assert(port.irq.level);
    set(IMSC, 0); /* as Linux' driver stops it */
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(get(RIS), INT_TX);
}
END_TEST

START_TEST(receive_interrupts_follow_the_data)
{
    open_port(INT_RX | INT_RT);
    set(IFLS, 0); /* at one eighth: four bytes */
    type("abc");
    ck_assert_uint_eq(get(MIS), INT_RT);
    ck_assert(port.irq.level);
    type("d");
    ck_assert_uint_eq(get(MIS), INT_RX | INT_RT);
    set(ICR, INT_RX | INT_RT); /* they wait on */
    ck_assert_uint_eq(get(MIS), INT_RX | INT_RT);
    ck_assert_uint_eq(get(DR), 'a');
    ck_assert_uint_eq(get(MIS), INT_RT);
    for (const char *p = "bcd"; *p; p++)
        ck_assert_uint_eq(get(DR), (uint8_t)*p);
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(get(DR), 0);
    ck_assert_uint_eq(get(FR) & RXFE, RXFE);
}
END_TEST

START_TEST(receive_level_is_a_part_of_the_fifo)
{
    static const uint8_t level[] = {4, 8, 16, 24, 28, 28, 28, 28};

    open_port(0);
    for (unsigned i = 0; i < ARRAY_SIZE(level); i++) {
        unsigned n = 0;

        set(IFLS, i << 3);
        while (!(get(RIS) & INT_RX) && n < 40) {
            type("x");
            n++;
        }
        ck_assert_uint_eq(n, level[i]);
        while (!(get(FR) & RXFE))
            get(DR);
    }
    set(LCR_H, 0); /* without FIFOs each byte counts */
    type("x");
    ck_assert_uint_eq(get(RIS) & INT_RX, INT_RX);
}
END_TEST

START_TEST(polling_guest_that_sets_up_nothing_gets_input)
{
    type("k");
    ck_assert_uint_eq(get(FR) & RXFE, 0);
    ck_assert_uint_eq(get(DR), 'k');
}
END_TEST

START_TEST(guest_without_rts_gets_input_once_it_asks)
{
    set(LCR_H, FEN);
    set(CR, UARTEN | TXE | RXE);
    type("ab");
    set(IMSC, INT_RX | INT_RT);
    ck_assert(port.irq.level);
    ck_assert_uint_eq(get(DR), 'a');
}
END_TEST

/* Linux: pl011_hwinit, pl011_startup, pl011_enable_interrupts, then the modem's lines. */
START_TEST(script_on_stdin_survives_the_driver_starting)
{
    type("poweroff -f\n");
    set(CR, UARTEN | TXE); /* the console prints */
    set(CR, 0x300);
    set(ICR, 0x7f0);
    set(IMSC, INT_RX | INT_RT);
    ck_assert(!port.irq.level);
    set(IFLS, 0x12);
    set(CR, UARTEN | RXE | TXE);
    set(ICR, INT_RT | INT_RX);
    for (unsigned i = 0; i < 64 && !(get(FR) & RXFE); i++)
        get(DR);
    set(LCR_H, 0x70);
    set(CR, UARTEN | RXE | TXE | RTS | DTR);
    set(IMSC, INT_RX | INT_RT);
    for (const char *p = "poweroff -f\n"; *p; p++) {
        fake_console_run(&port.console, 0);
        ck_assert_uint_eq(get(FR) & RXFE, 0);
        ck_assert_uint_eq(get(DR), (uint8_t)*p);
    }
}
END_TEST

START_TEST(sender_honours_rts_and_the_receivers_switch)
{
    open_port(INT_RX | INT_RT);
    set(CR, UARTEN | TXE | RXE); /* throttled */
    type("q");
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(get(FR) & RXFE, RXFE);
    set(CR, UARTEN | TXE | RTS);
    ck_assert(!port.irq.level);
    set(CR, UARTEN | TXE | RXE | RTS);
    ck_assert(port.irq.level);
    ck_assert_uint_eq(get(DR), 'q');
}
END_TEST

START_TEST(loopback_returns_data_and_modem_lines)
{
    set(LCR_H, FEN);
    set(CR, LBE | UARTEN | TXE | RXE);
    ck_assert_uint_eq(get(FR) & 0x107, 0);
    ck_assert_uint_eq(get(RIS) & 0xf, 0xe); /* three lines have fallen */
    set(ICR, 0x7ff);
    set(CR, LBE | UARTEN | TXE | RXE | 0x3c00);
    ck_assert_uint_eq(get(FR) & 0x107, 0x107);
    ck_assert_uint_eq(get(RIS) & 0xf, 0xf);
    set(DR, 'l');
    ck_assert_uint_eq(get(DR), 'l');
    ck_assert_uint_eq(fake_console_read(&port.console, out, sizeof(out)), 0);
}
END_TEST

START_TEST(full_fifo_overruns_and_keeps_the_old)
{
    set(LCR_H, FEN);
    set(CR, LBE | UARTEN | TXE | RXE);
    for (unsigned i = 0; i < 32; i++)
        set(DR, i);
    ck_assert_uint_eq(get(FR) & 0x40, 0x40);
    ck_assert_uint_eq(get(RIS) & INT_OE, 0);
    set(DR, 99);
    ck_assert_uint_eq(get(RIS) & INT_OE, INT_OE);
    ck_assert_uint_eq(get(RSR), 8);
    ck_assert_uint_eq(get(DR), 0x800);
    for (unsigned i = 1; i < 32; i++)
        ck_assert_uint_eq(get(DR), i);
    set(RSR, 0);
    ck_assert_uint_eq(get(RSR), 0);
    set(DR, 1);
    set(LCR_H, 0); /* the FIFOs go, and what is in them */
    ck_assert_uint_eq(get(FR) & RXFE, RXFE);
}
END_TEST

/* Prints as a driver that polls, until the host takes no more. */
static unsigned print_until_held_back(void)
{
    unsigned sent = 0;

    while (!(get(FR) & TXFF)) {
        set(DR, 'a' + sent++ % 26);
        ck_assert_uint_lt(sent, 1000000);
    }
    return sent;
}

START_TEST(stalled_host_holds_the_guest_back_and_loses_nothing)
{
    unsigned sent, got = 0;
    bool right = true;
    size_t n;

    open_port(INT_TX);
    sent = print_until_held_back();
    ck_assert_uint_gt(sent, CHARDEV_RING_BYTES - 64);
    ck_assert_uint_eq(get(FR) & 0xa8, 0x28); /* full and busy */
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(chardev_get_stats(port.console.chr).dropped, 0);
    do {
        fake_console_run(&port.console, 0);
        n = fake_console_read(&port.console, out, sizeof(out));
        for (size_t i = 0; i < n; i++)
            right = right && out[i] == (char)('a' + got++ % 26);
    } while (n > 0);
    ck_assert(right);
    ck_assert_uint_eq(got, sent);
    ck_assert(port.irq.level); /* drained */
    ck_assert_uint_eq(get(FR) & 0xa8, 0x80);
}
END_TEST

START_TEST(long_input_arrives_whole_and_in_order)
{
    unsigned typed = 0, got = 0;
    bool right = true;

    open_port(INT_RX | INT_RT);
    while (got < 100000) {
        uint8_t byte = (uint8_t)typed;

        while (typed < 100000 && write(port.console.in_fd, &byte, 1) == 1)
            byte = (uint8_t)++typed;
        fake_console_run(&port.console, 0);
        while (!(get(FR) & RXFE))
            right = right && get(DR) == (uint8_t)got++;
        ck_assert(right);
    }
}
END_TEST

START_TEST(no_console_swallows_output)
{
    struct dev_env env = {.loop = port.console.loop};
    struct dev *alone;

    ck_assert_int_eq(pl011_create(&env, &alone), 0);
    fake_write(alone, IMSC, 4, 0x7ff);
    fake_write(alone, DR, 4, 'x');
    ck_assert_uint_eq(fake_read(alone, FR, 4) & 0xb8, 0x90);
    dev_reset(alone);
    dev_destroy(alone);
}
END_TEST

START_TEST(reset_lowers_the_line_and_keeps_the_wire)
{
    open_port(INT_RX | INT_RT | INT_TX);
    set(DR, 'x');
    type("w");
    ck_assert(port.irq.level);
    dev_reset(port.dev);
    ck_assert(!port.irq.level);
    ck_assert_uint_eq(get(CR), 0x300);
    ck_assert_uint_eq(get(DR), 'w');
}
END_TEST

START_TEST(state_moves_to_another_uart)
{
    struct fake_irq other_irq = {0};
    struct dev_env env = {.loop = port.console.loop, .irq = fake_irq_line(&other_irq)};
    struct dev *other;

    open_port(INT_RX | INT_RT);
    set(IBRD, 0x1234);
    set(IFLS, 0x21);
    type("abc");
    get(DR);
    ck_assert_int_eq(pl011_create(&env, &other), 0);
    ck_assert_int_eq(fake_transfer(port.dev, other), 0);
    ck_assert(other_irq.level);
    ck_assert_uint_eq(fake_read(other, IBRD, 4), 0x1234);
    ck_assert_uint_eq(fake_read(other, IFLS, 4), 0x21);
    ck_assert_uint_eq(fake_read(other, LCR_H, 4), 0x70);
    ck_assert_uint_eq(fake_read(other, DR, 4), 'b');
    ck_assert_uint_eq(fake_read(other, DR, 4), 'c');
    ck_assert(!other_irq.level);
    dev_destroy(other);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    set(LCR_H, FEN);
    set(CR, LBE | UARTEN | TXE | RXE);
    set(DR, 'x');
    fake_hostile_states(port.dev, 0x50);
}
END_TEST

START_TEST(state_that_no_chip_can_have_is_refused)
{
    static const struct {
        uint8_t at, value;
    } bad[] = {
        {1, 0x01},              /* ILPR has 8 bits */
        {4, 0x40},              /* FBRD 6 */
        {STATE_CR, 0x08},       /* CR */
        {STATE_CR + 3, 0x08},   /* IMSC */
        {STATE_CR + 4, 0x10},   /* the receive interrupts are not latched */
        {13, 0x40},             /* IFLS */
        {14, 0x08},             /* DMACR */
        {STATE_FLAGS, 0x20},    /* a flag that there is not */
        {STATE_FLAGS + 1, 33},  /* more bytes than the wire holds */
        {STATE_FLAGS + 34, 33}, /* than the FIFO holds */
        {STATE_FLAGS + 34, 2},  /* than one without FIFOs holds */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        fake_expect_refused(port.dev, bad[i].at, bad[i].value);
}
END_TEST

START_TEST(fuzz_of_all_registers_keeps_the_invariants)
{
    uint64_t seed = 0x11;

    for (unsigned i = 0; i < 60000; i++) {
        uint64_t r = fake_random(&seed);
        uint64_t reg = r % 0x50;
        unsigned size = 1U << (r >> 8 & 3);
        uint32_t fr;

        if (r & 0x10000)
            fake_write(port.dev, reg, size, r >> 20);
        else
            fake_read(port.dev, reg, size);
        fr = get(FR);
        /* One check a round: Check's asserts cost more than the device. */
        ck_assert((get(MIS) == (get(RIS) & get(IMSC))) && port.irq.level == (get(MIS) != 0) &&
                  !(fr & RXFE && get(RIS) & (INT_RX | INT_RT)) && !(fr & RXFE && fr & 0x40));
        if (i % 64 == 0) {
            if (r & 0x20000)
                (void)!write(port.console.in_fd, &r, 8);
            fake_console_run(&port.console, 0);
            if (r & 0x40000)
                fake_console_read(&port.console, out, sizeof(out));
        }
    }
}
END_TEST

/* The vCPU throttles and releases the sender while the loop brings more. */
START_TEST(input_survives_a_race_of_guest_and_loop)
{
    bool right = true;

    open_port(INT_RX | INT_RT);
    fake_serial_race(&port, 2000);
    for (unsigned got = 0; got < 2000;) {
        set(CR, UARTEN | TXE | RXE | (got % 7 ? RTS : 0));
        set(CR, UARTEN | TXE | RXE | RTS);
        if (get(FR) & RXFE)
            continue;
        right = right && get(DR) == got++ % 251;
        set(IFLS, got % 5 << 3);
        set(DR, 'o');
    }
    fake_serial_rest(&port);
    ck_assert(right);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pl011");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, reset_values_are_those_of_the_manual);
    tcase_add_test(tc, registers_keep_the_bits_that_there_are);
    tcase_add_test(tc, bytes_reach_the_host_by_every_width);
    tcase_add_test(tc, transmit_interrupt_follows_what_was_written);
    tcase_add_test(tc, receive_interrupts_follow_the_data);
    tcase_add_test(tc, receive_level_is_a_part_of_the_fifo);
    tcase_add_test(tc, polling_guest_that_sets_up_nothing_gets_input);
    tcase_add_test(tc, guest_without_rts_gets_input_once_it_asks);
    tcase_add_test(tc, script_on_stdin_survives_the_driver_starting);
    tcase_add_test(tc, sender_honours_rts_and_the_receivers_switch);
    tcase_add_test(tc, loopback_returns_data_and_modem_lines);
    tcase_add_test(tc, full_fifo_overruns_and_keeps_the_old);
    tcase_add_test(tc, stalled_host_holds_the_guest_back_and_loses_nothing);
    tcase_add_test(tc, long_input_arrives_whole_and_in_order);
    tcase_add_test(tc, no_console_swallows_output);
    tcase_add_test(tc, reset_lowers_the_line_and_keeps_the_wire);
    tcase_add_test(tc, state_moves_to_another_uart);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, state_that_no_chip_can_have_is_refused);
    tcase_add_test(tc, fuzz_of_all_registers_keeps_the_invariants);
    tcase_add_test(tc, input_survives_a_race_of_guest_and_loop);
    return fake_run(tc);
}
