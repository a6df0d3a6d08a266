/*
 * A 16550A serial port: National Semiconductor's PC16550D data sheet (June 1995), section 8, whose
 * names the registers keep. Registers run on vCPU threads, the back end's callbacks on the loop's;
 * all under dev.lock.
 *
 * The line is as fast as the host. A byte written goes out at once, so the transmitter is empty
 * again before the write returns, unless the host's reader stalls: then THRE and TEMT read 0, as on
 * hardware that waits for CTS, and the guest holds back. The time-out interrupt for a half-filled
 * receive FIFO comes without its four character times.
 *
 * What the host sends waits in `line`, which is not the chip's FIFO but the wire: a guest that
 * resets its FIFOs or probes the chip while it boots loses nothing of a script on hv's stdin. The
 * sender holds back as RTS tells it; see line_open().
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/core/chardev.h"
#include "devices/core/dev.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/serial_fifo.h"

#define FIFO_DEPTH 16

/* Registers by offset; 0 and 1 are the divisor while LCR says DLAB. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RDA      0x01 /* received data available */
#define IER_THRE     0x02
#define IER_RLS      0x04 /* receiver line status */
#define IER_MS       0x08 /* modem status */
#define IER_ALL      0x0f

#define IIR_NONE     0x01
#define IIR_MS       0x00
#define IIR_THRE     0x02
#define IIR_RDA      0x04
#define IIR_RLS      0x06
#define IIR_TIMEOUT  0x0c
#define IIR_FIFO     0xc0 /* the FIFOs are on */

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_TRIGGER  0xc0
#define FCR_KEPT     (FCR_ENABLE | FCR_TRIGGER)

#define LCR_DLAB     0x80

#define MCR_DTR      0x01
#define MCR_RTS      0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOP     0x10
#define MCR_ALL      0x1f

#define LSR_DR       0x01 /* data ready */
#define LSR_OE       0x02 /* overrun error */
#define LSR_THRE     0x20
#define LSR_TEMT     0x40

#define MSR_DELTAS   0x0f /* CTS, DSR, RI (trailing edge), DCD have changed */
#define MSR_CTS      0x10
#define MSR_DSR      0x20
#define MSR_RI       0x40
#define MSR_DCD      0x80

#define DIVISOR_9600 12

/* All that the guest can see, and all that is saved. */
struct uart_regs {
    uint8_t ier, fcr, lcr, mcr, scr;
    uint8_t overrun;            /* LSR_OE or 0 */
    uint8_t delta;              /* MSR bits 0 to 3 */
    uint16_t divisor;           /* kept for the guest; the line has no speed */
    bool thre_pending;          /* the THRE interrupt waits; only while IER_THRE is set */
    bool thre_owed;             /* it will wait as soon as the host has room again */
    bool mcr_written, rts_used; /* since reset; see line_open() */
    struct serial_fifo line;    /* sent by the host, on the wire */
    struct serial_fifo loop;    /* what came round in loopback mode */
};

struct uart {
    struct dev dev;
    struct irq_line irq;
    struct chardev *chr; /* NULL: nothing is connected */
    bool level;          /* of the interrupt line */
    struct uart_regs r;
};

/* The receiver's depth as the guest has set it. */
static uint8_t rx_depth(const struct uart *u)
{
    return u->r.fcr & FCR_ENABLE ? FIFO_DEPTH : 1;
}

/*
 * Does the host's sender go ahead? A sender that honours RTS waits for it. Guests that never use
 * RTS count as ready when they enable the receive interrupt or never touch the modem lines. In
 * between lies Linux' start-up, which reads and discards what has arrived.
 */
static bool line_open(const struct uart *u)
{
    if (u->r.mcr & MCR_LOOP)
        return false;
    if (u->r.rts_used)
        return u->r.mcr & MCR_RTS;
    return !u->r.mcr_written || u->r.ier & IER_RDA;
}

/* What the guest can read now. Bytes of loopback mode come first, as if they had lain there. */
static unsigned rx_count(const struct uart *u)
{
    return u->r.loop.count + (line_open(u) ? u->r.line.count : 0U);
}

/* Asks the host for more once little is left: in strides, not byte by byte. */
static void invite_input(struct uart *u)
{
    unsigned depth = rx_depth(u), waiting = u->r.line.count;

    if (u->chr && waiting <= depth / 4)
        chardev_input_room(u->chr, depth - waiting);
}

