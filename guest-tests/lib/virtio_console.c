/* The driver of a virtio console with several ports; see virtio_console.h. */
#include "guest-tests/lib/virtio_console.h"

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"

#define F_MULTIPORT   (UINT64_C(1) << 1)
#define QUEUE_SIZE    16
#define CONTROL_IN    2 /* 5.3.2; port 0 has queues 0 and 1, port n > 0 has 2n + 2 and 2n + 3 */
#define CONTROL_OUT   3
#define MESSAGES      8
#define SETTLE_CYCLES 200000000u /* of silence after which the device has said all */

/* struct virtio_console_control (5.3.6.2): these 8 bytes, then a name where there is one */
struct control {
    uint32_t id;
    uint16_t event, value;
};
enum {
    DEVICE_READY = 0,
    DEVICE_ADD = 1,
    DEVICE_REMOVE = 2,
    PORT_READY = 3,
    CONSOLE_PORT = 4,
    RESIZE = 5,
    PORT_OPEN = 6,
    PORT_NAME = 7
};

static struct {
    struct control control;
    char text[CONSOLE_NAME_MAX];
} message[MESSAGES];
static uint8_t message_of[VIRTQ_MAX]; /* token -> message */

static void give_message(struct virtio_console *console, uint8_t which)
{
    struct virtq_part part = {&message[which], sizeof(message[which]), true};
    uint16_t token = virtq_add(&console->control_in, &part, 1);

    if (token != VIRTQ_NO_TOKEN)
        message_of[token] = which;
}

/* Copies and waits, so that the caller may forget the buffer. */
static bool send(struct virtq *queue, const void *data, uint32_t len)
{
    static uint8_t copy[CONSOLE_BUFFER];
    struct virtq_part part = {copy, len, false};
    uint16_t token;
    uint32_t written;

    if (len > sizeof(copy))
        return false;
    memcpy(copy, data, len);
    if (virtq_add(queue, &part, 1) == VIRTQ_NO_TOKEN)
        return false;
    virtq_publish(queue);
    return virtq_wait(queue, &token, &written);
}

static void tell(struct virtio_console *console, uint32_t id, uint16_t event)
{
    struct control c = {id, event, 1};

    send(&console->control_out, &c, sizeof(c));
}

static void add_port(struct virtio_console *console, uint32_t id)
{
    console->port[id].there = true;
    tell(console, id, PORT_READY);
    tell(console, id, PORT_OPEN);
}

/* What the device says of a port. `len`: bytes of the message. */
static void on_message(struct virtio_console *console, unsigned which, uint32_t len)
{
    const struct control *c = &message[which].control;
    struct virtio_console_port *port = &console->port[c->id % CONSOLE_PORTS];
    uint32_t name = len < sizeof(*c) ? 0 : len - (uint32_t)sizeof(*c);

    if (len < sizeof(*c) || c->id >= CONSOLE_PORTS)
        return;
    if (c->event == DEVICE_ADD && port->out.size != 0) {
        add_port(console, c->id);
    } else if (c->event == PORT_OPEN) {
        port->host_open = c->value != 0;
    } else if (c->event == PORT_NAME) {
        name = name >= sizeof(port->name) ? (uint32_t)sizeof(port->name) - 1 : name;
        memcpy(port->name, message[which].text, name);
        port->name[name] = '\0';
    }
}

/* Takes messages until none has come for a while. */
static void listen(struct virtio_console *console)
{
    uint64_t last = rdtsc();
    uint16_t token;
    uint32_t len;

    while (rdtsc() - last < SETTLE_CYCLES) {
        if (!virtq_take(&console->control_in, &token, &len)) {
            cpu_pause();
            continue;
        }
        on_message(console, message_of[token], len);
        give_message(console, message_of[token]);
        virtq_publish(&console->control_in);
        last = rdtsc();
    }
}

/* All before DRIVER_OK (3.1.1, step 7): also queues of ports that are added later, or never. */
static bool setup_queues(struct virtio_console *console)
{
    for (uint16_t id = 0; id < CONSOLE_PORTS; id++) {
        struct virtio_console_port *port = &console->port[id];
        uint16_t queue = (uint16_t)(id == 0 ? 0 : 2 * id + 2);

        if (virtq_setup(&port->in, &console->dev, queue, QUEUE_SIZE))
            virtq_setup(&port->out, &console->dev, (uint16_t)(queue + 1), QUEUE_SIZE);
    }
    return virtq_setup(&console->control_in, &console->dev, CONTROL_IN, QUEUE_SIZE) &&
           virtq_setup(&console->control_out, &console->dev, CONTROL_OUT, QUEUE_SIZE);
}

bool virtio_console_open(struct virtio_console *console, unsigned nth)
{
    if (!virtio_find(VIRTIO_ID_CONSOLE, nth, &console->dev) ||
        !virtio_start(&console->dev, F_MULTIPORT) || !(console->dev.features & F_MULTIPORT) ||
        !setup_queues(console))
        return false;
    virtio_driver_ok(&console->dev);
    for (uint8_t i = 0; i < MESSAGES; i++)
        give_message(console, i);
    virtq_publish(&console->control_in);
    tell(console, 0, DEVICE_READY);
    listen(console);
    return true;
}

struct virtio_console_port *virtio_console_port(struct virtio_console *console, const char *name)
{
    for (unsigned i = 0; i < CONSOLE_PORTS; i++)
        if (console->port[i].there && strcmp(console->port[i].name, name) == 0)
            return &console->port[i];
    return NULL;
}

bool virtio_console_write(struct virtio_console_port *port, const void *data, uint32_t len)
{
    return send(&port->out, data, len);
}

uint32_t virtio_console_read(struct virtio_console_port *port, const uint8_t **data)
{
    struct virtq_part part = {port->received, sizeof(port->received), true};
    uint16_t token;
    uint32_t len;

    if (!port->waiting) {
        virtq_add(&port->in, &part, 1);
        virtq_publish(&port->in);
        port->waiting = true;
    }
    if (!virtq_wait(&port->in, &token, &len))
        return 0;
    port->waiting = false;
    *data = port->received;
    return len;
}
