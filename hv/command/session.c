/*
 * A command's host side: see session.h. What is to be sent is kept as facts (bytes to give back, a
 * signal, the end of input) rather than as frames, and send_owed makes frames of them in one order
 * whenever there is room.
 */
#include "hv/command/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/hostfd.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/command/frame.h"
#include "hv/command/outlet.h"
#include "hv/terminal.h"

#define QUEUE_BYTES  (4 * FRAME_MAX)
#define INPUT_ROUNDS 8 /* of a fast input, before the loop looks at others */

/* Stream 1 or 2. */
struct output {
    struct session *session;
    struct outlet *outlet;
    uint32_t credit; /* bytes written and not given back yet */
    bool closed;     /* nobody reads it */
    bool owes_close;
};

struct session {
    struct session_config config;
    struct peer *peer;
    struct loop_timer *report; /* calls `ended` from where nothing of this is on the stack */
    uint64_t ready_ns;         /* loop_now_ns when READY came; 0: not yet */
    bool started;              /* START went */
    bool over;                 /* the last frame came, or none will */
    bool reported;
    bool raw;
    struct command_end end;
    size_t spec_sent;
    uint32_t signal; /* to be sent; 0: none */
    bool owes_resize;

    struct output output[2];
    bool same_file;     /* both outputs: their order is kept */
    uint64_t output_ns; /* when some came last */

    struct hostfd in;
    struct loop_watch *in_watch; /* NULL: a file, always ready */
    struct loop_timer *in_timer;
    bool in_open;   /* more may come */
    bool in_unread; /* the command does not want more */
    bool owes_eof;
    uint32_t window; /* bytes of input that may be sent */
    struct console_escape escape;
    size_t in_len; /* bytes of `input` that wait to be sent */
    uint8_t input[WIRE_PAYLOAD];
};

/* The end. */

static void report_if_done(struct session *s)
{
    if (s->over && !s->reported && !session_is_stuck(s))
        loop_timer_arm(s->report, 0);
}

static void report(void *opaque)
{
    struct session *s = opaque;

    if (s->raw)
        terminal_restore();
    s->raw = false;
    s->reported = true;
    s->config.ended(s->config.opaque, &s->end);
}

static void stop_input(struct session *s)
{
    s->in_open = false;
    s->in_len = 0;
    if (s->in_watch)
        loop_watch_set(s->in_watch, 0);
    loop_timer_disarm(s->in_timer);
}

static void finish(struct session *s, enum command_how how, int value, const char *text)
{
    if (s->over)
        return;
    s->over = true;
    s->end.how = how;
    s->end.value = value;
    snprintf(s->end.text, sizeof(s->end.text), "%s", text);
    stop_input(s);
    report_if_done(s);
}

/* Sending. */

static bool send_frame(struct session *s, uint8_t type, uint8_t stream, const void *payload,
                       size_t len)
{
    return peer_send(s->peer, &(struct frame){.session = WIRE_MAIN,
                                              .type = type,
                                              .stream = stream,
                                              .len = (uint16_t)len,
                                              .payload = payload});
}

static bool send_u32(struct session *s, uint8_t type, uint8_t stream, uint32_t value)
{
    uint8_t payload[4];

    store_le32(payload, value);
    return send_frame(s, type, stream, payload, sizeof(payload));
}

static bool send_spec(struct session *s)
{
    while (s->spec_sent < s->config.spec_len) {
        size_t n = s->config.spec_len - s->spec_sent;

        n = n < WIRE_PAYLOAD ? n : WIRE_PAYLOAD;
        if (!send_frame(s, WIRE_SPEC, 0, s->config.spec + s->spec_sent, n))
            return false;
        s->spec_sent += n;
    }
    if (!s->started)
        s->started = send_frame(s, WIRE_START, 0, NULL, 0);
    return s->started;
}

