/* Random numbers from the host, by lib/virtio_rng.c: there, not all alike, in buffers of any size.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_rng.h"

const char guest_name[] = "vrng";

#define LARGE  65536
#define CANARY 0xa5

static struct virtio_rng rng;
static uint8_t first[64], second[64], large[LARGE + 1];

/* A source of bits: about half of them are set. Of 512 bits, 100 more or less than half would be
 * nine standard deviations: once in 10^18 runs. */
static bool looks_random(const uint8_t *at, unsigned bytes)
{
    unsigned set = 0;

    for (unsigned i = 0; i < bytes; i++)
        for (unsigned bit = 0; bit < 8; bit++)
            set += at[i] >> bit & 1;
    return set > bytes * 4 - 100 && set < bytes * 4 + 100;
}

/* The device may give less at a time, so what is missing is asked for again. */
static bool fill(uint8_t *at, uint32_t size)
{
    for (uint32_t got = 0; got < size;) {
        uint32_t now = virtio_rng_read(&rng, at + got, size - got);

        if (now == 0 || now > size - got)
            return false;
        got += now;
    }
    return true;
}

static void test_sizes(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 31, 4096, LARGE};

    group_begin("sizes");
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t got;

        memset(large, CANARY, sizeof(large));
        got = virtio_rng_read(&rng, large, sizes[i]);
        check(got >= 1 && got <= sizes[i], "%u bytes asked for, %u given", sizes[i], got);
        check_equal(large[sizes[i]], CANARY, "and none behind them");
    }
    group_end();
}

void guest_main(void)
{
    if (!virtio_find(VIRTIO_ID_RNG, 0, &rng.dev))
        skip("no virtio entropy source");
    if (!check(virtio_rng_open(&rng, 0), "the source starts"))
        return;
    printf("on %s\n", rng.dev.transport->name);
    check(fill(first, sizeof(first)) && fill(second, sizeof(second)), "two times 64 bytes");
    check(memcmp(first, second, sizeof(first)) != 0, "they differ");
    check(looks_random(first, sizeof(first)), "about half of the bits are set");
    check(looks_random(second, sizeof(second)), "in the second 64 bytes, too");
    test_sizes();
}
