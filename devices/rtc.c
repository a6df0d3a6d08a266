/*
 * The MC146818 real-time clock with CMOS memory (Motorola's data sheet, and the PC's century byte
 * at 0x32). Port 0 of the window selects a register, port 1 is its data. Called on vCPU threads.
 *
 * The time is the host's UTC plus an offset, which changes when the guest sets the clock; nothing
 * ticks, so an idle guest costs nothing. While the guest holds the clock (SET in register B, or the
 * divider in reset) the registers are plain memory, and letting go turns them into the offset.
 *
 * There is no interrupt: alarm registers and interrupt enables are only kept. Of register C's flags
 * "update ended" works, for guests that poll it for the turn of the second.
 */
#include "devices/rtc.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "devices/core/log.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/devices.h"

#define NS_PER_S      INT64_C(1000000000)
#define CMOS_BYTES    128

#define REG_SECONDS   0x00
#define REG_MINUTES   0x02
#define REG_HOURS     0x04
#define REG_WEEKDAY   0x06 /* Sunday is 1 */
#define REG_DAY       0x07
#define REG_MONTH     0x08
#define REG_YEAR      0x09
#define REG_A         0x0a
#define REG_B         0x0b
#define REG_C         0x0c
#define REG_D         0x0d
#define REG_CENTURY   0x32

#define A_UIP         0x80 /* update in progress */
#define A_DIVIDER     0x60 /* both set: divider held in reset */
#define A_DEFAULT     0x26 /* 32768 Hz time base, 1024 Hz periodic rate, as a PC's firmware sets */
#define B_SET         0x80
#define B_BINARY      0x04
#define B_24H         0x02
#define B_ENABLES     0x78 /* what RESET clears: interrupts and square wave */
#define B_IRQ_ENABLES 0x70
#define C_IRQF        0x80
#define C_UPDATE      0x10
#define D_VALID       0x80 /* the battery is good */
#define HOUR_PM       0x80

/* An update takes 244 us in which the bits may not be read (data sheet, "update cycle"). */
#define UPDATE_NS INT64_C(244000)

/* What four digits of year can say. */
#define TIME_MIN   INT64_C(-62167219200) /* 0000-01-01 00:00:00 */
#define TIME_MAX   INT64_C(253402300799) /* 9999-12-31 23:59:59 */
#define OFFSET_MAX (TIME_MAX - TIME_MIN)

struct rtc {
    struct dev dev;
    rtc_clock_fn *clock;
    void *clock_opaque;
    int64_t offset_s; /* guest's time minus the host's */
    int64_t seen_s;   /* host's second when register C was last read */
    uint8_t index;
    uint8_t reg[CMOS_BYTES]; /* the time registers are valid only while held() */
};

static int64_t host_ns(const struct rtc *rtc)
{
    return rtc_clock_ns(rtc->clock, rtc->clock_opaque);
}

static bool held(const struct rtc *rtc)
{
    return rtc->reg[REG_B] & B_SET || (rtc->reg[REG_A] & A_DIVIDER) == A_DIVIDER;
}

static bool is_time_register(uint8_t index)
{
    return index == REG_CENTURY ||
           (index <= REG_YEAR && index != 1 && index != 3 && index != 5); /* those are the alarm */
}

