/* One command. See session.h. */
#include "firmware/init/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "firmware/init/format.h"

enum {
    HANGUP_MS = 300, /* between SIGHUP and SIGKILL */
    AWAY_MS = 50,
    END_OF_TEXT = 4, /* Ctrl-D, a terminal's end of input */
    CREDIT_STEP = WIRE_WINDOW / 4,
    SPEC_FIRST_SIZE = 4096
};

int64_t session_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct session *session_new(uint32_t id, const char *refusal)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s) {
        s->id = id;
        s->refusal = refusal;
        s->process = (struct spawned){0, {-1, -1, -1}, -1};
    }
    return s;
}

static void close_stream(struct session *s, int stream)
{
    int *fd = &s->process.fd[stream];

    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void drop_description(struct session *s)
{
    free(s->text);
    s->text = NULL;
    s->text_len = s->text_size = 0;
}

void session_free(struct session *s)
{
    for (int i = 0; i < 3; i++)
        close_stream(s, i);
    if (s->process.report_fd >= 0)
        (void)close(s->process.report_fd);
    drop_description(s);
    free(s->input.ring);
    free(s->directory);
    free(s);
}

/* The command does not start; `text` says why. */
static int fail(struct session *s, struct link *link, const char *what, const char *why)
{
    char text[512];
    size_t len = text_print(text, sizeof(text), "%s%s%s", what, why ? ": " : "", why ? why : "");

    s->state = SESSION_OVER;
    return link_send(link, s->id, WIRE_FAIL, 0, text, len);
}

static int on_spec(struct session *s, const struct frame *frame)
{
    size_t size = s->text_size ? s->text_size : SPEC_FIRST_SIZE;
    char *grown;

    if (s->state != SESSION_DESCRIBED)
        return -EPROTO;
    if (s->text_len + frame->len > WIRE_SPEC_MAX)
        s->refusal = "the command's arguments and environment are too long";
    if (s->refusal) {
        drop_description(s);
        return 0;
    }
    while (size < s->text_len + frame->len)
        size *= 2;
    if (size != s->text_size) {
        grown = realloc(s->text, size);
        if (!grown) {
            s->refusal = "the guest has no memory left for the command";
            return 0;
        }
        s->text = grown;
        s->text_size = size;
    }
    memcpy(s->text + s->text_len, frame->payload, frame->len);
    s->text_len += frame->len;
    return 0;
}

static int launch(struct session *s, struct link *link, const struct spec *spec)
{
    const char *what = "";
    int err;

    s->input.ring = malloc(WIRE_WINDOW);
    if (spec->directory)
        s->directory = strdup(spec->directory);
    if (!s->input.ring || (spec->directory && !s->directory))
        return fail(s, link, "the guest has no memory left for the command", NULL);
    err = spawn(&s->process, spec, &what);
    if (err) {
        char text[128];

        (void)text_print(text, sizeof(text), "the guest cannot %s", what);
        return fail(s, link, text, strerror(-err));
    }
    s->state = SESSION_RUNS;
    s->terminal = spec->terminal;
    s->output[0].credit = s->output[1].credit = WIRE_WINDOW;
    return 0;
}

static int on_start(struct session *s, struct link *link)
{
    struct spec spec;
    int err;

    if (s->state != SESSION_DESCRIBED)
        return -EPROTO;
    if (s->refusal)
        return fail(s, link, s->refusal, NULL);
    err = spec_parse(&spec, s->text, s->text_len);
    if (err)
        return fail(s, link, "the command's description cannot be read", strerror(-err));
    err = launch(s, link, &spec);
    spec_free(&spec);
    drop_description(s);
    return err;
}

/* To all processes of the command that did not make a group of their own. */
static void signal_command(const struct session *s, int number)
{
    if (s->process.pid == 0)
        return;
    /* Until the child has made its group there is only the child. */
    if (kill(-s->process.pid, number) < 0 && errno == ESRCH)
        (void)kill(s->process.pid, number);
}

static int on_signal(const struct session *s, const struct frame *frame)
{
    uint32_t number;

    if (frame->len != 4)
        return -EPROTO;
    number = wire_get32(frame->payload);
    if (number == 0 || number >= NSIG)
        return -EPROTO;
    signal_command(s, (int)number);
    return 0;
}

static int on_resize(const struct session *s, const struct frame *frame)
{
    struct winsize size = {0};

    if (frame->len != 4)
        return -EPROTO;
    size.ws_row = wire_get16(frame->payload);
    size.ws_col = wire_get16(frame->payload + 2);
    if (s->terminal && s->process.fd[1] >= 0)
        (void)ioctl(s->process.fd[1], TIOCSWINSZ, &size);
    return 0;
}

static int on_hangup(struct session *s)
{
    for (int i = 0; i < 3; i++)
        close_stream(s, i);
    if (s->state != SESSION_RUNS) {
        s->state = SESSION_OVER;
        return 0;
    }
    signal_command(s, SIGHUP);
    signal_command(s, SIGCONT); /* what is stopped does not end by SIGHUP */
    s->kill_at = session_clock() + HANGUP_MS;
    return 0;
}

/* No more is wanted by the command. */
static int input_closed(struct session *s, struct link *link)
{
    close_stream(s, 0);
    return link_send(link, s->id, WIRE_CLOSE, 0, NULL, 0);
}

/* What is in the ring was read by the command, and hv said that no more comes. */
static void input_ended(struct session *s)
{
    static const char end = END_OF_TEXT;

    /* A terminal that takes no byte now has input, and its reader will not miss this one. */
    if (s->terminal && s->process.fd[0] >= 0 && write(s->process.fd[0], &end, 1) < 0)
        errno = 0;
    close_stream(s, 0);
}

static int on_data(struct session *s, const struct frame *frame)
{
    struct session_input *in = &s->input;

    if (frame->stream != 0 || s->state == SESSION_DESCRIBED)
        return -EPROTO;
    if (s->process.fd[0] < 0)
        return 0;
    if (in->eof || frame->len > WIRE_WINDOW - in->len)
        return -EPROTO;
    for (size_t i = 0; i < frame->len; i++)
        in->ring[(in->head + in->len + i) % WIRE_WINDOW] = frame->payload[i];
    in->len += frame->len;
    return 0;
}

static int on_eof(struct session *s, const struct frame *frame)
{
    if (frame->stream != 0 || s->state == SESSION_DESCRIBED)
        return -EPROTO;
    s->input.eof = true;
    if (s->input.len == 0)
        input_ended(s);
    return 0;
}

/* Writes to the command what it takes now. */
static int feed(struct session *s, struct link *link)
{
    struct session_input *in = &s->input;
    size_t chunk = WIRE_WINDOW - in->head < in->len ? WIRE_WINDOW - in->head : in->len;
    ssize_t n = write(s->process.fd[0], in->ring + in->head, chunk);
    uint8_t credit[4];
    int err = 0;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : input_closed(s, link);
    in->head = (in->head + (size_t)n) % WIRE_WINDOW;
    in->len -= (size_t)n;
    in->passed += (size_t)n;
    if (in->passed >= CREDIT_STEP || (in->len == 0 && in->passed)) {
        wire_put32(credit, (uint32_t)in->passed);
        in->passed = 0;
        err = link_send(link, s->id, WIRE_CREDIT, 0, credit, sizeof(credit));
    }
    if (in->len == 0 && in->eof)
        input_ended(s);
    return err;
}

static int on_close(struct session *s, const struct frame *frame)
{
    if ((frame->stream != 1 && frame->stream != 2) || s->state == SESSION_DESCRIBED)
        return -EPROTO;
    if (s->terminal)
        s->output[0].unwanted = true;
    else
        close_stream(s, frame->stream);
    return 0;
}

static int on_credit(struct session *s, const struct frame *frame)
{
    struct session_output *out;
    uint32_t more;

    if ((frame->stream != 1 && frame->stream != 2) || frame->len != 4)
        return -EPROTO;
    out = &s->output[frame->stream - 1];
    more = wire_get32(frame->payload);
    if (s->state == SESSION_DESCRIBED || more > WIRE_WINDOW - out->credit)
        return -EPROTO;
    out->credit += more;
    return 0;
}

/* How much of a stream may be read now. */
static size_t readable(const struct session *s, int stream)
{
    const struct session_output *out = &s->output[stream - 1];
    size_t most = out->unwanted ? WIRE_PAYLOAD : out->credit;

    if (s->state == SESSION_ENDED && out->left < most)
        most = out->left;
    return most < WIRE_PAYLOAD ? most : WIRE_PAYLOAD;
}

/*
 * No process has the terminal open. One may open it again, and to close our end would kill by
 * SIGHUP a command that has closed its streams because it is about to exit.
 */
static void nobody_there(struct session *s)
{
    s->away_until = session_clock() + AWAY_MS;
}

/* Passes one piece on. 1: there may be more, 0: there is none or hv takes none now, or an error. */
static int pass_on(struct session *s, struct link *link, int stream)
{
    static uint8_t bytes[WIRE_PAYLOAD];
    struct session_output *out = &s->output[stream - 1];
    size_t most = readable(s, stream);
    ssize_t n;
    int err;

    if (most == 0 || !link_has_room(link))
        return 0;
    do {
        n = read(s->process.fd[stream], bytes, most);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        out->left = 0;
        return 0;
    }
    if (n <= 0 && s->terminal && s->state == SESSION_RUNS) {
        nobody_there(s);
        return 0;
    }
    if (n <= 0) {
        close_stream(s, stream);
        return link_send(link, s->id, WIRE_EOF, (uint8_t)stream, NULL, 0);
    }
    if (s->state == SESSION_ENDED)
        out->left -= (size_t)n;
    if (out->unwanted)
        return 1;
    out->credit -= (size_t)n;
    err = link_send(link, s->id, WIRE_DATA, (uint8_t)stream, bytes, (size_t)n);
    return err ? err : 1;
}

int session_frame(struct session *s, struct link *link, const struct frame *frame)
{
    switch (frame->type) {
    case WIRE_SPEC:
        return on_spec(s, frame);
    case WIRE_START:
        return on_start(s, link);
    case WIRE_SIGNAL:
        return on_signal(s, frame);
    case WIRE_RESIZE:
        return on_resize(s, frame);
    case WIRE_HANGUP:
        return on_hangup(s);
    case WIRE_DATA:
        return on_data(s, frame);
    case WIRE_EOF:
        return on_eof(s, frame);
    case WIRE_CLOSE:
        return on_close(s, frame);
    case WIRE_CREDIT:
        return on_credit(s, frame);
    default:
        return -EPROTO;
    }
}

void session_wants(const struct session *s, const struct link *link, struct pollfd *fds)
{
    /* Without events poll still tells when the command has closed its input. */
    bool writes = s->terminal ? s->input.len && !s->away_until : true;

    fds[0] =
        (struct pollfd){.fd = writes ? s->process.fd[0] : -1, .events = s->input.len ? POLLOUT : 0};
    for (int i = 1; i < SESSION_FDS; i++) {
        bool reads = readable(s, i) > 0 && link_has_room(link) && !s->away_until;

        fds[i] = (struct pollfd){.fd = reads ? s->process.fd[i] : -1, .events = POLLIN};
    }
}

int session_serve(struct session *s, struct link *link, const struct pollfd *fds)
{
    int err = 0;

    if (fds[0].revents & (POLLERR | POLLHUP) && s->terminal)
        nobody_there(s);
    else if (fds[0].revents & (POLLERR | POLLHUP))
        err = input_closed(s, link);
    else if (fds[0].revents)
        err = feed(s, link);
    for (int i = 1; i < SESSION_FDS && err >= 0; i++) {
        if (s->process.fd[i] >= 0 && fds[i].fd >= 0 && fds[i].revents)
            err = pass_on(s, link, i);
    }
    return err < 0 ? err : 0;
}

int session_reaped(struct session *s, struct link *link, int status)
{
    struct spawn_problem problem;

    s->process.pid = 0;
    close_stream(s, 0);
    if (s->kill_at) {
        s->state = SESSION_OVER;
        return 0;
    }
    s->state = SESSION_ENDED;
    s->how = WIFSIGNALED(status) ? WIRE_SIGNALLED : WIRE_EXITED;
    s->value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (spawn_problem(&s->process, &problem)) {
        if (problem.in_directory)
            return fail(s, link, s->directory, strerror(problem.error));
        s->how = WIRE_NO_EXEC;
        s->value = (uint32_t)problem.error;
    }
    for (int i = 0; i < 2; i++) {
        int fd = s->process.fd[i + 1], left = WIRE_WINDOW;

        /* A terminal does not tell: there, what it holds is what can be read before EAGAIN. */
        if (fd >= 0 && !s->terminal && ioctl(fd, FIONREAD, &left) < 0)
            left = 0;
        s->output[i].left = (size_t)left;
    }
    return 0;
}

int session_finish(struct session *s, struct link *link)
{
    uint8_t exit[5];

    if (s->state != SESSION_ENDED)
        return 0;
    for (int i = 1; i < SESSION_FDS; i++) {
        int more = 1;

        while (more > 0 && s->process.fd[i] >= 0)
            more = pass_on(s, link, i);
        if (more < 0)
            return more;
        if (s->output[i - 1].left == 0)
            close_stream(s, i);
        if (s->process.fd[i] >= 0)
            return 0;
    }
    exit[0] = s->how;
    wire_put32(exit + 1, s->value);
    s->state = SESSION_OVER;
    return link_send(link, s->id, WIRE_EXIT, 0, exit, sizeof(exit));
}

void session_tick(struct session *s, int64_t now)
{
    if (s->kill_at && now >= s->kill_at) {
        signal_command(s, SIGKILL);
        s->kill_at = now + HANGUP_MS;
    }
    if (now >= s->away_until)
        s->away_until = 0;
}

bool session_ticks(const struct session *s)
{
    return s->kill_at || s->away_until;
}
