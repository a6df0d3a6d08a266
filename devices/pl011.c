/*
 * The PrimeCell UART PL011 (Arm DDI 0183, r1p5), whose names the registers keep. Registers run on
 * vCPU threads, the back end's callbacks on the loop's; all under dev.lock.
 *
 * The line is as fast as the host. A byte written goes out at once, so that the transmitter is
 * empty again before the write returns, unless the host's reader stalls: then it reads as full and
 * busy, and the guest holds back. The receive time-out comes without its 32 bit times: any byte
 * that waits raises it, and clearing it while one waits has no effect.
 *
 * What the host sends waits in `line`, which is not the chip's FIFO but the wire: a guest that
 * empties the FIFO while it boots loses nothing of a script on hv's stdin. See line_open().
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/core/chardev.h"
#include "devices/core/dev.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/primecell.h"
#include "devices/serial_fifo.h"

#define FIFO_DEPTH  32 /* of revision 3, which PART_ID says this is */
#define PART_ID     0x00341011

#define REG_DR      0x00
#define REG_RSR     0x04 /* written: ECR */
#define REG_FR      0x18
#define REG_ILPR    0x20
#define REG_IBRD    0x24
#define REG_FBRD    0x28
#define REG_LCR_H   0x2c
#define REG_CR      0x30
#define REG_IFLS    0x34
#define REG_IMSC    0x38
#define REG_RIS     0x3c
#define REG_MIS     0x40
#define REG_ICR     0x44
#define REG_DMACR   0x48

#define DR_OVERRUN  0x800
#define RSR_OVERRUN 0x08

#define FR_CTS      0x001
#define FR_DSR      0x002
#define FR_DCD      0x004
#define FR_BUSY     0x008
#define FR_RXFE     0x010
#define FR_TXFF     0x020
#define FR_RXFF     0x040
#define FR_TXFE     0x080
#define FR_RI       0x100

#define LCR_FEN     0x10

#define CR_LOOP     0x0080
#define CR_RXE      0x0200
#define CR_DTR      0x0400
#define CR_RTS      0x0800
#define CR_OUT1     0x1000
#define CR_OUT2     0x2000
#define CR_ALL      0xff87
#define CR_RESET    0x0300
#define IFLS_RESET  0x12

/* Interrupts, by their bit in IMSC, RIS, MIS and ICR. */
#define INT_RI      0x001
#define INT_CTS     0x002
#define INT_DCD     0x004
#define INT_DSR     0x008
#define INT_MODEM   0x00f
#define INT_RX      0x010
#define INT_TX      0x020
#define INT_RT      0x040 /* receive time-out */
#define INT_OE      0x400
#define INT_ALL     0x7ff
#define INT_LATCHED (INT_MODEM | INT_TX | INT_OE)

/* Registers that only keep what is written, by number: offset / 4 - REG_ILPR / 4. */
enum { KEPT_ILPR, KEPT_IBRD, KEPT_FBRD, KEPT_COUNT };

/* All that the guest can see, and all that is saved. */
struct pl011_regs {
    uint16_t kept[KEPT_COUNT];
    uint16_t cr, imsc;
    uint16_t latched; /* of INT_LATCHED */
    uint8_t lcr_h, ifls, dmacr;
    bool overrun;
    bool tx_owed;            /* INT_TX comes as soon as the host has room again */
    bool rts_used, irq_used; /* since reset; see line_open() */
    bool ready;
    struct serial_fifo line; /* sent by the host, on the wire */
    struct serial_fifo loop; /* what came round in loopback mode */
};

struct pl011 {
    struct dev dev;
    struct irq_line irq;
    struct chardev *chr; /* NULL: nothing is connected */
    bool level;          /* of the interrupt line */
    struct pl011_regs r;
};

static const uint16_t kept_mask[KEPT_COUNT] = {0x00ff, 0xffff, 0x003f};

static uint8_t depth(const struct pl011 *u)
{
    return u->r.lcr_h & LCR_FEN ? FIFO_DEPTH : 1;
}

/*
 * Does the host's sender go ahead? A sender that honours RTS waits for it. Guests that never use
 * RTS count as ready when they poll, never asking for a receive interrupt, or when they ask for one
 * once the receiver is on. In between lies Linux' start-up: it asks, switches the receiver on,
 * discards what has arrived, and raises RTS.
 */
static bool line_open(const struct pl011 *u)
{
    if (u->r.cr & CR_LOOP || !(u->r.cr & CR_RXE))
        return false;
    if (u->r.rts_used)
        return u->r.cr & CR_RTS;
    return !u->r.irq_used || u->r.ready;
}

