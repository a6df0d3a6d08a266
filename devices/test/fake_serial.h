/* A serial chip with a console and an interrupt line, for the tests of all such chips. */
#ifndef HV_TEST_FAKE_SERIAL_H
#define HV_TEST_FAKE_SERIAL_H

#include <pthread.h>

#include "devices/test/fake.h"

struct fake_serial {
    struct fake_console console;
    struct fake_irq irq;
    struct dev *dev;
    pthread_t loop, typist;
    unsigned typed; /* what the typist has to write */
};

typedef int fake_serial_create_fn(const struct dev_env *env, struct dev **out);

void fake_serial_open(struct fake_serial *port, fake_serial_create_fn *create);
void fake_serial_close(struct fake_serial *port);

/* The host's side sends `text`, and the loop turns once. */
void fake_serial_type(struct fake_serial *port, const char *text);

/* From here to fake_serial_rest the loop runs on a thread of its own, and another one sends `count`
 * bytes: i % 251, i from 0 up. */
void fake_serial_race(struct fake_serial *port, unsigned count);
void fake_serial_rest(struct fake_serial *port);

#endif
