/*
 * One port forward, "tcp|udp:[ADDR]:PORT-:PORT": read, checked against the host, and written as
 * passt wants it. Called by passt.c.
 */
#ifndef HV_NET_HOSTFWD_H
#define HV_NET_HOSTFWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hostfwd {
    bool udp;
    int family;    /* AF_INET, AF_INET6; AF_UNSPEC: all addresses of the host */
    char host[46]; /* as text; empty with AF_UNSPEC */
    uint16_t port, guest_port;
};

/* 0, or -EINVAL with one line in `why`. */
int hostfwd_parse(const char *text, struct hostfwd *fwd, char *why, size_t cap);

/* Whether the port can be bound now; 0, or -errno with one line in `why`. */
int hostfwd_check(const struct hostfwd *fwd, char *why, size_t cap);

/* The value of passt's --tcp-ports or --udp-ports. */
void hostfwd_format(const struct hostfwd *fwd, char *buf, size_t len);

#endif
