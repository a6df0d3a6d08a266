/*
 * Port forwards: see hostfwd.h. passt takes a forward when any one of its addresses can be bound;
 * hv wants to say which port is taken, so it tries the port first.
 */
#include "devices/net/hostfwd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/number.h"

static int bad(const char *text, const char *what, char *why, size_t cap)
{
    snprintf(why, cap, "hostfwd=%.60s: %s (like tcp:127.0.0.1:8080-:80)", text, what);
    return -EINVAL;
}

/* 1 to 65535, up to the end of the text or `stop`. */
static bool take_port(const char **at, char stop, uint16_t *port)
{
    uint64_t v;

    if (number_digits(at, &v) || **at != stop || v < 1 || v > 65535)
        return false;
    *port = (uint16_t)v;
    return true;
}

/* "ADDR:", "[ADDR6]:" or ":"; moves behind the colon. */
static bool take_address(const char **at, struct hostfwd *fwd)
{
    bool bracket = **at == '[';
    const char *start = *at + bracket, *end = strchr(start, bracket ? ']' : ':');
    uint8_t binary[sizeof(struct in6_addr)];
    size_t len;

    if (!end || (bracket && end[1] != ':'))
        return false;
    *at = end + (bracket ? 2 : 1);
    len = (size_t)(end - start);
    fwd->family = AF_UNSPEC;
    fwd->host[0] = '\0';
    if (!len)
        return !bracket;
    if (len >= sizeof(fwd->host))
        return false;
    memcpy(fwd->host, start, len);
    fwd->host[len] = '\0';
    if (!bracket && strcmp(fwd->host, "localhost") == 0)
        snprintf(fwd->host, sizeof(fwd->host), "127.0.0.1");
    fwd->family = bracket ? AF_INET6 : AF_INET;
    return inet_pton(fwd->family, fwd->host, binary) == 1;
}

int hostfwd_parse(const char *text, struct hostfwd *fwd, char *why, size_t cap)
{
    const char *at = text;

    *fwd = (struct hostfwd){.udp = strncmp(text, "udp:", 4) == 0};
    if (!fwd->udp && strncmp(text, "tcp:", 4) != 0)
        return bad(text, "starts with neither tcp: nor udp:", why, cap);
    at += 4;
    if (!take_address(&at, fwd))
        return bad(text, "no address of this host, which is a number or nothing", why, cap);
    if (!take_port(&at, '-', &fwd->port))
        return bad(text, "the host's port is not 1 to 65535", why, cap);
    at++;
    if (*at++ != ':')
        return bad(text, "the guest's side is -:PORT, without an address", why, cap);
    if (!take_port(&at, '\0', &fwd->guest_port))
        return bad(text, "the guest's port is not 1 to 65535", why, cap);
    return 0;
}

static int try_bind(const struct hostfwd *fwd, int family)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(fwd->port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(fwd->port)};
    int fd = socket(family, (fwd->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    int on = 1, err;

    if (fd < 0)
        return -errno;
    if (fwd->host[0])
        inet_pton(family, fwd->host,
                  family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
    /* As passt does: what is left of old TCP connections does not count. */
    if (!fwd->udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == AF_INET)
        err = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
    else
        err = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
    err = err < 0 ? -errno : 0;
    close(fd);
    return err;
}

int hostfwd_check(const struct hostfwd *fwd, char *why, size_t cap)
{
    const char *proto = fwd->udp ? "udp" : "tcp", *host = fwd->host[0] ? fwd->host : "*";
    int err = try_bind(fwd, fwd->family == AF_UNSPEC ? AF_INET : fwd->family);

    if (err == -EADDRINUSE)
        snprintf(why, cap, "hostfwd: %s port %u of %s is in use (take another, or end its user)",
                 proto, fwd->port, host);
    else if (err == -EADDRNOTAVAIL)
        snprintf(why, cap, "hostfwd: %s is no address of this host", host);
    else if (err == -EACCES)
        snprintf(why, cap, "hostfwd: %s port %u: ports below 1024 need rights (take a higher one)",
                 proto, fwd->port);
    else if (err)
        snprintf(why, cap, "hostfwd: %s port %u of %s: %s", proto, fwd->port, host, strerror(-err));
    return err;
}

void hostfwd_format(const struct hostfwd *fwd, char *buf, size_t len)
{
    snprintf(buf, len, "%s%s%u:%u", fwd->host, fwd->host[0] ? "/" : "", fwd->port, fwd->guest_port);
}
