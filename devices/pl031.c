/*
 * The PrimeCell real-time clock PL031 (Arm DDI 0224): seconds since 1970 in 32 bits, and an alarm.
 * Registers run on vCPU threads, the alarm's timer on the loop's; all under dev.lock.
 *
 * The time is the host's UTC plus an offset that changes when the guest sets the clock; nothing
 * ticks. The clock runs from power-on, as firmware would have left it, and cannot be stopped.
 */
#include "devices/pl031.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/primecell.h"

#define NS_PER_S UINT64_C(1000000000)

#define REG_DR   0x00 /* data: the time */
#define REG_MR   0x04 /* match: the alarm */
#define REG_LR   0x08 /* load: sets the time */
#define REG_CR   0x0c
#define REG_IMSC 0x10
#define REG_RIS  0x14
#define REG_MIS  0x18
#define REG_ICR  0x1c

#define ENABLED  1 /* the one bit that CR, IMSC, RIS, MIS and ICR have */
#define PART_ID  0x00041031

struct pl031 {
    struct dev dev;
    struct irq_line irq;
    struct loop_timer *alarm; /* NULL: no loop, only in tests */
    rtc_clock_fn *clock;
    void *clock_opaque;
    uint32_t offset; /* guest's seconds minus the host's, modulo 2^32 as all here */
    uint32_t match, load;
    bool unmasked, raised;
    bool level; /* of the interrupt line */
    bool armed; /* the match lies ahead and has not been told of */
};

static uint64_t host_ns(const struct pl031 *p)
{
    return (uint64_t)rtc_clock_ns(p->clock, p->clock_opaque);
}

/* The guest's second when the host's clock says `ns`. */
static uint32_t second_at(const struct pl031 *p, uint64_t ns)
{
    return (uint32_t)(ns / NS_PER_S) + p->offset;
}

static uint32_t now(const struct pl031 *p)
{
    return second_at(p, host_ns(p));
}

static void update_irq(struct pl031 *p)
{
    bool level = p->unmasked && p->raised;

    if (level != p->level) {
        p->level = level;
        irq_set(&p->irq, level);
    }
}

/* There is no past on a clock that wraps: a match more than 68 years ahead is none to wait for. */
static void arm(struct pl031 *p)
{
    uint64_t ns = host_ns(p);
    uint32_t ahead = p->match - second_at(p, ns);

    p->armed = ahead != 0 && ahead <= INT32_MAX;
    p->raised = p->raised || ahead == 0;
    if (p->alarm && p->armed)
        loop_timer_arm(p->alarm, ahead * NS_PER_S - ns % NS_PER_S);
    update_irq(p);
}

/* The host's clock may have been set back meanwhile; then there is still some time left. */
static void check_alarm(struct pl031 *p)
{
    if (!p->armed)
        return;
    if ((int32_t)(now(p) - p->match) < 0) {
        arm(p);
        return;
    }
    p->armed = false;
    p->raised = true;
    update_irq(p);
}

/* Loop thread. */
static void alarm_fired(void *opaque)
{
    struct pl031 *p = opaque;

    pthread_mutex_lock(&p->dev.lock);
    check_alarm(p);
    pthread_mutex_unlock(&p->dev.lock);
}

static uint32_t read32(struct dev *dev, uint64_t offset)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);

    switch (offset) {
    case REG_DR:
        return now(p);
    case REG_MR:
        return p->match;
    case REG_LR:
        return p->load;
    case REG_CR:
        return ENABLED;
    case REG_IMSC:
        return p->unmasked;
    case REG_RIS:
        return p->raised;
    case REG_MIS:
        return p->unmasked && p->raised;
    default:
        return 0;
    }
}

static void write32(struct dev *dev, uint64_t offset, uint32_t value)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);

    switch (offset) {
    case REG_MR:
        p->match = value;
        arm(p);
        break;
    case REG_LR:
        p->load = value;
        p->offset += value - now(p);
        arm(p);
        break;
    case REG_IMSC:
        p->unmasked = value & ENABLED;
        update_irq(p);
        break;
    case REG_ICR:
        p->raised = p->raised && !(value & ENABLED);
        update_irq(p);
        break;
    default: /* CR: once enabled, only a reset disables (3.3.4), and it is enabled already */
        break;
    }
}

static uint64_t pl031_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return primecell_read(dev, offset, size, PART_ID, read32);
}

static void pl031_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    primecell_write(dev, offset, size, value, write32);
}

/* The clock itself goes on, as from a battery. */
static void pl031_reset(struct dev *dev)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);

    p->match = p->load = 0;
    p->unmasked = p->raised = p->armed = false;
    if (p->alarm)
        loop_timer_disarm(p->alarm);
    update_irq(p);
}

#define FLAG_UNMASKED 0x01
#define FLAG_RAISED   0x02
#define FLAG_ARMED    0x04
#define FLAG_ALL      0x07

static void pl031_save(struct dev *dev, struct state_writer *w)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);

    state_put_u32(w, p->offset);
    state_put_u32(w, p->match);
    state_put_u32(w, p->load);
    state_put_u8(w, (uint8_t)((p->unmasked ? FLAG_UNMASKED : 0) | (p->raised ? FLAG_RAISED : 0) |
                              (p->armed ? FLAG_ARMED : 0)));
}

/* An alarm whose time came between save and load is told of at once. */
static int pl031_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);
    uint32_t offset = state_get_u32(r), match = state_get_u32(r), load = state_get_u32(r);
    uint8_t flags = state_get_u8(r);

    (void)version;
    if (r->error || flags & ~FLAG_ALL)
        return -EINVAL;
    p->offset = offset;
    p->match = match;
    p->load = load;
    p->unmasked = flags & FLAG_UNMASKED;
    p->raised = flags & FLAG_RAISED;
    p->armed = flags & FLAG_ARMED;
    check_alarm(p);
    update_irq(p);
    return 0;
}

static void pl031_destroy(struct dev *dev)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);

    if (p->alarm)
        loop_timer_remove(p->alarm);
    dev_free(dev);
}

static const struct dev_ops pl031_ops = {
    .tag = "pl031",
    .version = 1,
    .read = pl031_read,
    .write = pl031_write,
    .reset = pl031_reset,
    .save = pl031_save,
    .load = pl031_load,
    .destroy = pl031_destroy,
};

int pl031_create(const struct dev_env *env, struct dev **out)
{
    struct pl031 *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    if (env->loop && !(p->alarm = loop_timer_add(env->loop, alarm_fired, p))) {
        free(p);
        return -ENOMEM;
    }
    dev_init(&p->dev, &pl031_ops);
    p->irq = env->irq;
    p->clock = rtc_host_clock;
    *out = &p->dev;
    return 0;
}

void pl031_set_clock(struct dev *dev, rtc_clock_fn *fn, void *opaque)
{
    struct pl031 *p = container_of(dev, struct pl031, dev);

    p->clock = fn;
    p->clock_opaque = opaque;
}