static bool send_size(struct session *s)
{
    struct winsize size;
    uint8_t payload[4];

    if (!s->owes_resize)
        return true;
    if (ioctl(s->config.out, TIOCGWINSZ, &size) == 0) {
        store_le16(payload, size.ws_row);
        store_le16(payload + 2, size.ws_col);
        if (!send_frame(s, WIRE_RESIZE, 0, payload, sizeof(payload)))
            return false;
    }
    s->owes_resize = false;
    return true;
}

static bool send_output_news(struct session *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(s->output); i++) {
        struct output *o = &s->output[i];
        uint8_t stream = (uint8_t)(i + 1);

        if (o->owes_close && !send_frame(s, WIRE_CLOSE, stream, NULL, 0))
            return false;
        o->owes_close = false;
        if (o->credit && !o->closed && !send_u32(s, WIRE_CREDIT, stream, o->credit))
            return false;
        o->credit = 0;
    }
    return true;
}

static bool send_input(struct session *s)
{
    if (s->in_len && !send_frame(s, WIRE_DATA, 0, s->input, s->in_len))
        return false;
    s->window -= (uint32_t)s->in_len;
    s->in_len = 0;
    if (s->owes_eof && !send_frame(s, WIRE_EOF, 0, NULL, 0))
        return false;
    s->owes_eof = false;
    return true;
}

/* All that the guest is to know, as far as there is room. False: `room` goes on. */
static bool send_owed(struct session *s)
{
    if (!s->ready_ns || s->over)
        return true;
    if (!send_spec(s) || !send_size(s) || !send_output_news(s))
        return false;
    if (s->signal && !send_u32(s, WIRE_SIGNAL, 0, s->signal))
        return false;
    s->signal = 0;
    return send_input(s);
}

/* Standard input. */

/* One piece into `input`. False: nothing more for now. */
static bool read_input(struct session *s)
{
    size_t most = s->window < sizeof(s->input) ? s->window : sizeof(s->input);
    ssize_t n;

    if (!s->in_open || most == 0 || s->in_len)
        return false;
    n = hostfd_read(&s->in, s->input, most);
    if (n == -EAGAIN || n == -EINTR)
        return false;
    if (n <= 0) {
        stop_input(s);
        s->owes_eof = !s->in_unread;
        return true;
    }
    s->in_len = (size_t)n;
    if (s->config.terminal)
        s->in_len = console_escape_filter(&s->escape, s->input, s->in_len);
    return true;
}

/* Sends what is owed and takes input as far as it goes, then waits for what is missing. */
static void pump(struct session *s)
{
    bool more = false, sent = send_owed(s);

    if (!s->ready_ns || s->over)
        return;
    for (int i = 0; sent && i < INPUT_ROUNDS; i++) {
        more = read_input(s);
        if (!more || s->over)
            break;
        sent = send_owed(s);
    }
    more = s->in_open && s->window > 0 && s->in_len == 0;
    if (s->in_watch)
        loop_watch_set(s->in_watch, more ? EPOLLIN : 0);
    else if (more)
        loop_timer_arm(s->in_timer, 0);
}

static void input_ready(void *opaque, uint32_t events)
{
    (void)events;
    pump(opaque);
}

static void input_turn(void *opaque)
{
    pump(opaque);
}

static void key_pressed(void *opaque, enum console_key key)
{
    struct session *s = opaque;

    if (s->config.key)
        s->config.key(s->config.opaque, key);
}

/* A terminal that may not be read, or nothing at all, is an input that has ended. */
static int open_input(struct session *s)
{
    struct loop *loop = s->config.loop;

    s->window = WIRE_WINDOW;
    s->escape = (struct console_escape){.key = key_pressed, .opaque = s};
    s->owes_eof = true;
    if ((isatty(s->config.in) && !terminal_is_ours(s->config.in)) ||
        hostfd_open(&s->in, s->config.in, O_RDONLY) < 0)
        return 0;
    s->in_watch = loop_watch_add(loop, s->in.fd, 0, input_ready, s);
    if (!s->in_watch && errno != EPERM)
        return -errno;
    s->in_open = true;
    s->owes_eof = false;
    return 0;
}

