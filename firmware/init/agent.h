/*
 * The agent: runs commands in the guest as hv asks for them over one descriptor (wire.h). Knows
 * nothing of virtual machines: the unit test runs it on the host over a socket.
 */
#ifndef FIRMWARE_INIT_AGENT_H
#define FIRMWARE_INIT_AGENT_H

/*
 * Says WIRE_READY and serves until the command WIRE_MAIN has ended and hv was told: 0. Reaps every
 * child of the process meanwhile; changes SIGCHLD, SIGPIPE and the signal mask. Commands of other
 * sessions may still run afterwards. -EPIPE: hv is gone; -EPROTO: it broke the rules; other
 * negative errno: the descriptor failed. The caller says so. `fd` stays the caller's; it becomes
 * nonblocking.
 */
int agent_run(int fd);

#endif
