/*
 * A machine for fuzzing virtio devices: bytes become what a hostile driver does. One input is a
 * list of operations (machine.c), on a device behind a transport (transport.c) with a little guest
 * memory between guard pages. Used by libFuzzer (entry.c, `make fuzz T=60`) and, without it,
 * by devices/test/test_fuzz_corpus.c.
 *
 * Thread: one. Memory that is touched outside of guest memory is a fault or a sanitizer's finding;
 * an event loop that never comes to rest is an abort.
 */
#ifndef HV_DEVICES_FUZZ_MACHINE_H
#define HV_DEVICES_FUZZ_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct virtio;

/* What is left of the input; beyond its end all is 0. */
struct fuzz_input {
    const uint8_t *at, *end;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);

struct fuzz_target {
    const char *name; /* of the corpus directory, too */
    bool pci;         /* behind the PCI transport, not the memory-mapped one */
    int (*create)(struct loop *loop, struct virtio **out);

    /* Something happens on the host's side. NULL: nothing does. */
    void (*event)(struct virtio *v, uint8_t what, struct fuzz_input *in);

    /* Requests that are held inside come back, as before a state is saved. NULL: none are. */
    void (*settle)(struct virtio *v);

    void (*destroyed)(void); /* after the device; frees the host's side. May be NULL */

    /* In place of a device and all of the above: takes the input by itself. NULL: a device. */
    void (*run)(struct fuzz_input *in);
};

extern const struct fuzz_target fuzz_queue, fuzz_rng, fuzz_console, fuzz_balloon, fuzz_blk,
    fuzz_net, fuzz_p9, fuzz_pci;

void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t len);

#endif