/* What the guest can read now. Bytes of loopback mode come first, as if they had lain there. */
static unsigned rx_count(const struct pl011 *u)
{
    unsigned count = u->r.loop.count + (line_open(u) ? u->r.line.count : 0U);

    return count < depth(u) ? count : depth(u);
}

/* Table 3-13: the receive level is 1/8, 1/4, 1/2, 3/4 or 7/8; what is reserved counts as the last.
 */
static unsigned rx_level(const struct pl011 *u)
{
    static const uint8_t eighths[] = {1, 2, 4, 6, 7, 7, 7, 7};

    return u->r.lcr_h & LCR_FEN ? eighths[u->r.ifls >> 3 & 7] * FIFO_DEPTH / 8U : 1;
}

/* Asks the host for more once little is left: in strides, not byte by byte; but as many as the
 * guest wants to be told of must fit. */
static void invite_input(struct pl011 *u)
{
    unsigned waiting = u->r.line.count;

    if (u->chr && (waiting <= FIFO_DEPTH / 4 || waiting < rx_level(u)))
        chardev_input_room(u->chr, FIFO_DEPTH - waiting);
}

/* Room for one whole FIFO: a driver may write half of one on an interrupt without asking. */
static bool tx_ready(const struct pl011 *u)
{
    return !u->chr || u->r.cr & CR_LOOP || chardev_room(u->chr) >= FIFO_DEPTH;
}

static uint32_t ris(const struct pl011 *u)
{
    unsigned waiting = rx_count(u);
    uint32_t value = u->r.latched;

    if (waiting > 0)
        value |= INT_RT;
    if (waiting >= rx_level(u))
        value |= INT_RX;
    return value;
}

static void update_irq(struct pl011 *u)
{
    bool level = ris(u) & u->r.imsc;

    if (level != u->level) {
        u->level = level;
        irq_set(&u->irq, level);
    }
}

/*
 * 3.4: the transmit interrupt is for the way through the level, not for the level: what was written
 * has left. With a stalled host that is when there is room again.
 */
static void transmitted(struct pl011 *u)
{
    u->r.tx_owed = !tx_ready(u);
    u->r.latched = (uint16_t)(u->r.tx_owed ? u->r.latched & ~INT_TX : u->r.latched | INT_TX);
}

/* One character from our own transmitter. */
static void loop_byte(struct pl011 *u, uint8_t value)
{
    if (u->r.loop.count < depth(u)) {
        serial_fifo_put(&u->r.loop, FIFO_DEPTH, value);
        return;
    }
    u->r.overrun = true; /* the FIFO keeps what it has (table 3-2) */
    u->r.latched |= INT_OE;
}

static void write_dr(struct pl011 *u, uint8_t value)
{
    if (u->r.cr & CR_LOOP)
        loop_byte(u, value);
    else if (u->chr)
        chardev_write(u->chr, &value, 1);
    transmitted(u);
    update_irq(u);
}

static uint32_t read_dr(struct pl011 *u)
{
    uint32_t value = u->r.overrun && u->r.loop.count == depth(u) ? DR_OVERRUN : 0;

    if (u->r.loop.count > 0) {
        value |= serial_fifo_get(&u->r.loop, FIFO_DEPTH);
    } else if (rx_count(u) > 0) {
        value |= serial_fifo_get(&u->r.line, FIFO_DEPTH);
        invite_input(u);
    }
    update_irq(u);
    return value;
}

/* The modem's lines as the chip sees them; in loopback mode the outputs come back (table 3-12). */
static uint32_t modem_lines(const struct pl011 *u)
{
    uint32_t lines = 0;

    if (!(u->r.cr & CR_LOOP))
        return FR_CTS | FR_DSR | FR_DCD;
    lines |= u->r.cr & CR_RTS ? FR_CTS : 0;
    lines |= u->r.cr & CR_DTR ? FR_DSR : 0;
    lines |= u->r.cr & CR_OUT1 ? FR_DCD : 0;
    lines |= u->r.cr & CR_OUT2 ? FR_RI : 0;
    return lines;
}

static uint32_t read_fr(const struct pl011 *u)
{
    unsigned waiting = rx_count(u);
    uint32_t fr = modem_lines(u);

    fr |= tx_ready(u) ? FR_TXFE : FR_TXFF | FR_BUSY;
    fr |= waiting == 0 ? FR_RXFE : 0;
    fr |= waiting == depth(u) ? FR_RXFF : 0;
    return fr;
}

