/*
 * What the console's tests share: a console with a callback port or with pipes, a driver that
 * speaks the control protocol, and the guest's reads and writes. One console a program.
 */
#ifndef HV_DEVICES_TEST_CONSOLE_GUEST_H
#define HV_DEVICES_TEST_CONSOLE_GUEST_H

#include "devices/test/driver.h"
#include "devices/virtio/console.h"

#define F_SIZE       1
#define F_MULTIPORT  2
#define F_EMERG      4
#define CONTROL_RX   2
#define CONTROL_TX   3
#define CONTROL_BUFS 32

enum { READY, ADD, REMOVE, PORT_READY, CONSOLE, RESIZE, OPEN, NAME };

/* The host's side of the callback port: it takes at most `appetite` bytes more. */
struct console_host {
    uint8_t data[1 << 20];
    size_t len, appetite;
    unsigned room_calls, opens, closes;
};

extern struct driver guest;
extern struct virtio *con;
extern struct console_host host;
extern int host_in, host_out; /* our ends of the pipes */

void console_create(const char *text);
int console_add_status_port(void); /* "org.hv.status", with callbacks; its number */

/* Port 0 is a console whose output comes to host_out, port 1 is fed from host_in. */
void console_create_piped(const char *rest);
void console_close_pipes(void);

void console_start(uint64_t features);
void console_give_control_bufs(void); /* console_start does, when MULTIPORT is wanted */

/* Messages. */
void send_control(uint32_t id, uint16_t event, uint16_t value);
void expect_message(uint32_t want_id, unsigned want_event, const char *want_text);
void expect_silence(void);

unsigned rx_queue(unsigned port);
unsigned tx_queue(unsigned port);
void guest_write(unsigned port, const void *data, uint32_t len);
uint64_t guest_read_buf(unsigned port, uint32_t len); /* its GPA */
size_t host_read(char *buf, size_t cap);              /* NUL-terminated */

#endif
