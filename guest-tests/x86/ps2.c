/* The keyboard controller and its keyboard: tests of themselves, echo, keys polled and by
 * interrupt. */
#include "guest-tests/lib/ps2.h"
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "ps2";

#define GSI_KEYBOARD    1
#define VECTOR_KEYBOARD 0x53
#define KEYS            100
#define PORT_DATA       0x60

static volatile uint32_t interrupts;
static volatile uint8_t last_key;

static void on_keyboard(struct trap_frame *frame)
{
    (void)frame;
    last_key = in8(PORT_DATA);
    interrupts++;
    apic_eoi();
}

static int config(void)
{
    return ps2_command(PS2_READ_CONFIG) ? ps2_read() : -1;
}

static void set_config(uint8_t value)
{
    ps2_command(PS2_WRITE_CONFIG);
    ps2_write(value);
}

static void test_controller(void)
{
    int value;

    group_begin("controller");
    check(ps2_command(PS2_TEST_SELF) && ps2_read() == 0x55, "it passes its own test");
    check(ps2_command(PS2_TEST_PORT) && ps2_read() == 0, "the keyboard's wires are good");
    value = config();
    check(value >= 0, "the configuration can be read: 0x%x", (unsigned)value);
    set_config((uint8_t)(value & ~PS2_CONFIG_OLD_CODE & ~PS2_CONFIG_IRQ));
    check((config() & (PS2_CONFIG_OLD_CODE | PS2_CONFIG_IRQ)) == 0, "and be changed");
    ps2_command(PS2_DISABLE);
    check(config() & PS2_CONFIG_DISABLED, "the keyboard can be switched off");
    ps2_command(PS2_ENABLE);
    check(!(config() & PS2_CONFIG_DISABLED), "and on");
    group_end();
}

static void test_keyboard(void)
{
    group_begin("keyboard");
    check(ps2_write(KEYBOARD_ECHO) && ps2_read() == KEYBOARD_ECHO, "echo");
    check(ps2_write(KEYBOARD_RESET) && ps2_read() == KEYBOARD_ACK, "reset: acknowledged");
    check(ps2_read() == KEYBOARD_PASSED, "reset: passed");
    check(ps2_write(KEYBOARD_IDENTIFY) && ps2_read() == KEYBOARD_ACK && ps2_read() == 0xab,
          "it says that it is a keyboard");
    ps2_drain();
    group_end();
}

static void test_keys(void)
{
    unsigned good = 0;

    group_begin("keys");
    check(ps2_command(PS2_AS_IF_TYPED) && ps2_write(0x1c) && ps2_read() == 0x1c, "polled");
    trap_set_handler(VECTOR_KEYBOARD, on_keyboard);
    ioapic_route(GSI_KEYBOARD, VECTOR_KEYBOARD, 0);
    set_config((uint8_t)(config() | PS2_CONFIG_IRQ));
    for (uint32_t i = 1; i <= KEYS; i++) {
        uint8_t key = (uint8_t)(i & 0x7f);

        if (!ps2_command(PS2_AS_IF_TYPED) || !ps2_write(key) || !wait_until(&interrupts, i))
            break;
        good += last_key == key;
    }
    ioapic_mask(GSI_KEYBOARD);
    check_equal(good, KEYS, "by interrupt, each key once");
    check_equal(interrupts, KEYS, "as many interrupts as keys");
    group_end();
}

void guest_main(void)
{
    apic_enable(false);
    if (!check(ps2_drain(), "there is a controller"))
        return;
    test_controller();
    test_keyboard();
    test_keys();
}
