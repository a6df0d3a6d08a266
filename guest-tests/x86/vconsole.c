/*
 * Named byte streams to the host, by lib/virtio_console.c: port "out" ends in a file of the
 * runner's, and what the runner sends comes on port "in".
 *
 * Command line: `in` says that there is a port "in", on which a line arrives.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_console.h"

const char guest_name[] = "vconsole";

#define MANY 100

static struct virtio_console console;

static bool write_text(struct virtio_console_port *port, const char *text)
{
    return virtio_console_write(port, text, (uint32_t)strlen(text));
}

static void test_out(void)
{
    struct virtio_console_port *port = virtio_console_port(&console, "out");
    unsigned sent = 0;

    if (!check(port != NULL, "a port is called \"out\""))
        return;
    check(port->host_open, "somebody listens at its other end");
    check(write_text(port, "through the port, a line\n"), "a line");
    for (unsigned i = 0; i < MANY; i++)
        sent += write_text(port, i + 1 < MANY ? "0123456789" : "end of many\n");
    check_equal(sent, MANY, "many pieces of one line");
}

/* A stream keeps no boundaries: the line may come in pieces. */
static void test_in(void)
{
    struct virtio_console_port *port = virtio_console_port(&console, "in");
    static char line[CONSOLE_BUFFER];
    const uint8_t *data;
    uint32_t got = 0, now = 0;

    if (!check(port != NULL, "a port is called \"in\""))
        return;
    while (got < sizeof(line) - 1 && (got == 0 || line[got - 1] != '\n')) {
        now = virtio_console_read(port, &data);
        if (now == 0 || now > sizeof(line) - 1 - got)
            break;
        memcpy(line + got, data, now);
        got += now;
    }
    line[got] = '\0';
    check(strcmp(line, "hello, port\n") == 0, "what the host sent arrives: %u bytes", got);
}

void guest_main(void)
{
    if (!virtio_find(VIRTIO_ID_CONSOLE, 0, &console.dev))
        skip("no virtio console");
    if (!check(virtio_console_open(&console, 0), "the device starts"))
        return;
    printf("on %s\n", console.dev.transport->name);
    check(virtio_console_port(&console, "nobody") == NULL, "no port has a name that was not given");
    test_out();
    if (cmdline_has("in"))
        test_in();
}
