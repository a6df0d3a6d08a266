/* See fake_serial.h. */
#include "devices/test/fake_serial.h"

#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"

void fake_serial_open(struct fake_serial *port, fake_serial_create_fn *create)
{
    struct dev_env env;

    log_set_level(LOG_ERROR);
    memset(port, 0, sizeof(*port));
    fake_console_open(&port->console, NULL);
    env = (struct dev_env){
        .loop = port->console.loop, .console = port->console.chr, .irq = fake_irq_line(&port->irq)};
    ck_assert_int_eq(create(&env, &port->dev), 0);
}

void fake_serial_close(struct fake_serial *port)
{
    dev_destroy(port->dev);
    fake_console_close(&port->console);
}

void fake_serial_type(struct fake_serial *port, const char *text)
{
    fake_console_type(&port->console, text);
    fake_console_run(&port->console, 1);
}

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void *type_much(void *opaque)
{
    struct fake_serial *port = opaque;

    for (unsigned i = 0; i < port->typed;) {
        uint8_t byte = (uint8_t)(i % 251);

        if (write(port->console.in_fd, &byte, 1) == 1)
            i++;
        else
            usleep(10);
    }
    return NULL;
}

void fake_serial_race(struct fake_serial *port, unsigned count)
{
    port->typed = count;
    ck_assert_int_eq(pthread_create(&port->loop, NULL, run_loop, port->console.loop), 0);
    ck_assert_int_eq(pthread_create(&port->typist, NULL, type_much, port), 0);
}

void fake_serial_rest(struct fake_serial *port)
{
    pthread_join(port->typist, NULL);
    loop_stop(port->console.loop);
    pthread_join(port->loop, NULL);
}
