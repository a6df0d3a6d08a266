/*
 * INS and OUTS with REP: one instruction, many accesses to one port. A hypervisor sees them in
 * pieces of its own choice, often up to the end of a page, so the buffers lie across one.
 */
#include "guest-tests/x86/pio_string.h"

#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"

#define PAGE    4096
#define SCRATCH (PORT_UART + UART_SCRATCH)
#define FILLER  0x11

static uint8_t memory[2 * PAGE] __attribute__((aligned(PAGE)));

#define STRING_IO(name, instruction, reg)                                                          \
    static void name(uint16_t port, void *buffer, size_t count)                                    \
    {                                                                                              \
        __asm__ volatile("rep " instruction                                                        \
                         : "+" reg(buffer), "+c"(count)                                            \
                         : "d"(port)                                                               \
                         : "memory");                                                              \
    }

STRING_IO(ins8, "insb", "D")
STRING_IO(ins16, "insw", "D")
STRING_IO(ins32, "insl", "D")
STRING_IO(outs8, "outsb", "S")
STRING_IO(outs16, "outsw", "S")
STRING_IO(outs32, "outsl", "S")

/* `size` bytes with the page boundary in the middle, FILLER around. */
static uint8_t *buffer_across(size_t size)
{
    memset(memory + PAGE - 1024, FILLER, 2048);
    return memory + PAGE - size / 2;
}

static bool filled_exactly(const uint8_t *buffer, size_t size, uint8_t byte)
{
    for (size_t i = 0; i < size; i++)
        if (buffer[i] != byte)
            return false;
    return buffer[-1] == FILLER && buffer[size] == FILLER;
}

static void test_input(size_t count)
{
    uint8_t *buffer = buffer_across(count);

    ins8(PORT_UNCLAIMED, buffer, count);
    check(filled_exactly(buffer, count, 0xff), "insb of %u from nobody: ones", (unsigned)count);
    out8(SCRATCH, 0x42);
    buffer = buffer_across(count);
    ins8(SCRATCH, buffer, count);
    check(filled_exactly(buffer, count, 0x42), "insb of %u from a device", (unsigned)count);
}

static void test_wide(void)
{
    uint8_t *buffer = buffer_across(2 * 30);

    ins16(PORT_UNCLAIMED, buffer, 30);
    check(filled_exactly(buffer, 2 * 30, 0xff), "insw of 30");
    outs16(PORT_UNCLAIMED, buffer, 30);
    buffer = buffer_across(4 * 30);
    ins32(PORT_UNCLAIMED, buffer, 30);
    check(filled_exactly(buffer, 4 * 30, 0xff), "insl of 30");
    outs32(PORT_UNCLAIMED, buffer, 30);

    /* 16 bits at MSR and scratch: the last pair wins. */
    buffer = buffer_across(6);
    memcpy(buffer, "\0\1\0\2\0\3", 6);
    outs16(SCRATCH - 1, buffer, 3);
    check_equal(in8(SCRATCH), 3, "outsw of 3 to a device: in order");
}

static void test_odd_cases(void)
{
    uint8_t *buffer = buffer_across(8);
    uint8_t *last = buffer + 7;
    size_t count = 8;

    ins8(SCRATCH, buffer, 0);
    check(filled_exactly(buffer, 8, FILLER), "insb of 0 does nothing");
    out8(SCRATCH, 0x24);
    __asm__ volatile("std; rep insb; cld" : "+D"(last), "+c"(count) : "d"(SCRATCH) : "memory");
    check(filled_exactly(buffer, 8, 0x24), "insb downwards");
    check(last == buffer - 1 && count == 0, "insb downwards: RDI and RCX afterwards");
    memcpy(buffer, "\1\2\3\4\5\6\7", 8);
    outs8(SCRATCH, buffer, 7);
    check_equal(in8(SCRATCH), 7, "outsb of 7 to a device: in order");
    outs8(PORT_UNCLAIMED, buffer_across(300), 300);
}

/* The console shows a line of that many letters; the runner's expectation counts them. */
static void test_output(size_t count)
{
    uint8_t *buffer = buffer_across(count);

    for (size_t i = 0; i < count; i++)
        buffer[i] = (uint8_t)('a' + i % 26);
    printf("outsb of %u: <", (unsigned)count);
    outs8(PORT_UART, buffer, count);
    printf(">\n");
}

void pio_string_test(void)
{
    static const uint16_t counts[] = {1, 7, 300};

    group_begin("string");
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        test_input(counts[i]);
        test_output(counts[i]);
    }
    test_wide();
    test_odd_cases();
    group_end();
}
