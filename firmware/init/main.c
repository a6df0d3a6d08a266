/*
 * The guest's first program, /init of the initramfs that hv makes for `hv run -- COMMAND`. Linked
 * statically, embedded in hv. main reads from top to bottom as docs/command.md tells it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "firmware/init/agent.h"
#include "firmware/init/config.h"
#include "firmware/init/modules.h"
#include "firmware/init/mounts.h"
#include "firmware/init/net.h"
#include "firmware/init/port.h"
#include "firmware/init/power.h"
#include "firmware/init/say.h"
#include "firmware/init/session.h"
#include "firmware/init/wire.h"

enum { CONFIG_BYTES = 65536, GRACE_MS = 100, KILL_MS = 1000, PAUSE_NS = 1000000 };

static void read_config(struct config *config)
{
    static char text[CONFIG_BYTES];
    int fd = open(WIRE_CONFIG, O_RDONLY | O_CLOEXEC);
    const char *problem;
    size_t len = 0;
    ssize_t n = -1;

    while (fd >= 0 && len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0)
        len += (size_t)n;
    if (fd < 0 || n < 0)
        give_up("cannot read " WIRE_CONFIG ": %s (the initramfs is not what hv made)",
                strerror(errno));
    (void)close(fd);
    problem = len < sizeof(text) ? config_parse(config, text, len) : "it is too long";
    if (problem)
        give_up(WIRE_CONFIG " is malformed: %s (the initramfs is not what hv made)", problem);
}

/* Waits that long for all other processes to end; true when they have. */
static bool processes_end(int ms)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int64_t until = session_clock() + ms;

    do {
        pid_t pid = waitpid(-1, NULL, WNOHANG);

        if (pid < 0)
            return true;
        if (pid == 0)
            (void)nanosleep(&pause, NULL);
    } while (session_clock() < until);
    return false;
}

static void end_processes(void)
{
    (void)kill(-1, SIGTERM);
    (void)kill(-1, SIGCONT); /* what is stopped heeds SIGTERM only then */
    if (processes_end(GRACE_MS))
        return;
    (void)kill(-1, SIGKILL);
    /* One that waits for a share may not even heed that. */
    (void)processes_end(KILL_MS);
}

static void explain(int err)
{
    if (err == -EPROTO)
        say("hv sent what this program does not understand: they are of different versions");
    else if (err == -EPIPE)
        say("hv has closed the port " WIRE_PORT);
    else if (err)
        say("the port " WIRE_PORT " failed: %s", strerror(-err));
}

int main(void)
{
    static struct config config;
    int port;

    say_to_kernel_log();
    mounts_begin();
    read_config(&config);
    modules_load(config.modules, config.module_count);
    port = port_open();
    mounts_root(&config);
    mounts_system();
    mounts_shares(&config);
    if (config.hostname && sethostname(config.hostname, strlen(config.hostname)) < 0)
        say("cannot set the host name: %s", strerror(errno));
    net_loopback();
    if (config.dhcp)
        net_dhcp();
    explain(agent_run(port));
    end_processes();
    mounts_end(&config);
    power_off();
}
