/*
 * What passes between link (outside the box) and agent (inside): frames on one virtio-serial port.
 *
 * A frame is a type, a length and that many bytes. One stream carries everything, so the exit
 * status can not overtake output that was written before it, and end of input needs no second
 * channel.
 *
 * Conversation: agent sends READY; link sends ARG.., ENV.., COPY.., CWD, [SIZE], GO; then DATA_IN
 * one way and DATA_OUT/DATA_ERR the other, until agent sends EXIT or FAIL as its last frame.
 */
#ifndef GUEST_TESTS_TESTBED_FRAME_H
#define GUEST_TESTS_TESTBED_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum frame_type {
    FRAME_READY = 'r',   /* empty: the box is set up */
    FRAME_ARG = 'a',     /* one argument of the command, no NUL */
    FRAME_ENV = 'e',     /* one NAME=VALUE of its environment */
    FRAME_COPY = 'y',    /* a path to hold in the box's memory */
    FRAME_CWD = 'c',     /* its working directory */
    FRAME_SIZE = 'w',    /* struct frame_size; before GO: give the command a terminal */
    FRAME_GO = 'g',      /* empty: start it */
    FRAME_DATA_IN = 'i', /* for its standard input; empty: end of input */
    FRAME_DATA_OUT = 'o',
    FRAME_DATA_ERR = 'E',
    FRAME_EXIT = 'x', /* int32_t: what wait() said */
    FRAME_FAIL = 'f', /* text: why the command could not be started */
};

/* Both ends run on one machine architecture, so the fields are in its byte order. */
struct frame_head {
    uint32_t type;
    uint32_t len;
};

struct frame_size {
    uint16_t rows;
    uint16_t cols;
};

/* Linux's own limit for one argument; data frames are far shorter. */
#define FRAME_MAX      (128 * 1024)
#define FRAME_DATA_MAX (32 * 1024)

/* Writes all of BUF. Blocking. Returns 0 or a negative errno. */
int write_all(int fd, const void *buf, size_t len);

/* Sends one frame. Blocking. Returns 0 or a negative errno. */
int frame_send(int fd, enum frame_type type, const void *data, size_t len);

/*
 * Receives one frame into BUF, which has FRAME_MAX + 1 bytes, and puts a NUL behind it. Blocking.
 * Returns 0, or a negative errno: -EPIPE at the end of the stream, -EPROTO when it is too long.
 */
int frame_recv(int fd, struct frame_head *head, char *buf);

#endif
