/*
 * Ends the run in the way that the command line names: how=WAY, one of the names in the table.
 * The marker comes first, because nothing can be printed afterwards.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"

const char guest_name[] = "ending";

#define I8042_PULSE_RESET 0xfe
#define POWER_CONTROL     (PORT_POWER + 0)
#define POWER_RESET       (PORT_POWER + 2)
#define SLEEP_S5          0x34 /* SLP_EN | 5 << 2 (ACPI 6.5, 4.8.3.7) */
#define RESET_VALUE       1
#define PANICKED          1

static void halt_for_ever(void)
{
    for (;;) {
        interrupts_off();
        halt();
    }
}

/* The keyboard controller of the PC/AT had a spare output pin, and IBM wired it to RESET. */
static void reset_i8042(void)
{
    out8(PORT_I8042, I8042_PULSE_RESET);
}

/* The FADT's reset register (ACPI 6.5, 4.8.3.6). */
static void reset_acpi(void)
{
    out8(POWER_RESET, RESET_VALUE);
}

static void power_off(void)
{
    out8(POWER_CONTROL, SLEEP_S5);
}

/* An exception while there is no interrupt table: no handler, and none for that either. */
static void triple_fault(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } empty = {0, 0};

    __asm__ volatile("lidt %0\n\t"
                     "div %%cl" /* by zero */
                     :
                     : "m"(empty), "a"(1), "c"(0));
}

/* As Linux prints it, with its time stamp. */
static void print_panic(void)
{
    printf("[    0.123456] Kernel panic - not syncing: test\n");
}

static void panic_silent(void)
{
    print_panic();
    halt_for_ever();
}

static void panic_reset(void)
{
    print_panic();
    reset_i8042();
}

/* panic= and the like may power off in an orderly way: that is what then happened. */
static void panic_poweroff(void)
{
    print_panic();
    power_off();
}

/* A user's text with the words in it is no panic. */
static void panic_quoted(void)
{
    printf("he said: Kernel panic - not syncing: test\n");
    power_off();
}

/* For who must see the guest run before it ends: the first byte received is the permission. */
static void power_off_when_told(void)
{
    while (!(in8(PORT_UART + UART_LSR) & LSR_DATA))
        cpu_pause();
    power_off();
}

static void pvpanic_reset(void)
{
    out8(PORT_PVPANIC, PANICKED);
    reset_i8042();
}

static void pvpanic_silent(void)
{
    out8(PORT_PVPANIC, PANICKED);
    halt_for_ever();
}

/* Four that never end: busy, asleep with interrupts off and on, and talking. */
static void spin(void)
{
    for (;;)
        cpu_pause();
}

static void idle(void)
{
    for (;;)
        interrupts_on_and_halt();
}

static void flood(void)
{
    for (;;)
        printf("0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopq\n");
}

/* As far as Linux' start of its init, and no further. */
static void init_silent(void)
{
    printf("[    0.123456] Run /init as init process\n");
    halt_for_ever();
}

/* One exit after the other, for ever: hv is at work all the time, and still keeps its deadline. */
static void exits(void)
{
    for (;;)
        out8(PORT_UNCLAIMED, 0);
}

static void device_exits(void)
{
    for (;;)
        mmio_write32(MMIO_UNCLAIMED, 0);
}

/*
 * Runs bytes that are no program. Nothing catches the exceptions, so the first ends it: if they do
 * not happen to loop. The bytes are always the same.
 */
static void garbage(void)
{
    static uint8_t bytes[4096];
    static const uint64_t no_table[2];
    uint32_t state = 1;

    for (unsigned i = 0; i < sizeof(bytes); i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    __asm__ volatile("lidt %0; jmp *%1" : : "m"(no_table), "r"(bytes) : "memory");
}

static const struct {
    const char *name;
    void (*end)(void);
} ways[] = {{"i8042", reset_i8042},
            {"acpi-reset", reset_acpi},
            {"poweroff", power_off},
            {"told-poweroff", power_off_when_told},
            {"triple-fault", triple_fault},
            {"panic-silent", panic_silent},
            {"panic-reset", panic_reset},
            {"panic-poweroff", panic_poweroff},
            {"panic-quoted", panic_quoted},
            {"pvpanic-reset", pvpanic_reset},
            {"pvpanic-silent", pvpanic_silent},
            {"spin", spin},
            {"silent", halt_for_ever},
            {"init-silent", init_silent},
            {"idle", idle},
            {"flood", flood},
            {"exits", exits},
            {"device-exits", device_exits},
            {"garbage", garbage}};

static bool is_word(const char *at, const char *word)
{
    size_t len = strlen(word);

    return strncmp(at, word, len) == 0 && (at[len] == '\0' || at[len] == ' ');
}

void guest_main(void)
{
    const char *how = cmdline_text("how");

    if (how && is_word(how, "mute"))
        halt_for_ever(); /* without even the marker */
    for (unsigned i = 0; how && i < sizeof(ways) / sizeof(ways[0]); i++)
        if (is_word(how, ways[i].name)) {
            printf("ending by %s\n", ways[i].name);
            test_print_marker();
            ways[i].end();
            halt_for_ever(); /* the machine may take a moment; if it never ends, the runner sees */
        }
    check(false, "the command line has how=WAY");
}