/* Room for one whole FIFO: a driver that sees THRE writes so much without asking again. */
static bool tx_ready(const struct uart *u)
{
    return !u->chr || u->r.mcr & MCR_LOOP || chardev_room(u->chr) >= FIFO_DEPTH;
}

/* Section 8.6, table IV: the sources by priority. */
static uint8_t iir(const struct uart *u)
{
    static const uint8_t trigger[] = {1, 4, 8, 14};
    unsigned waiting = rx_count(u);

    if (u->r.ier & IER_RLS && u->r.overrun)
        return IIR_RLS;
    if (u->r.ier & IER_RDA && waiting > 0)
        return u->r.fcr & FCR_ENABLE && waiting < trigger[u->r.fcr >> 6] ? IIR_TIMEOUT : IIR_RDA;
    if (u->r.ier & IER_THRE && u->r.thre_pending)
        return IIR_THRE;
    if (u->r.ier & IER_MS && u->r.delta)
        return IIR_MS;
    return IIR_NONE;
}

/* On a PC, OUT2 connects the chip's interrupt pin to the interrupt controller. */
static void update_irq(struct uart *u)
{
    bool level = u->r.mcr & MCR_OUT2 && iir(u) != IIR_NONE;

    if (level != u->level) {
        u->level = level;
        irq_set(&u->irq, level);
    }
}

/* The transmitter has become empty, or is found to be when its interrupt is enabled. */
static void want_thre(struct uart *u)
{
    u->r.thre_pending = u->r.ier & IER_THRE && tx_ready(u);
    u->r.thre_owed = u->r.ier & IER_THRE && !u->r.thre_pending;
}

/* One character from our own transmitter. */
static void loop_byte(struct uart *u, uint8_t value)
{
    if (u->r.loop.count < rx_depth(u)) {
        serial_fifo_put(&u->r.loop, FIFO_DEPTH, value);
        return;
    }
    u->r.overrun = LSR_OE;
    /* Without FIFO the new character destroys the old one (8.4, bit 1). */
    if (!(u->r.fcr & FCR_ENABLE))
        u->r.loop.byte[u->r.loop.head] = value;
}

static void write_thr(struct uart *u, uint8_t value)
{
    if (u->r.mcr & MCR_LOOP)
        loop_byte(u, value);
    else if (u->chr)
        chardev_write(u->chr, &value, 1);
    /* The common case, a guest that polls, ends here. */
    if (u->r.ier & IER_THRE)
        want_thre(u);
    if (u->r.ier & IER_THRE || u->r.mcr & MCR_LOOP)
        update_irq(u);
}

/*
 * Enabling the THRE interrupt while the transmitter is empty raises it; drivers rely on
 * that to start sending. Writing the same value again does not.
 */
static void write_ier(struct uart *u, uint8_t value)
{
    uint8_t raised = (uint8_t)(value & ~u->r.ier);

    u->r.ier = value & IER_ALL;
    if (raised & IER_THRE || !(u->r.ier & IER_THRE))
        want_thre(u);
    update_irq(u);
}

/* 8.5: a change of bit 0 clears the FIFOs, and without it the other bits are not programmed. */
static void write_fcr(struct uart *u, uint8_t value)
{
    if ((value ^ u->r.fcr) & FCR_ENABLE || (value & FCR_ENABLE && value & FCR_CLEAR_RX))
        u->r.loop.count = 0;
    u->r.fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    invite_input(u);
    update_irq(u);
}

