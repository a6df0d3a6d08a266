/*
 * How fast a network card moves frames with as little guest as possible: a ring, nothing else. The
 * line it prints, for a job that sends or receives:
 *
 *   net-bench: tx64 pps 310000 KiB/s 19375 kicks 12        (kicks: notifications a 1000 frames)
 *
 * tx64 sends frames of 64 bytes, txtso TCP segments of 64 KiB that the other end has to cut (or
 * not); rx64 and rxtso take what comes: somebody has to send it. Ring 3, polling.
 *
 * Command line: job=NAME; ms=N how long (2000). A receiver's time begins with the first frame.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/kvmclock.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/user.h"
#include "guest-tests/lib/virtio_net.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "netring";

#define F_CSUM       (UINT64_C(1) << 0) /* 5.1.3 */
#define F_GUEST_CSUM (UINT64_C(1) << 1)
#define F_GUEST_TSO4 (UINT64_C(1) << 7)
#define F_HOST_TSO4  (UINT64_C(1) << 11)

#define NEEDS_CSUM   1 /* 5.1.6 */
#define GSO_TCPV4    1

#define SMALL        64
#define HEADERS      54    /* Ethernet, IPv4, TCP */
#define LARGE        65226 /* 45 segments of 1448 bytes behind the headers: below 64 KiB of IP */
#define SEGMENT      1448
#define QUEUE        256
#define TX_BATCH     32
#define RX_BUFFERS   32
#define RX_SIZE      (69632 - 64) /* a multiple of 64 that holds any frame (5.1.6.3.1) */

static struct virtio dev;
static struct virtq queue;
static struct {
    struct virtio_net_hdr header;
    uint8_t frame[LARGE];
} out;
static uint8_t in[RX_BUFFERS][RX_SIZE] __attribute__((aligned(64)));
static uint8_t buffer_of[VIRTQ_MAX]; /* token -> buffer */
static uint64_t limit, frames, bytes, elapsed;

/* The same frame each time; the device only reads it. */
static bool add_frame(uint32_t len)
{
    struct virtq_part part = {&out, (uint32_t)sizeof(out.header) + len, false};

    return virtq_add(&queue, &part, 1) != VIRTQ_NO_TOKEN;
}

static uint32_t tx_len;

static void transmit(void)
{
    uint64_t start = rdtsc();
    uint16_t token;
    uint32_t written;

    while (rdtsc() - start < limit) {
        for (unsigned i = 0; i < TX_BATCH && add_frame(tx_len); i++)
            ;
        virtq_publish(&queue);
        for (; virtq_take(&queue, &token, &written); frames++)
            bytes += tx_len;
    }
    elapsed = rdtsc() - start;
}

static void give_buffer(uint8_t which)
{
    struct virtq_part part = {in[which], RX_SIZE, true};
    uint16_t token = virtq_add(&queue, &part, 1);

    if (token != VIRTQ_NO_TOKEN)
        buffer_of[token] = which;
}

/* Until the time is over that begins with the first frame; some seconds if none comes. */
static void receive(void)
{
    uint64_t begin = rdtsc(), start = 0;
    uint16_t token;
    uint32_t written;

    while (start ? rdtsc() - start < limit : rdtsc() - begin < WAIT_CYCLES) {
        while (virtq_take(&queue, &token, &written)) {
            start = start ? start : rdtsc();
            frames++;
            bytes += written - sizeof(out.header);
            give_buffer(buffer_of[token]);
        }
        virtq_publish(&queue);
    }
    elapsed = start ? rdtsc() - start : 1;
}

/* IPv4 and TCP just good enough to be segmented. To an address that is nobody's. */
static void make_frame(bool large)
{
    static const uint8_t start[] = {
        0x02, 0, 0,  0, 0, 0x99, 0x02, 0, 0, 0, 0,  0x01, 0x08, 0x00, 0x45, 0,    0,    0,   0, 0,
        0x40, 0, 64, 6, 0, 0,    10,   8, 0, 2, 10, 8,    0,    99,   0x12, 0x34, 0x56, 0x78};

    memcpy(out.frame, start, sizeof(start));
    tx_len = large ? LARGE : SMALL;
    out.frame[16] = (uint8_t)((tx_len - 14) >> 8);
    out.frame[17] = (uint8_t)(tx_len - 14);
    out.frame[46] = 0x50; /* TCP: a header of five words */
    out.frame[47] = 0x10; /* ACK */
    if (!large)
        return;
    out.header.flags = NEEDS_CSUM;
    out.header.gso_type = GSO_TCPV4;
    out.header.hdr_len = HEADERS;
    out.header.gso_size = SEGMENT;
    out.header.csum_start = 34;
    out.header.csum_offset = 16;
}

static void run_job(const char *job, bool sends, bool large, uint64_t tsc_khz)
{
    uint64_t us;

    virtio_driver_ok(&dev);
    virtq_listen(&queue, false);
    if (sends) {
        make_frame(large);
        user_run(transmit);
    } else {
        for (uint8_t i = 0; i < RX_BUFFERS; i++)
            give_buffer(i);
        user_run(receive);
    }
    us = elapsed * 1000 / tsc_khz + 1;
    check(frames > 0, "frames pass: %u", (unsigned)frames);
    printf("net-bench: %s pps %u KiB/s %u kicks %u\n", job, (unsigned)(frames * 1000000 / us),
           (unsigned)(bytes * 1000000 / 1024 / us),
           (unsigned)(queue.kicks * UINT64_C(1000) / (frames ? frames : 1)));
}

void guest_main(void)
{
    static const char *const jobs[] = {"tx64", "txtso", "rx64", "rxtso"};
    const char *job = cmdline_text("job");
    unsigned which = 0;

    if (!virtio_find(VIRTIO_ID_NET, 0, &dev))
        skip("no virtio network card");
    if (!kvmclock_start(0))
        skip("no KVM clock, so the counter's frequency is not known");
    limit = cmdline_number("ms", 2000) * kvmclock_tsc_khz(0);
    while (which < 4 && !(job && string_starts_with(job, jobs[which])))
        which++;
    if (!check(which < 4, "the command line has job=tx64, txtso, rx64 or rxtso") ||
        !check(virtio_start(&dev, VIRTIO_F_EVENT_IDX | F_CSUM | F_HOST_TSO4 | F_GUEST_CSUM |
                                      F_GUEST_TSO4),
               "the card starts") ||
        !check(virtq_setup(&queue, &dev, which < 2 ? 1 : 0, QUEUE), "its queue is there"))
        return;
    run_job(jobs[which], which < 2, which % 2 == 1, kvmclock_tsc_khz(0));
}
