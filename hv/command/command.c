/* A command and its run: see command.h. */
#include "hv/command/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "firmware/init/wire.h"
#include "hv/command/address.h"
#include "hv/command/agent.h"
#include "hv/command/plan.h"
#include "hv/command/session.h"
#include "hv/config.h"
#include "hv/terminal.h"

#define NS_PER_MS   UINT64_C(1000000)
#define POWEROFF_MS 10000 /* from the command's end to the guest's */
#define LOOK_MS     10    /* while the last frames go their way */
#define LOOKS_QUIET 3     /* in a row that found nothing under way: all has come */
#define LOOKS_MAX   100

struct command {
    struct loop *loop; /* NULL: not attached */
    struct command_host host;
    struct agent *agent;
    struct session *session;
    struct loop_timer *power; /* the guest should have powered off */
    struct loop_timer *look;  /* command_finish: is anything still under way? */
    unsigned looks, quiet;

    char *spec;
    size_t spec_len;
    bool terminal;
    struct address address;
    int port[2];  /* ours, and the guest's, which the devices duplicate */
    int main[2];  /* the switch's, and the session's */
    int listener; /* -1: none */

    bool signalled; /* one was passed on */
    bool broken;    /* the guest cannot be talked to */
    bool finishing;
    uint64_t ready_ns; /* of the session, kept when that is gone */
    bool over;
    struct command_end end;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Gives a descriptor away. */
static int take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static void end_run(struct command *c, enum vm_end end, const char *detail)
{
    struct outcome outcome = {.end = end, .vcpu = -1};

    snprintf(outcome.detail, sizeof(outcome.detail), "%s", detail);
    c->host.end(c->host.opaque, &outcome);
}

static void power_overdue(void *opaque)
{
    struct command *c = opaque;

    if (c->finishing) {
        loop_stop(c->loop);
        return;
    }
    log_warn("the guest did not power off within %d s after its command ended", POWEROFF_MS / 1000);
    end_run(c, END_POWEROFF, "");
}

/* The session's end, all output written. */
static void session_ended(void *opaque, const struct command_end *end)
{
    struct command *c = opaque;

    c->over = true;
    c->end = *end;
    if (c->finishing)
        loop_stop(c->loop);
    else if (end->how == COMMAND_LOST)
        end_run(c, END_VMM_ERROR, end->text);
    else if (c->broken || end->how == COMMAND_NO_STATUS)
        end_run(c, END_POWEROFF, "the guest broke the rules of its agent's port");
    else
        loop_timer_arm(c->power, POWEROFF_MS * NS_PER_MS);
}

static void guest_broke(void *opaque, const char *why)
{
    struct command *c = opaque;

    c->broken = true;
    log_guest("its agent sent %s; commands there are given up", why);
    if (c->over)
        loop_timer_arm(c->power, 0);
}

static void key_pressed(void *opaque, enum console_key key)
{
    struct command *c = opaque;

    c->host.key(c->host.opaque, key);
}

/* Timer of command_finish. Other clients are not waited for as long as our own output. */
static void look(void *opaque)
{
    struct command *c = opaque;
    bool others = !agent_is_flushed(c->agent) && ++c->looks < LOOKS_MAX;

    c->quiet = session_is_stuck(c->session) || others ? 0 : c->quiet + 1;
    if (c->quiet >= LOOKS_QUIET)
        session_close(c->session);
    else
        loop_timer_arm(c->look, LOOK_MS * NS_PER_MS);
}

/* Nobody can reach the guest by its name then; its command can do without. */
static int listen_for_others(struct command *c, const struct vm_config *config)
{
    bool asked = config_given(config, "name");
    char why[400];

    c->listener = address_listen(&c->address, config->name, why, sizeof(why));
    if (c->listener >= 0)
        return 0;
    if (asked) {
        log_error("--name %s: %s", config->name, why);
        return c->listener;
    }
    log_warn("hv exec will not find this guest: %s", why);
    c->listener = -1;
    return 0;
}

static int describe(struct command *c, const struct vm_config *config)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};

    c->terminal = terminal_is_ours(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (c->terminal)
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    return command_spec(config, c->terminal, size.ws_row, size.ws_col, &c->spec, &c->spec_len);
}