/* The modem's lines as the chip sees them; in loopback mode the outputs come back (8.8, bit 4). */
static uint8_t msr_lines(const struct uart *u)
{
    uint8_t lines = 0;

    if (!(u->r.mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    lines |= u->r.mcr & MCR_RTS ? MSR_CTS : 0;
    lines |= u->r.mcr & MCR_DTR ? MSR_DSR : 0;
    lines |= u->r.mcr & MCR_OUT1 ? MSR_RI : 0;
    lines |= u->r.mcr & MCR_OUT2 ? MSR_DCD : 0;
    return lines;
}

static void write_mcr(struct uart *u, uint8_t value)
{
    uint8_t before = msr_lines(u), changed;

    u->r.mcr = value & MCR_ALL;
    u->r.mcr_written = true;
    u->r.rts_used = u->r.rts_used || (u->r.mcr & (MCR_RTS | MCR_LOOP)) == MCR_RTS;
    changed = before ^ msr_lines(u);
    /* Of RI only the trailing edge counts (8.9, bit 2). */
    if (changed & MSR_RI && !(before & MSR_RI))
        changed &= (uint8_t)~MSR_RI;
    u->r.delta |= changed >> 4;
    /* A transmitter that waited for the host does not wait in loopback mode, and conversely. */
    if (u->r.thre_owed)
        want_thre(u);
    update_irq(u);
}

static uint8_t read_rbr(struct uart *u)
{
    uint8_t value = 0;

    if (u->r.loop.count > 0) {
        value = serial_fifo_get(&u->r.loop, FIFO_DEPTH);
    } else if (rx_count(u) > 0) {
        value = serial_fifo_get(&u->r.line, FIFO_DEPTH);
        invite_input(u);
    }
    update_irq(u);
    return value;
}

static uint8_t read_iir(struct uart *u)
{
    uint8_t source = iir(u);

    /* Table IV: reading IIR resets the THRE interrupt when that is what it tells of. */
    if (source == IIR_THRE) {
        u->r.thre_pending = false;
        update_irq(u);
    }
    return source | (u->r.fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t lsr = u->r.overrun;

    if (rx_count(u) > 0)
        lsr |= LSR_DR;
    if (tx_ready(u))
        lsr |= LSR_THRE | LSR_TEMT;
    if (u->r.overrun) {
        u->r.overrun = 0;
        update_irq(u);
    }
    return lsr;
}

static uint8_t read_msr(struct uart *u)
{
    uint8_t msr = msr_lines(u) | u->r.delta;

    if (u->r.delta) {
        u->r.delta = 0;
        update_irq(u);
    }
    return msr;
}

static uint8_t read8(struct dev *dev, uint64_t offset)
{
    struct uart *u = container_of(dev, struct uart, dev);
    bool dlab = u->r.lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        return dlab ? (uint8_t)u->r.divisor : read_rbr(u);
    case REG_IER:
        return dlab ? (uint8_t)(u->r.divisor >> 8) : u->r.ier;
    case REG_IIR_FCR:
        return read_iir(u);
    case REG_LCR:
        return u->r.lcr;
    case REG_MCR:
        return u->r.mcr;
    case REG_LSR:
        return read_lsr(u);
    case REG_MSR:
        return read_msr(u);
    case REG_SCR:
        return u->r.scr;
    default:
        return 0xff;
    }
}

static void write8(struct dev *dev, uint64_t offset, uint8_t value)
{
    struct uart *u = container_of(dev, struct uart, dev);
    bool dlab = u->r.lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        if (dlab)
            u->r.divisor = (uint16_t)((u->r.divisor & 0xff00) | value);
        else
            write_thr(u, value);
        break;
    case REG_IER:
        if (dlab)
            u->r.divisor = (uint16_t)((u->r.divisor & 0x00ff) | value << 8);
        else
            write_ier(u, value);
        break;
    case REG_IIR_FCR:
        write_fcr(u, value);
        break;
    case REG_LCR:
        u->r.lcr = value;
        break;
    case REG_MCR:
        write_mcr(u, value);
        break;
    case REG_SCR:
        u->r.scr = value;
        break;
    default: /* LSR and MSR are for reading; writes to them are for the factory's tests */
        break;
    }
}

static uint64_t uart_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return dev_read_bytes(dev, offset, size, read8);
}

static void uart_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    dev_write_bytes(dev, offset, size, value, write8);
}

