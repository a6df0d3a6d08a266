/* The virtio console's port to hv. */
#ifndef FIRMWARE_INIT_PORT_H
#define FIRMWARE_INIT_PORT_H

/* Opens the port WIRE_PORT as soon as hv listens there; says why and powers off if it cannot. */
int port_open(void);

#endif
