/*
 * What hv and the guest's first program say to each other: frames over a byte stream, the virtio
 * console's port WIRE_PORT, both ways. The same frames go between `hv exec` and the hv that runs
 * the guest, over a Unix socket. Shared by host and guest; depends on nothing.
 *
 * A frame is a header of WIRE_HEADER bytes and up to WIRE_PAYLOAD bytes, all little-endian:
 *
 *   session[4] type[1] stream[1] len[2]
 *
 * A session is one command. Streams are numbered as the command sees them: 0, 1, 2. Of each stream
 * a sender may have WIRE_WINDOW bytes on their way; the receiver gives them back by WIRE_CREDIT as
 * it passes them on, so that neither side ever has to hold more.
 */
#ifndef FIRMWARE_INIT_WIRE_H
#define FIRMWARE_INIT_WIRE_H

#define WIRE_PORT    "hv.agent"
#define WIRE_HEADER  8
#define WIRE_PAYLOAD 16384
#define WIRE_WINDOW  65536
#define WIRE_SPEC_MAX                                                                              \
    (2 * 1024 * 1024)    /* bytes of a command's description, all WIRE_SPEC together */
#define WIRE_SESSIONS 16 /* at a time */

#define WIRE_AGENT    0 /* session: the guest's first program itself */
#define WIRE_MAIN     1 /* session: the command of `hv run`; the guest powers off when it ends */

enum wire_type {
    /* To the guest. */
    WIRE_SPEC = 1,   /* a piece of the description: see below */
    WIRE_START = 2,  /* the description is whole: run it */
    WIRE_SIGNAL = 3, /* u32: to the command's process group */
    WIRE_RESIZE = 4, /* u16 rows, u16 columns of its terminal */
    WIRE_HANGUP = 5, /* who asked is gone: SIGHUP, and soon SIGKILL; no answer is wanted */

    /* Both ways. */
    WIRE_DATA = 16,   /* bytes of a stream */
    WIRE_EOF = 17,    /* no more of them will come */
    WIRE_CLOSE = 18,  /* no more of them are wanted: what comes is dropped */
    WIRE_CREDIT = 19, /* u32: that many bytes were passed on */

    /* From the guest. */
    WIRE_READY = 32, /* session WIRE_AGENT: commands may come. Empty */
    WIRE_EXIT = 33,  /* u8 wire_exit, u32 value; the session's last frame */
    WIRE_FAIL = 34 /* text for people: the command was not started, by no fault of its own. Last */
};

enum wire_exit {
    WIRE_EXITED = 0,    /* value: exit status */
    WIRE_SIGNALLED = 1, /* value: the signal */
    WIRE_NO_EXEC = 2    /* value: errno of execve */
};

/*
 * The description of a command: NUL-terminated records, the first byte says what follows it.
 *   a ARGUMENT     in order; the first is the program, looked for in PATH
 *   e NAME=VALUE
 *   d DIRECTORY    to start in; at most one
 *   t ROWSxCOLUMNS it gets a terminal: stream 1 is all that it writes; at most one
 */

/*
 * /hv/config of the initramfs: NUL-terminated words, as many behind each keyword as stand here.
 *   module FILE               load it (finit_module), in order
 *   root TAG TYPE             what becomes / below a writable overlay; TYPE: 9p or virtiofs
 *   share TAG TYPE MODE PATH  mount it there; MODE: ro or rw
 *   net dhcp                  bring the first network card up
 *   hostname NAME
 */
#define WIRE_CONFIG "/hv/config"

/* Every line by which the guest's first program explains itself on the console starts so. */
#define WIRE_SAYS "hv-init: "

#endif