/* Output. */

static void output_wrote(void *opaque, size_t n)
{
    struct output *o = opaque;

    o->credit += (uint32_t)n;
    if (o->session->same_file)
        peer_resume(o->session->peer);
    pump(o->session);
    report_if_done(o->session);
}

static void output_broken(void *opaque, int error)
{
    struct output *o = opaque;
    struct session *s = o->session;
    char text[100];

    o->closed = true;
    if (outlet_reader_left(error)) {
        o->owes_close = true;
        peer_resume(s->peer);
        pump(s);
        report_if_done(s);
        return;
    }
    snprintf(text, sizeof(text), "standard %s: %s", o == &s->output[0] ? "output" : "error",
             strerrordesc_np(-error));
    if (s->over) {
        /* What the command did does not matter when its output is lost. */
        s->end.how = COMMAND_LOST;
        snprintf(s->end.text, sizeof(s->end.text), "%s", text);
        report_if_done(s);
    } else {
        finish(s, COMMAND_LOST, 0, text);
    }
}

static bool are_same_file(int a, int b)
{
    struct stat first, second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static int open_outputs(struct session *s)
{
    const int fds[] = {s->config.out, s->config.err};

    for (unsigned i = 0; i < ARRAY_SIZE(s->output); i++) {
        struct outlet_user user = {output_wrote, output_broken, &s->output[i]};

        s->output[i].session = s;
        s->output[i].outlet = outlet_create(s->config.loop, fds[i], &user);
        if (!s->output[i].outlet)
            return -errno;
    }
    s->same_file = are_same_file(s->config.out, s->config.err);
    return 0;
}

/* Frames. */

static void start(struct session *s)
{
    int err;

    if (s->ready_ns)
        return;
    s->ready_ns = loop_now_ns();
    if (s->config.terminal) {
        err = terminal_make_raw(false);
        if (err)
            log_warn("the terminal refuses raw mode: %s", strerrordesc_np(-err));
        s->raw = !err;
        s->owes_resize = true;
    }
    pump(s);
}

/* The guest broke the rules: a status of it would mean nothing. */
static void break_off(struct session *s, const char *why)
{
    finish(s, COMMAND_NO_STATUS, 0, why);
}

/* False: not now. */
static bool take_data(struct session *s, const struct frame *f)
{
    struct output *o = &s->output[(f->stream - 1) & 1];

    if (f->stream < 1 || f->stream > 2) {
        break_off(s, "the guest sent data of an unknown stream");
        return true;
    }
    if (s->same_file && outlet_waiting(s->output[f->stream & 1].outlet))
        return false;
    if (f->len)
        s->output_ns = loop_now_ns();
    if (f->len && !outlet_put(o->outlet, f->payload, f->len))
        break_off(s, "the guest sent more output than it may");
    return true;
}

static void take_credit(struct session *s, const struct frame *f)
{
    uint32_t n = f->len == 4 ? load_le32(f->payload) : UINT32_MAX;

    if (f->stream != 0 || n > WIRE_WINDOW - s->window) {
        break_off(s, "the guest gave back more input than it got");
        return;
    }
    s->window += n;
    pump(s);
}

static void take_exit(struct session *s, const struct frame *f)
{
    static const enum command_how how[] = {[WIRE_EXITED] = COMMAND_EXITED,
                                           [WIRE_SIGNALLED] = COMMAND_SIGNALLED,
                                           [WIRE_NO_EXEC] = COMMAND_NO_EXEC};
    uint32_t value = f->len == 5 ? load_le32(f->payload + 1) : UINT32_MAX;
    uint8_t kind = f->len == 5 ? f->payload[0] : UINT8_MAX;

    if (kind >= ARRAY_SIZE(how) || value > UINT8_MAX ||
        (kind == WIRE_SIGNALLED && (value < 1 || value > 64)))
        break_off(s, "the guest sent an end that makes no sense");
    else
        finish(s, how[kind], (int)value, "");
}

static void take_failure(struct session *s, const struct frame *f)
{
    char text[sizeof(s->end.text)];

    snprintf(text, sizeof(text), "%.*s", (int)f->len, f->len ? (const char *)f->payload : "");
    finish(s, COMMAND_REFUSED, 0, text);
}

static bool frame_came(void *opaque, const struct frame *f)
{
    struct session *s = opaque;

    if (s->over)
        return true;
    switch (f->type) {
    case WIRE_READY:
        start(s);
        break;
    case WIRE_DATA:
        return take_data(s, f);
    case WIRE_EOF:
        break; /* our descriptors stay open: others may share them */
    case WIRE_CLOSE:
        s->in_unread = true;
        s->owes_eof = false;
        stop_input(s);
        break;
    case WIRE_CREDIT:
        take_credit(s, f);
        break;
    case WIRE_EXIT:
        take_exit(s, f);
        break;
    case WIRE_FAIL:
        take_failure(s, f);
        break;
    default:
        break_off(s, "the guest sent a frame that only hv may send");
    }
    return true;
}

static void room_came(void *opaque)
{
    pump(opaque);
}

static void peer_gone(void *opaque, const char *why)
{
    finish(opaque, COMMAND_NO_STATUS, 0, why ? why : "");
}

/* Life. */

struct session *session_create(const struct session_config *config)
{
    struct session *s = calloc(1, sizeof(*s));
    int err = -ENOMEM;

    if (!s) {
        close(config->fd);
        errno = ENOMEM;
        return NULL;
    }
    s->config = *config;
    s->in = (struct hostfd)HOSTFD_NONE;
    s->peer = peer_create(config->loop, config->fd, QUEUE_BYTES,
                          &(struct peer_user){frame_came, room_came, peer_gone, s});
    s->report = loop_timer_add(config->loop, report, s);
    s->in_timer = loop_timer_add(config->loop, input_turn, s);
    if (s->peer && s->report && s->in_timer) {
        err = open_input(s);
        if (!err)
            err = open_outputs(s);
    }
    if (!err)
        return s;
    session_destroy(s);
    errno = -err;
    return NULL;
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    if (s->raw)
        terminal_restore();
    for (unsigned i = 0; i < ARRAY_SIZE(s->output); i++)
        outlet_destroy(s->output[i].outlet);
    loop_watch_remove(s->in_watch);
    loop_timer_remove(s->in_timer);
    loop_timer_remove(s->report);
    hostfd_close(&s->in);
    peer_destroy(s->peer);
    free(s);
}

bool session_signal(struct session *s, int signal)
{
    if (!s->ready_ns || s->over)
        return false;
    s->signal = (uint32_t)signal;
    pump(s);
    return true;
}

void session_resize(struct session *s)
{
    s->owes_resize = s->config.terminal;
    pump(s);
}

uint64_t session_ready(const struct session *s)
{
    return s->ready_ns;
}

uint64_t session_last_output(const struct session *s)
{
    return s->output_ns;
}

bool session_is_stuck(const struct session *s)
{
    return outlet_waiting(s->output[0].outlet) || outlet_waiting(s->output[1].outlet);
}

void session_close(struct session *s)
{
    finish(s, COMMAND_NO_STATUS, 0, "");
}

void session_say_end(const struct command_end *end, const char *program)
{
    if (end->how == COMMAND_NO_EXEC)
        log_error("%s: %s (in the guest)", program, command_error(end));
    else if (end->how == COMMAND_REFUSED)
        log_error("the guest could not run the command: %s", end->text);
    else if (end->how == COMMAND_LOST)
        log_error("%s", end->text);
}