/* One number as register B wants it. */
static uint8_t encode(const struct rtc *rtc, int value)
{
    return (uint8_t)(rtc->reg[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
    int of_12 = hour % 12 ? hour % 12 : 12;

    if (rtc->reg[REG_B] & B_24H)
        return encode(rtc, hour);
    return encode(rtc, of_12) | (hour >= 12 ? HOUR_PM : 0);
}

/* The number in `value`, or -1 when it is none or lies outside [min, max]. */
static int decode(const struct rtc *rtc, uint8_t value, int min, int max)
{
    int n = value;

    if (!(rtc->reg[REG_B] & B_BINARY)) {
        if ((value & 0x0f) > 9 || value >> 4 > 9)
            return -1;
        n = (value >> 4) * 10 + (value & 0x0f);
    }
    return n >= min && n <= max ? n : -1;
}

static int decode_hour(const struct rtc *rtc, uint8_t value)
{
    int hour;

    if (rtc->reg[REG_B] & B_24H)
        return decode(rtc, value, 0, 23);
    hour = decode(rtc, value & (uint8_t)~HOUR_PM, 1, 12);
    return hour < 0 ? -1 : hour % 12 + (value & HOUR_PM ? 12 : 0);
}

/* Fills the time registers with the guest's time. */
static void latch_time(struct rtc *rtc)
{
    int64_t now = host_ns(rtc) / NS_PER_S + rtc->offset_s;
    time_t t = now < TIME_MIN ? TIME_MIN : now > TIME_MAX ? TIME_MAX : now;
    uint8_t *reg = rtc->reg;
    struct tm tm;
    int year;

    gmtime_r(&t, &tm);
    year = tm.tm_year + 1900;
    reg[REG_SECONDS] = encode(rtc, tm.tm_sec);
    reg[REG_MINUTES] = encode(rtc, tm.tm_min);
    reg[REG_HOURS] = encode_hour(rtc, tm.tm_hour);
    reg[REG_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
    reg[REG_DAY] = encode(rtc, tm.tm_mday);
    reg[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
    reg[REG_YEAR] = encode(rtc, year % 100);
    reg[REG_CENTURY] = encode(rtc, year / 100);
}

/* Makes the time registers the guest's time. Without effect when they hold no time. */
static void adopt_time(struct rtc *rtc)
{
    const uint8_t *reg = rtc->reg;
    int century = decode(rtc, reg[REG_CENTURY], 0, 99);
    int year = decode(rtc, reg[REG_YEAR], 0, 99);
    int month = decode(rtc, reg[REG_MONTH], 1, 12);
    struct tm tm = {
        .tm_sec = decode(rtc, reg[REG_SECONDS], 0, 59),
        .tm_min = decode(rtc, reg[REG_MINUTES], 0, 59),
        .tm_hour = decode_hour(rtc, reg[REG_HOURS]),
        .tm_mday = decode(rtc, reg[REG_DAY], 1, 31),
        .tm_mon = month - 1,
        .tm_year = century * 100 + year - 1900,
    };

    if (century < 0 || year < 0 || month < 0 || tm.tm_sec < 0 || tm.tm_min < 0 || tm.tm_hour < 0 ||
        tm.tm_mday < 0) {
        log_guest("RTC: the clock was set to what is no time; it keeps the old one");
        return;
    }
    /* timegm makes 2 March of 30 February; the clock's own idea would be no better. */
    rtc->offset_s = timegm(&tm) - host_ns(rtc) / NS_PER_S;
}

/* Registers A and B: holding the clock stops the registers, letting go starts them from there. */
static void write_control(struct rtc *rtc, uint8_t index, uint8_t value)
{
    bool was_held = held(rtc);
    uint8_t before = rtc->reg[index];

    rtc->reg[index] = value;
    if (!was_held && held(rtc)) {
        /* The bytes stop as the guest saw them, in the format of before. */
        rtc->reg[index] = before;
        latch_time(rtc);
        rtc->reg[index] = value;
    } else if (was_held && !held(rtc)) {
        adopt_time(rtc);
    }
}

/* Without SET one register changes and the others go on from where they are, as on the chip. */
static void write_time(struct rtc *rtc, uint8_t index, uint8_t value)
{
    if (held(rtc)) {
        rtc->reg[index] = value;
        return;
    }
    latch_time(rtc);
    rtc->reg[index] = value;
    adopt_time(rtc);
}

static void write_register(struct rtc *rtc, uint8_t index, uint8_t value)
{
    if (index == REG_A)
        write_control(rtc, index, value & (uint8_t)~A_UIP);
    else if (index == REG_B)
        write_control(rtc, index, value);
    else if (is_time_register(index))
        write_time(rtc, index, value);
    else if (index != REG_C && index != REG_D)
        rtc->reg[index] = value;
}

/* The end of each second is the time of its update. It passes: nobody waits for it for ever. */
static uint8_t read_a(const struct rtc *rtc)
{
    bool updating = !held(rtc) && host_ns(rtc) % NS_PER_S >= NS_PER_S - UPDATE_NS;

    return rtc->reg[REG_A] | (updating ? A_UIP : 0);
}

static uint8_t read_c(struct rtc *rtc)
{
    int64_t now = host_ns(rtc) / NS_PER_S;
    uint8_t flags = now != rtc->seen_s && !held(rtc) ? C_UPDATE : 0;

    rtc->seen_s = now;
    return flags | (flags & rtc->reg[REG_B] & B_IRQ_ENABLES ? C_IRQF : 0);
}

static uint8_t read_register(struct rtc *rtc, uint8_t index)
{
    switch (index) {
    case REG_A:
        return read_a(rtc);
    case REG_C:
        return read_c(rtc);
    case REG_D:
        return D_VALID;
    default:
        if (is_time_register(index) && !held(rtc))
            latch_time(rtc);
        return rtc->reg[index];
    }
}

static uint8_t read8(struct dev *dev, uint64_t offset)
{
    struct rtc *rtc = container_of(dev, struct rtc, dev);

    /* The index port of a PC is for writing only. */
    return offset == 1 ? read_register(rtc, rtc->index) : 0xff;
}

static void write8(struct dev *dev, uint64_t offset, uint8_t value)
{
    struct rtc *rtc = container_of(dev, struct rtc, dev);

    if (offset == 0)
        rtc->index = value % CMOS_BYTES; /* bit 7 masks the NMI */
    else if (offset == 1)
        write_register(rtc, rtc->index, value);
}

static uint64_t rtc_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return dev_read_bytes(dev, offset, size, read8);
}

static void rtc_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    dev_write_bytes(dev, offset, size, value, write8);
}

/* The RESET pin: the battery keeps time and memory. */
static void rtc_reset(struct dev *dev)
{
    struct rtc *rtc = container_of(dev, struct rtc, dev);

    rtc->index = 0;
    rtc->reg[REG_B] &= (uint8_t)~B_ENABLES;
    rtc->seen_s = host_ns(rtc) / NS_PER_S;
}

static void rtc_save(struct dev *dev, struct state_writer *w)
{
    struct rtc *rtc = container_of(dev, struct rtc, dev);

    state_put_u64(w, (uint64_t)rtc->offset_s);
    state_put_u8(w, rtc->index);
    state_put_bytes(w, rtc->reg, sizeof(rtc->reg));
}

static int rtc_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct rtc *rtc = container_of(dev, struct rtc, dev);
    int64_t offset = (int64_t)state_get_u64(r);
    uint8_t index = state_get_u8(r), reg[CMOS_BYTES];

    (void)version;
    state_get_bytes(r, reg, sizeof(reg));
    /* The memory may hold anything: a time is checked when it is adopted. */
    if (r->error || index >= CMOS_BYTES || reg[REG_A] & A_UIP || offset < -OFFSET_MAX ||
        offset > OFFSET_MAX)
        return -EINVAL;
    rtc->offset_s = offset;
    rtc->index = index;
    memcpy(rtc->reg, reg, sizeof(reg));
    rtc->seen_s = host_ns(rtc) / NS_PER_S;
    return 0;
}

static const struct dev_ops rtc_ops = {
    .tag = "rtc",
    .version = 1,
    .read = rtc_read,
    .write = rtc_write,
    .reset = rtc_reset,
    .save = rtc_save,
    .load = rtc_load,
    .destroy = dev_free,
};

int rtc_create(const struct dev_env *env, struct dev **out)
{
    struct rtc *rtc = calloc(1, sizeof(*rtc));

    (void)env;
    if (!rtc)
        return -ENOMEM;
    dev_init(&rtc->dev, &rtc_ops);
    rtc->clock = rtc_host_clock;
    rtc->reg[REG_A] = A_DEFAULT;
    rtc->reg[REG_B] = B_24H;
    rtc_reset(&rtc->dev);
    *out = &rtc->dev;
    return 0;
}

int64_t rtc_host_clock(void *opaque)
{
    struct timespec ts;

    (void)opaque;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void rtc_set_clock(struct dev *dev, rtc_clock_fn *fn, void *opaque)
{
    struct rtc *rtc = container_of(dev, struct rtc, dev);

    rtc->clock = fn;
    rtc->clock_opaque = opaque;
    rtc->seen_s = host_ns(rtc) / NS_PER_S;
}
