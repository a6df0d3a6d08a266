/* The console under hostile drivers: see machine.h. Port 0 prints to nowhere, port 1 echoes, port
 * 2 takes a little at a time. */
#include "devices/virtio/console.h"

#include <stdlib.h>

#include "devices/core/chardev.h"
#include "devices/fuzz/machine.h"
#include "devices/virtio/models.h"

static struct virtio *console;
static struct chardev *chr;
static size_t appetite;

static size_t echo(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    return virtio_console_send(console, 1, buf, len);
}

static void echo_room(void *opaque)
{
    (void)opaque;
    virtio_console_resume(console, 1);
}

static size_t nibble(void *opaque, const uint8_t *buf, size_t len)
{
    size_t n = len < appetite ? len : appetite;

    (void)opaque;
    (void)buf;
    appetite -= n;
    return n;
}

static int create(struct loop *loop, struct virtio **out)
{
    const struct chardev_config nowhere = {.in_fd = -1, .out_fd = -1};
    struct virtio_console_port ports[] = {
        {.console = true},
        {.name = "echo", .data = echo, .room = echo_room},
        {.name = "nibble", .data = nibble},
    };
    int err = virtio_console_create("size=80x25", loop, out);

    if (err)
        return err;
    console = *out;
    appetite = 10;
    ports[0].chr = chr = chardev_create(loop, &nowhere);
    for (unsigned i = 0; i < 3; i++)
        if (virtio_console_add(console, &ports[i]) != (int)i)
            abort();
    return 0;
}

static void event(struct virtio *v, uint8_t what, struct fuzz_input *in)
{
    uint8_t buf[200];
    unsigned port = what & 3;
    size_t len = fuzz_u8(in) % sizeof(buf);

    if (what & 4) {
        appetite = fuzz_u16(in);
        virtio_console_resume(v, port);
    } else if (what & 8) {
        uint16_t columns = fuzz_u16(in);

        virtio_console_resize(v, columns, fuzz_u16(in));
    } else {
        for (size_t i = 0; i < len; i++)
            buf[i] = (uint8_t)i;
        virtio_console_send(v, port, buf, len);
    }
}

static void destroyed(void)
{
    chardev_destroy(chr);
    chr = NULL;
}

const struct fuzz_target fuzz_console = {
    .name = "console", .create = create, .event = event, .destroyed = destroyed};
