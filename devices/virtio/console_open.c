/*
 * The ports that --virtio-console names, and their ends on the host. Called by console.c on the
 * main thread, before vCPUs run.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/core/chardev.h"
#include "devices/core/log.h"
#include "devices/core/number.h"
#include "devices/core/util.h"
#include "devices/virtio/console_port.h"
#include "devices/virtio/models.h"

struct console_config {
    char *console;
    struct param_list port;
    char *size;
    uint64_t limit;
};

#define AT(member) .offset = offsetof(struct console_config, member)
static const struct param_row rows[] = {
    {.key = "console",
     .arg = "WHERE",
     AT(console),
     .help = "A console, /dev/hvc0 in the guest; WHERE: stdio, fd:N, a file, terminal or socket"},
    {.key = "port",
     .arg = "NAME:WHERE",
     .type = PARAM_LIST,
     AT(port),
     .help = "A byte stream, /dev/virtio-ports/NAME in the guest; may be repeated"},
    {.key = "size", .arg = "COLUMNSxROWS", AT(size), .help = "Of the console's terminal"},
    {.key = "limit",
     .arg = "BYTES",
     .type = PARAM_SIZE,
     AT(limit),
     .initial = "1G",
     .help = "How large a file may grow; what comes after is dropped and counted. 0: no limit"},
    {.key = NULL},
};

const struct params virtio_console_params = {rows, sizeof(struct console_config), NULL};

/* The host's ends of a port; -1: none. */
struct ends {
    int in, out;
    int own; /* to be closed once the chardev has duplicated it; -1: none */
};

static int connect_socket(const char *path, struct ends *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    strcpy(addr.sun_path, path);
    e->own = e->in = e->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (e->own < 0 || connect(e->own, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return -errno;
    return 0;
}

static int open_path(const char *path, struct ends *e)
{
    struct stat st = {.st_mode = S_IFREG};
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        return connect_socket(path, e);
    if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
        flags |= O_RDWR; /* of a FIFO only the writer's side: whoever reads comes when it likes */
    else
        flags |= O_WRONLY | O_CREAT | O_TRUNC;
    e->own = e->out = open(path, flags, 0666);
    if (e->own < 0)
        return -errno;
    if (S_ISCHR(st.st_mode))
        e->in = e->own;
    return 0;
}

static int use_fd(const char *text, struct ends *e)
{
    uint64_t fd = 0;
    int err = number_digits(&text, &fd), flags;

    if (err || *text || fd > INT32_MAX)
        return -EBADF;
    flags = fcntl((int)fd, F_GETFL);
    if (flags < 0)
        return -errno;
    e->in = (flags & O_ACCMODE) == O_WRONLY ? -1 : (int)fd;
    e->out = (flags & O_ACCMODE) == O_RDONLY ? -1 : (int)fd;
    return 0;
}

static bool is_stdio(const char *where)
{
    return strcmp(where, "stdio") == 0;
}

static bool reads_stdin(const char *where)
{
    return is_stdio(where) || strcmp(where, "fd:0") == 0;
}

unsigned virtio_console_stdin_readers(const char *text)
{
    struct console_config config;
    unsigned readers;
    char why[200];

    if (params_parse(&virtio_console_params, text, &config, why, sizeof(why)) < 0)
        return 0;
    readers = config.console && reads_stdin(config.console);
    for (unsigned i = 0; i < config.port.count; i++) {
        const char *colon = strchr(config.port.item[i], ':');

        readers += colon && reads_stdin(colon + 1);
    }
    params_free(&virtio_console_params, &config);
    return readers;
}

static int open_where(const char *where, struct ends *e)
{
    *e = (struct ends){-1, -1, -1};
    if (is_stdio(where)) {
        e->in = STDIN_FILENO;
        e->out = STDOUT_FILENO;
        return 0;
    }
    return strncmp(where, "fd:", 3) == 0 ? use_fd(where + 3, e) : open_path(where, e);
}

static int add_port(struct console *c, const char *key, const char *where, uint64_t limit,
                    struct virtio_console_port *port)
{
    struct ends e;
    int err = open_where(where, &e), number;

    if (err) {
        log_error("--virtio-console: %s: %s: %s (WHERE is stdio, fd:N, a file, a terminal, or a "
                  "socket that listens)",
                  key, where, strerrordesc_np(-err));
        if (e.own >= 0)
            close(e.own);
        return err;
    }
    port->chr = chardev_create(
        c->loop, &(struct chardev_config){
                     .in_fd = e.in, .out_fd = e.out, .limit = limit, .prompt = !port->console});
    err = port->chr ? 0 : -errno;
    if (e.own >= 0)
        close(e.own);
    number = err ? err : virtio_console_add(&c->v, port);
    if (number >= 0) {
        c->port[number]->own_chr = port->chr;
        return 0;
    }
    log_error("--virtio-console: %s: %s", key,
              number == -ENOSPC ? "no more than 16 ports fit" : strerrordesc_np(-number));
    chardev_destroy(port->chr);
    return number;
}

/* NAME ends up in a path of the guest. */
static bool name_is_fine(const struct console *c, const char *name)
{
    size_t len = strlen(name);

    for (const char *s = name; *s; s++)
        if (!isgraph((unsigned char)*s) || *s == '/')
            return false;
    for (unsigned i = 0; i < c->count; i++)
        if (strcmp(c->port[i]->name, name) == 0)
            return false;
    return len > 0 && len <= VIRTIO_CONSOLE_NAME_MAX;
}

/* "NAME:WHERE"; cut in place. */
static int add_named(struct console *c, char *text, uint64_t limit)
{
    struct virtio_console_port port = {.name = text};
    char *colon = strchr(text, ':');

    if (!colon || !colon[1]) {
        log_error("--virtio-console: port=%.60s: not NAME:WHERE (like log:/tmp/guest.log)", text);
        return -EINVAL;
    }
    *colon = '\0';
    if (!name_is_fine(c, text)) {
        log_error("--virtio-console: port=%.60s: not a name, or used twice (up to %d characters "
                  "without blanks and slashes)",
                  text, VIRTIO_CONSOLE_NAME_MAX);
        return -EINVAL;
    }
    return add_port(c, text, colon + 1, limit, &port);
}

static int set_size(struct console *c, const char *text)
{
    const char *s = text;
    uint64_t columns = 0, rows_ = 0;

    if (number_digits(&s, &columns) || *s++ != 'x' || number_digits(&s, &rows_) || *s || !columns ||
        columns > UINT16_MAX || !rows_ || rows_ > UINT16_MAX) {
        log_error("--virtio-console: size=%.40s: not COLUMNSxROWS (like 80x25)", text);
        return -EINVAL;
    }
    virtio_console_resize(&c->v, (uint16_t)columns, (uint16_t)rows_);
    return 0;
}

int console_open_text(struct console *c, const char *text)
{
    struct virtio_console_port console = {.console = true};
    struct console_config config;
    char why[200];
    int err = params_parse(&virtio_console_params, text, &config, why, sizeof(why));

    if (err) {
        log_error("--virtio-console: %s", why);
        return err;
    }
    if (config.size)
        err = set_size(c, config.size);
    if (!err && config.console)
        err = add_port(c, "console", config.console, config.limit, &console);
    for (unsigned i = 0; i < config.port.count && !err; i++)
        err = add_named(c, config.port.item[i], config.limit);
    params_free(&virtio_console_params, &config);
    return err;
}