static void write_cr(struct pl011 *u, uint16_t value)
{
    uint32_t before = modem_lines(u), changed;

    u->r.cr = value & CR_ALL;
    u->r.rts_used = u->r.rts_used || (value & (CR_RTS | CR_LOOP)) == CR_RTS;
    changed = before ^ modem_lines(u);
    u->r.latched |= changed & FR_CTS ? INT_CTS : 0;
    u->r.latched |= changed & FR_DSR ? INT_DSR : 0;
    u->r.latched |= changed & FR_DCD ? INT_DCD : 0;
    u->r.latched |= changed & FR_RI ? INT_RI : 0;
    /* A transmitter that waited for the host does not wait in loopback mode. */
    if (u->r.tx_owed)
        transmitted(u);
}

/* Switching the FIFOs on or off empties them; what is on the wire stays there. */
static void write_lcr_h(struct pl011 *u, uint8_t value)
{
    if ((value ^ u->r.lcr_h) & LCR_FEN)
        u->r.loop.count = 0;
    u->r.lcr_h = value;
    invite_input(u);
}

static void write_imsc(struct pl011 *u, uint16_t value)
{
    u->r.imsc = value & INT_ALL;
    if (!(value & (INT_RX | INT_RT)))
        return;
    u->r.irq_used = true;
    u->r.ready = u->r.ready || (u->r.cr & CR_RXE && u->r.cr & 1);
}

static uint32_t read32(struct dev *dev, uint64_t offset)
{
    struct pl011 *u = container_of(dev, struct pl011, dev);

    switch (offset) {
    case REG_DR:
        return read_dr(u);
    case REG_RSR:
        return u->r.overrun ? RSR_OVERRUN : 0;
    case REG_FR:
        return read_fr(u);
    case REG_ILPR:
    case REG_IBRD:
    case REG_FBRD:
        return u->r.kept[(offset - REG_ILPR) / 4];
    case REG_LCR_H:
        return u->r.lcr_h;
    case REG_CR:
        return u->r.cr;
    case REG_IFLS:
        return u->r.ifls;
    case REG_IMSC:
        return u->r.imsc;
    case REG_RIS:
        return ris(u);
    case REG_MIS:
        return ris(u) & u->r.imsc;
    case REG_DMACR:
        return u->r.dmacr;
    default:
        return 0;
    }
}

static void write32(struct dev *dev, uint64_t offset, uint32_t value)
{
    struct pl011 *u = container_of(dev, struct pl011, dev);

    switch (offset) {
    case REG_DR:
        write_dr(u, (uint8_t)value);
        return; /* the common case, a guest that prints */
    case REG_RSR:
        u->r.overrun = false;
        break;
    case REG_ILPR:
    case REG_IBRD:
    case REG_FBRD:
        u->r.kept[(offset - REG_ILPR) / 4] = (uint16_t)(value & kept_mask[(offset - REG_ILPR) / 4]);
        break;
    case REG_LCR_H:
        write_lcr_h(u, (uint8_t)value);
        break;
    case REG_CR:
        write_cr(u, (uint16_t)value);
        break;
    case REG_IFLS:
        u->r.ifls = value & 0x3f;
        invite_input(u);
        break;
    case REG_IMSC:
        write_imsc(u, (uint16_t)value);
        break;
    case REG_ICR:
        u->r.latched &= (uint16_t)~value;
        break;
    case REG_DMACR:
        u->r.dmacr = value & 7;
        break;
    default:
        break;
    }
    update_irq(u);
}

static uint64_t pl011_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return primecell_read(dev, offset, size, PART_ID, read32);
}

static void pl011_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    primecell_write(dev, offset, size, value, write32);
}

/* Back end, loop thread: bytes have arrived. */
static void pl011_input(void *opaque, const uint8_t *buf, size_t len)
{
    struct pl011 *u = opaque;

    pthread_mutex_lock(&u->dev.lock);
    /* Never more than the room we told, but a lost byte would be no reason to overrun anything. */
    for (size_t i = 0; i < len; i++)
        serial_fifo_put(&u->r.line, FIFO_DEPTH, buf[i]);
    chardev_input_room(u->chr, 0);
    invite_input(u);
    update_irq(u);
    pthread_mutex_unlock(&u->dev.lock);
}

/* Back end, loop thread: the host takes output again. */
static void pl011_drained(void *opaque)
{
    struct pl011 *u = opaque;

    pthread_mutex_lock(&u->dev.lock);
    if (u->r.tx_owed) {
        transmitted(u);
        update_irq(u);
    }
    pthread_mutex_unlock(&u->dev.lock);
}

