/*
 * The CMOS clock (Motorola MC146818A data sheet): a driver waits until no update is in progress,
 * then reads the time twice until both are equal. That must come to an end.
 */
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "rtc";

#define REG_SECONDS  0x00
#define REG_MINUTES  0x02
#define REG_HOURS    0x04
#define REG_DAY      0x07
#define REG_MONTH    0x08
#define REG_YEAR     0x09
#define REG_A        0x0a
#define REG_B        0x0b
#define REG_D        0x0d
#define A_UPDATING   0x80
#define B_24_HOURS   0x02
#define B_BINARY     0x04
#define D_VALID      0x80
#define MAX_POLLS    200000 /* an update takes 2 ms, a second at the very most */
#define MAX_ATTEMPTS 5

struct time {
    uint8_t second, minute, hour, day, month, year;
};

static uint8_t read(uint8_t reg)
{
    out8(PORT_RTC_INDEX, reg);
    return in8(PORT_RTC_DATA);
}

static bool wait_for_update(void)
{
    for (unsigned i = 0; i < MAX_POLLS; i++)
        if (!(read(REG_A) & A_UPDATING))
            return true;
    return false;
}

static void read_once(struct time *t)
{
    *t = (struct time){read(REG_SECONDS), read(REG_MINUTES), read(REG_HOURS),
                       read(REG_DAY),     read(REG_MONTH),   read(REG_YEAR)};
}

/* Six registers cannot be read at one instant: equal twice means that no second went by. */
static bool read_time(struct time *t)
{
    struct time again;

    for (unsigned i = 0; i < MAX_ATTEMPTS; i++) {
        if (!wait_for_update())
            return false;
        read_once(t);
        read_once(&again);
        if (memcmp(t, &again, sizeof(again)) == 0)
            return true;
    }
    return false;
}

/* Binary-coded decimal: a digit in each half of the byte. */
static bool is_bcd(uint8_t value)
{
    return (value & 0xf) <= 9 && value >> 4 <= 9;
}

static unsigned number(uint8_t value)
{
    return (value >> 4) * 10u + (value & 0xf);
}

void guest_main(void)
{
    uint8_t b = read(REG_B);
    struct time t = {0};

    check(read(REG_D) & D_VALID, "register D: time and memory are valid");
    check(wait_for_update(), "register A: an update in progress ends");
    check((b & B_BINARY) == 0, "register B: BCD");
    check(b & B_24_HOURS, "register B: 24 hours");
    check(read_time(&t), "two readings in a row agree");
    printf("20%02x-%02x-%02x %02x:%02x:%02x\n", t.year, t.month, t.day, t.hour, t.minute, t.second);
    check(is_bcd(t.second) && is_bcd(t.minute) && is_bcd(t.hour) && is_bcd(t.day) &&
              is_bcd(t.month) && is_bcd(t.year),
          "all fields are BCD");
    check(number(t.second) < 61 && number(t.minute) < 60 && number(t.hour) < 24, "time of day");
    check(number(t.day) >= 1 && number(t.day) <= 31 && number(t.month) >= 1 &&
              number(t.month) <= 12,
          "day and month");
    check(number(t.year) >= 24, "the year is 2024 or later");
}
