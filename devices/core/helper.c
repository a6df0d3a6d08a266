/* Helper programs: see helper.h. Called by devices/net/keeper.c and devices/virtio/virtiofsd.c. */
#include "devices/core/helper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "devices/core/util.h"

bool helper_find(const char *name, const char *const *places, char *path, size_t cap)
{
    const char *dir = getenv("PATH");

    if (!dir)
        dir = "/usr/local/bin:/usr/bin:/bin";
    for (; *dir; dir += strcspn(dir, ":"), dir += *dir == ':') {
        int n = snprintf(path, cap, "%.*s/%s", (int)strcspn(dir, ":"), dir, name);

        if (n < (int)cap && access(path, X_OK) == 0)
            return true;
    }
    for (; places && *places; places++)
        if (snprintf(path, cap, "%s", *places) < (int)cap && access(path, X_OK) == 0)
            return true;
    return false;
}

void helper_detach(void)
{
    static const int reset[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGCHLD,
                                SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};
    sigset_t none;

    setsid();
    for (size_t i = 0; i < ARRAY_SIZE(reset); i++)
        signal(reset[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void helper_exec(const char *path, char *const argv[], int sock, int out, int err)
{
    static const char failed[] = "cannot be executed\n";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Copied above first: a source may be the number that another goes to. */
    int high[] = {fcntl(null, F_DUPFD, 10), fcntl(out, F_DUPFD, 10), fcntl(err, F_DUPFD, 10),
                  fcntl(sock, F_DUPFD, 10)};

    for (int i = 0; i <= HELPER_FD; i++)
        if (dup2(high[i], i) < 0)
            _exit(127);
    close_range(HELPER_FD + 1, ~0u, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(path, argv);
    if (write(STDERR_FILENO, failed, sizeof(failed) - 1) < 0)
        _exit(126);
    _exit(127);
}

bool helper_read(struct helper_line *line, int err)
{
    char buf[256];
    ssize_t n = read(err, buf, sizeof(buf));

    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] == '\n') {
            line->ended = true;
            continue;
        }
        if (line->ended)
            line->len = 0;
        line->ended = false;
        if (line->len < sizeof(line->text) - 1)
            line->text[line->len++] = buf[i] >= ' ' && buf[i] < 127 ? buf[i] : '?';
        line->text[line->len] = '\0';
    }
    return n > 0;
}
