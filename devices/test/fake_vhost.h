/*
 * A vhost-user back end for tests, a thread with one end of a socket pair: agrees, maps guest
 * memory, and answers each request of queue 1 with the bytes of the request. At one message it can
 * be told to do something else.
 */
#ifndef HV_DEVICES_TEST_FAKE_VHOST_H
#define HV_DEVICES_TEST_FAKE_VHOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/core/gmem.h"
#include "devices/virtio/queue.h"

enum fake_vhost_deed {
    FAKE_OBEY,
    FAKE_DIE,        /* closes its socket */
    FAKE_HANG,       /* does not answer, until the other end has closed */
    FAKE_REFUSE,     /* confirms with an error */
    FAKE_WRONG_TYPE, /* answers another question, */
    FAKE_WRONG_SIZE, /* a longer one, */
    FAKE_WRONG_FLAGS /* with no reply flag */
};

#define FAKE_VHOST_QUEUES 2

struct fake_vhost_queue {
    struct virtq q;
    uint64_t desc, used, avail; /* as the front end has them */
    int kick, call;
    bool enabled;
};

struct fake_vhost {
    /* Set before fake_vhost_start. */
    uint64_t features, protocol;
    uint64_t queue_num;
    unsigned at; /* the message at which to do `deed` */
    enum fake_vhost_deed deed;

    int fd, theirs; /* theirs: for the front end, who takes it */
    pthread_t thread;
    struct gmem mem;
    uint64_t front[GMEM_MAX_REGIONS]; /* where the front end has each region */
    struct fake_vhost_queue queue[FAKE_VHOST_QUEUES];
    uint64_t acked;       /* features */
    atomic_uint served;   /* requests */
    atomic_uint messages; /* bit n: message n came */
    atomic_bool running;  /* queue 1 is served */
};

void fake_vhost_init(struct fake_vhost *f);
void fake_vhost_start(struct fake_vhost *f);

/* Waits for its end, which the socket's brings about. */
void fake_vhost_join(struct fake_vhost *f);

#endif