static int open_pairs(struct command *c)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->port) == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->main) == 0)
        return 0;
    log_error("sockets for the command: %m");
    return -errno;
}

int command_create(struct vm_config *config, struct command **out)
{
    struct command *c;
    int err;

    *out = NULL;
    if (!config->command_count)
        return 0;
    c = calloc(1, sizeof(*c));
    if (!c) {
        log_error("the command: %s", strerrordesc_np(ENOMEM));
        return -ENOMEM;
    }
    c->port[0] = c->port[1] = c->main[0] = c->main[1] = c->listener = -1;
    if ((err = listen_for_others(c, config)) || (err = describe(c, config)) ||
        (err = open_pairs(c)) || (err = command_plan_add_port(config, c->port[1])))
        command_destroy(c);
    else
        *out = c;
    return err;
}

static int attach(struct command *c)
{
    struct agent_config agent = {.loop = c->loop,
                                 .port = take(&c->port[0]),
                                 .client = take(&c->main[0]),
                                 .listener = take(&c->listener),
                                 .broken = guest_broke,
                                 .opaque = c};
    struct session_config session = {.loop = c->loop,
                                     .fd = take(&c->main[1]),
                                     .spec = c->spec,
                                     .spec_len = c->spec_len,
                                     .in = STDIN_FILENO,
                                     .out = STDOUT_FILENO,
                                     .err = STDERR_FILENO,
                                     .terminal = c->terminal,
                                     .ended = session_ended,
                                     .key = key_pressed,
                                     .opaque = c};

    c->agent = agent_create(&agent);
    if (!c->agent) {
        close(session.fd);
        return -errno;
    }
    c->session = session_create(&session);
    if (!c->session)
        return -errno;
    c->power = loop_timer_add(c->loop, power_overdue, c);
    c->look = loop_timer_add(c->loop, look, c);
    return c->power && c->look ? 0 : -ENOMEM;
}

int command_attach(struct command *c, struct loop *loop, const struct command_host *host)
{
    int err;

    if (!c)
        return 0;
    c->loop = loop;
    c->host = *host;
    close_fd(&c->port[1]);
    err = attach(c);
    if (err)
        log_error("the command: %s", strerrordesc_np(-err));
    return err;
}

uint64_t command_ready(const struct command *c)
{
    if (!c)
        return 0;
    return c->session ? session_ready(c->session) : c->ready_ns;
}

uint64_t command_last_output(const struct command *c)
{
    return c && c->session ? session_last_output(c->session) : 0;
}

bool command_signal(struct command *c, int signal)
{
    if (!c || !c->session || c->signalled || c->finishing)
        return false;
    c->signalled = session_signal(c->session, signal);
    return c->signalled;
}

void command_resize(struct command *c)
{
    if (c && c->session)
        session_resize(c->session);
}

void command_finish(struct command *c, bool patient)
{
    if (!c || !c->session)
        return;
    c->finishing = true;
    if (!c->over) {
        loop_timer_arm(c->look, 0);
        if (!patient)
            loop_timer_arm(c->power, LOOKS_MAX * LOOK_MS * NS_PER_MS);
        else
            loop_timer_disarm(c->power);
        loop_run(c->loop);
    }
    /* What others are owed and their sockets take. */
    for (int i = 0; i < LOOKS_MAX && loop_step(c->loop) > 0; i++)
        ;
    c->ready_ns = session_ready(c->session);
    session_destroy(c->session);
    c->session = NULL;
}

void command_tell(const struct command *c, struct outcome *outcome)
{
    if (!c)
        return;
    outcome->owes_status = true;
    outcome->command_ran = c->ready_ns != 0;
    outcome->command = c->end;
}

void command_detach(struct command *c)
{
    if (!c || !c->loop)
        return;
    session_destroy(c->session);
    c->session = NULL;
    agent_destroy(c->agent);
    c->agent = NULL;
    loop_timer_remove(c->power);
    loop_timer_remove(c->look);
    c->power = c->look = NULL;
    c->loop = NULL;
}

void command_destroy(struct command *c)
{
    if (!c)
        return;
    command_detach(c);
    for (unsigned i = 0; i < 2; i++) {
        close_fd(&c->port[i]);
        close_fd(&c->main[i]);
    }
    close_fd(&c->listener);
    address_remove(&c->address);
    free(c->spec);
    free(c);
}