/* Table 3-1. What is on the wire belongs to the host and stays. */
static void pl011_reset(struct dev *dev)
{
    struct pl011 *u = container_of(dev, struct pl011, dev);

    u->r = (struct pl011_regs){.cr = CR_RESET, .ifls = IFLS_RESET, .line = u->r.line};
    update_irq(u);
    invite_input(u);
}

#define FLAG_OVERRUN  0x01
#define FLAG_TX_OWED  0x02
#define FLAG_RTS_USED 0x04
#define FLAG_IRQ_USED 0x08
#define FLAG_READY    0x10
#define FLAG_ALL      0x1f

static void pl011_save(struct dev *dev, struct state_writer *w)
{
    struct pl011 *u = container_of(dev, struct pl011, dev);

    for (unsigned i = 0; i < KEPT_COUNT; i++)
        state_put_u16(w, u->r.kept[i]);
    state_put_u16(w, u->r.cr);
    state_put_u16(w, u->r.imsc);
    state_put_u16(w, u->r.latched);
    state_put_u8(w, u->r.lcr_h);
    state_put_u8(w, u->r.ifls);
    state_put_u8(w, u->r.dmacr);
    state_put_u8(w,
                 (uint8_t)((u->r.overrun ? FLAG_OVERRUN : 0) | (u->r.tx_owed ? FLAG_TX_OWED : 0) |
                           (u->r.rts_used ? FLAG_RTS_USED : 0) |
                           (u->r.irq_used ? FLAG_IRQ_USED : 0) | (u->r.ready ? FLAG_READY : 0)));
    serial_fifo_save(&u->r.line, FIFO_DEPTH, w);
    serial_fifo_save(&u->r.loop, FIFO_DEPTH, w);
}

/* Could registers of this chip hold these values? */
static bool is_possible(const struct pl011_regs *n, uint8_t flags)
{
    uint8_t most = n->lcr_h & LCR_FEN ? FIFO_DEPTH : 1;

    for (unsigned i = 0; i < KEPT_COUNT; i++)
        if (n->kept[i] & ~kept_mask[i])
            return false;
    return !(n->cr & ~CR_ALL) && !(n->imsc & ~INT_ALL) && !(n->latched & ~INT_LATCHED) &&
           n->ifls <= 0x3f && n->dmacr <= 7 && !(flags & ~FLAG_ALL) &&
           n->line.count <= FIFO_DEPTH && n->loop.count <= most;
}

static int pl011_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct pl011 *u = container_of(dev, struct pl011, dev);
    struct pl011_regs n = {0};
    uint8_t flags;

    (void)version;
    for (unsigned i = 0; i < KEPT_COUNT; i++)
        n.kept[i] = state_get_u16(r);
    n.cr = state_get_u16(r);
    n.imsc = state_get_u16(r);
    n.latched = state_get_u16(r);
    n.lcr_h = state_get_u8(r);
    n.ifls = state_get_u8(r);
    n.dmacr = state_get_u8(r);
    flags = state_get_u8(r);
    serial_fifo_load(&n.line, FIFO_DEPTH, r);
    serial_fifo_load(&n.loop, FIFO_DEPTH, r);
    if (r->error || !is_possible(&n, flags))
        return -EINVAL;
    n.overrun = flags & FLAG_OVERRUN;
    n.tx_owed = flags & FLAG_TX_OWED;
    n.rts_used = flags & FLAG_RTS_USED;
    n.irq_used = flags & FLAG_IRQ_USED;
    n.ready = flags & FLAG_READY;
    u->r = n;
    /* The host's side is another one now: what was owed may be due. */
    if (u->r.tx_owed)
        transmitted(u);
    invite_input(u);
    update_irq(u);
    return 0;
}

static void pl011_destroy(struct dev *dev)
{
    struct pl011 *u = container_of(dev, struct pl011, dev);

    if (u->chr)
        chardev_attach(u->chr, NULL);
    dev_free(dev);
}

static const struct dev_ops pl011_ops = {
    .tag = "pl011",
    .version = 1,
    .read = pl011_read,
    .write = pl011_write,
    .reset = pl011_reset,
    .save = pl011_save,
    .load = pl011_load,
    .destroy = pl011_destroy,
};

int pl011_create(const struct dev_env *env, struct dev **out)
{
    struct pl011 *u = calloc(1, sizeof(*u));
    struct chardev_user user = {.input = pl011_input, .drained = pl011_drained, .opaque = u};

    if (!u)
        return -ENOMEM;
    dev_init(&u->dev, &pl011_ops);
    u->irq = env->irq;
    u->chr = env->console;
    if (u->chr)
        chardev_attach(u->chr, &user);
    pl011_reset(&u->dev);
    *out = &u->dev;
    return 0;
}
