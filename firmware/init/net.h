/* The guest's network card. */
#ifndef FIRMWARE_INIT_NET_H
#define FIRMWARE_INIT_NET_H

/* The loopback device comes up. */
void net_loopback(void);

/*
 * Asks for an address by DHCP on the first network card, in a process of its own, and waits for the
 * answer for at most a second. That process says what went wrong.
 */
void net_dhcp(void);

#endif