/* Back end, loop thread: bytes have arrived. */
static void uart_input(void *opaque, const uint8_t *buf, size_t len)
{
    struct uart *u = opaque;

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
static void uart_drained(void *opaque)
{
    struct uart *u = opaque;

    pthread_mutex_lock(&u->dev.lock);
    if (u->r.thre_owed) {
        want_thre(u);
        update_irq(u);
    }
    pthread_mutex_unlock(&u->dev.lock);
}

/* Table I of the data sheet. What is on the wire belongs to the host and stays. */
static void uart_reset(struct dev *dev)
{
    struct uart *u = container_of(dev, struct uart, dev);

    u->r.ier = u->r.fcr = u->r.lcr = u->r.mcr = u->r.scr = 0;
    u->r.overrun = u->r.delta = 0;
    u->r.divisor = DIVISOR_9600;
    u->r.thre_pending = u->r.thre_owed = u->r.mcr_written = u->r.rts_used = false;
    u->r.loop.head = u->r.loop.count = 0;
    update_irq(u);
    invite_input(u);
}

#define FLAG_THRE_PENDING 0x01
#define FLAG_THRE_OWED    0x02
#define FLAG_MCR_WRITTEN  0x04
#define FLAG_RTS_USED     0x08
#define FLAG_ALL          0x0f

static void uart_save(struct dev *dev, struct state_writer *w)
{
    struct uart *u = container_of(dev, struct uart, dev);

    state_put_u8(w, u->r.ier);
    state_put_u8(w, u->r.fcr);
    state_put_u8(w, u->r.lcr);
    state_put_u8(w, u->r.mcr);
    state_put_u8(w, u->r.scr);
    state_put_u8(w, u->r.overrun);
    state_put_u8(w, u->r.delta);
    state_put_u16(w, u->r.divisor);
    state_put_u8(w, (uint8_t)((u->r.thre_pending ? FLAG_THRE_PENDING : 0) |
                              (u->r.thre_owed ? FLAG_THRE_OWED : 0) |
                              (u->r.mcr_written ? FLAG_MCR_WRITTEN : 0) |
                              (u->r.rts_used ? FLAG_RTS_USED : 0)));
    serial_fifo_save(&u->r.line, FIFO_DEPTH, w);
    serial_fifo_save(&u->r.loop, FIFO_DEPTH, w);
}

/* Could registers of this chip hold these values? */
static bool is_possible(const struct uart_regs *n, uint8_t flags)
{
    uint8_t depth = n->fcr & FCR_ENABLE ? FIFO_DEPTH : 1;
    bool thre = flags & (FLAG_THRE_PENDING | FLAG_THRE_OWED);

    return !(n->ier & ~IER_ALL) && !(n->fcr & ~FCR_KEPT) && (!n->fcr || n->fcr & FCR_ENABLE) &&
           !(n->mcr & ~MCR_ALL) && !(n->overrun & ~LSR_OE) && !(n->delta & ~MSR_DELTAS) &&
           !(flags & ~FLAG_ALL) && (!thre || n->ier & IER_THRE) && n->line.count <= FIFO_DEPTH &&
           n->loop.count <= depth;
}

static int uart_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct uart *u = container_of(dev, struct uart, dev);
    struct uart_regs n = {.ier = state_get_u8(r)};
    uint8_t flags;

    (void)version;
    n.fcr = state_get_u8(r);
    n.lcr = state_get_u8(r);
    n.mcr = state_get_u8(r);
    n.scr = state_get_u8(r);
    n.overrun = state_get_u8(r);
    n.delta = state_get_u8(r);
    n.divisor = state_get_u16(r);
    flags = state_get_u8(r);
    serial_fifo_load(&n.line, FIFO_DEPTH, r);
    serial_fifo_load(&n.loop, FIFO_DEPTH, r);
    if (r->error || !is_possible(&n, flags))
        return -EINVAL;
    n.thre_pending = flags & FLAG_THRE_PENDING;
    n.thre_owed = flags & FLAG_THRE_OWED;
    n.mcr_written = flags & FLAG_MCR_WRITTEN;
    n.rts_used = flags & FLAG_RTS_USED;
    u->r = n;
    /* The host's side is another one now: what was owed may be due, what was due is not lost. */
    if (u->r.thre_owed)
        want_thre(u);
    invite_input(u);
    update_irq(u);
    return 0;
}

static void uart_destroy(struct dev *dev)
{
    struct uart *u = container_of(dev, struct uart, dev);

    if (u->chr)
        chardev_attach(u->chr, NULL);
    dev_free(dev);
}

static const struct dev_ops uart_ops = {
    .tag = "uart16550",
    .version = 1,
    .read = uart_read,
    .write = uart_write,
    .reset = uart_reset,
    .save = uart_save,
    .load = uart_load,
    .destroy = uart_destroy,
};

int uart16550_create(const struct dev_env *env, struct dev **out)
{
    struct uart *u = calloc(1, sizeof(*u));
    struct chardev_user user = {.input = uart_input, .drained = uart_drained, .opaque = u};

    if (!u)
        return -ENOMEM;
    dev_init(&u->dev, &uart_ops);
    u->irq = env->irq;
    u->chr = env->console;
    if (u->chr)
        chardev_attach(u->chr, &user);
    uart_reset(&u->dev);
    *out = &u->dev;
    return 0;
}
