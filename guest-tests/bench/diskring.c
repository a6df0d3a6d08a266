/*
 * How fast a virtio disk is, seen from its ring: no kernel, no file system and no scheduler
 * between. Prints a line for each job in the words of images/root-tests/disk-bench.sh, which runs
 * fio:
 *
 *   disk-bench: NAME iops N KiB/s N us MEAN p99 US kicks N irqs N     (the last two for 1000
 * requests)
 *
 * The jobs run in ring 3 and look for completions themselves; in the last one interrupts tell.
 * Command line: ms=N how long each job runs. A second disk is kept busy meanwhile with one request
 * at a time, to see whether a slow disk (hv: iops=1) holds up the first.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/kvmclock.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/user.h"
#include "guest-tests/lib/virtio_blk.h"

const char guest_name[] = "diskring";

#define DEPTH       32
#define LARGE       (128 * 1024)
#define SLOTS_LARGE 4
#define LONGEST_US  65536
#define VECTOR_DISK 0x50

struct job {
    const char *name;
    unsigned depth;
    uint32_t size; /* bytes of a request */
    bool random, by_interrupt;
};

static const struct job jobs[] = {
    {"rand4k-32", 32, 4096, true, false},
    {"rand4k-1", 1, 4096, true, false},
    {"seq128k-4", SLOTS_LARGE, LARGE, false, false},
    {"rand4k-32-irq", 32, 4096, true, true},
};

/* A request in flight: what it is made of, and when it began. */
struct slot {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint64_t start;
    uint8_t *data;
    uint8_t status;
};

static struct virtio_blk disk, other;
static bool have_other;
static uint8_t data[SLOTS_LARGE * LARGE] __attribute__((aligned(4096))); /* or DEPTH * 4 KiB */
static struct slot slots[DEPTH];
static uint8_t slot_of[VIRTQ_MAX]; /* token -> slot */
static uint32_t latency[LONGEST_US];
static volatile uint32_t interrupts;

/* Of the job that runs. */
static const struct job *job;
static uint64_t tsc_khz, run_ms, stop_at, elapsed, position;
static uint64_t done, failed, total_us;

static void on_disk(struct trap_frame *frame)
{
    (void)frame;
    disk.dev.transport->ack_interrupt(&disk.dev);
    interrupts++;
    apic_eoi();
}

/* Knuth's multiplier for 64 bits; its high bits are random enough for positions on a disk. */
static uint64_t next_sector(void)
{
    uint64_t places = disk.sectors * SECTOR / job->size;

    position =
        job->random ? position * UINT64_C(6364136223846793005) + 1442695040888963407 : position + 1;
    return (job->random ? position >> 33 : position) % places * (job->size / SECTOR);
}

static void submit(unsigned number)
{
    struct slot *s = &slots[number];
    struct virtq_part part[] = {
        {&s->header, sizeof(s->header), false}, {s->data, job->size, true}, {&s->status, 1, true}};
    uint16_t token;

    s->header.sector = next_sector();
    s->status = BLK_NO_ANSWER;
    s->start = rdtsc();
    token = virtq_add(&disk.queue, part, 3);
    slot_of[token] = (uint8_t)number;
}

static void account(const struct slot *s)
{
    uint64_t us = (rdtsc() - s->start) * 1000 / tsc_khz;

    done++;
    failed += *(volatile const uint8_t *)&s->status != BLK_OK;
    total_us += us;
    latency[us < LONGEST_US ? us : LONGEST_US - 1]++;
}

/* Takes what is complete, puts new requests in its place while time lasts; returns how many fewer
 * are in flight now. */
static unsigned reap(void)
{
    unsigned fewer = 0, again = 0;
    uint16_t token;
    uint32_t written;

    while (virtq_take(&disk.queue, &token, &written)) {
        account(&slots[slot_of[token]]);
        if (rdtsc() < stop_at) {
            submit(slot_of[token]);
            again++;
        } else {
            fewer++;
        }
    }
    if (again)
        virtq_publish(&disk.queue);
    return fewer;
}

/* As a driver does that sleeps: looks once more after it asked for an interrupt, then waits for it.
 * One that comes at any time after the count was read ends the wait. */
static void wait_for_interrupt(void)
{
    uint32_t before = interrupts;

    virtq_listen(&disk.queue, true);
    if (disk.queue.used->index == disk.queue.last_used)
        while (interrupts == before)
            cpu_pause();
    virtq_listen(&disk.queue, false);
}

/* One request at a time, begun anew whenever it is done. */
static void keep_other_busy(bool first)
{
    static struct slot s;
    static uint8_t sector[SECTOR];
    struct virtq_part part[] = {
        {&s.header, sizeof(s.header), false}, {sector, sizeof(sector), true}, {&s.status, 1, true}};
    uint16_t token;
    uint32_t written;

    if (!have_other || (!first && !virtq_take(&other.queue, &token, &written)))
        return;
    virtq_add(&other.queue, part, 3);
    virtq_publish(&other.queue);
}

static void run_job(void)
{
    uint64_t start = rdtsc();
    unsigned in_flight = job->depth;

    stop_at = start + run_ms * tsc_khz;
    virtq_listen(&disk.queue, false);
    for (unsigned i = 0; i < job->depth; i++)
        submit(i);
    virtq_publish(&disk.queue);
    while (in_flight) {
        if (job->by_interrupt)
            wait_for_interrupt();
        in_flight -= reap();
        keep_other_busy(false);
    }
    elapsed = rdtsc() - start;
}

/* The time within which that share of the requests, in percent, was done. */
static unsigned percentile(unsigned percent)
{
    uint64_t sum = 0;

    for (unsigned us = 0; us < LONGEST_US; us++) {
        sum += latency[us];
        if (sum * 100 >= done * percent)
            return us;
    }
    return LONGEST_US;
}

static void measure(const struct job *which)
{
    uint64_t ms, rate;

    job = which;
    done = failed = total_us = position = 0;
    interrupts = disk.queue.kicks = 0;
    memset(latency, 0, sizeof(latency));
    for (unsigned i = 0; i < job->depth; i++)
        slots[i].data = data + i * job->size;
    if (job->by_interrupt)
        interrupts_on();
    user_run(run_job);
    interrupts_off();
    ms = elapsed / tsc_khz;
    rate = done * 1000 / ms;
    printf("disk-bench: %s iops %u KiB/s %u us %u p99 %u kicks %u irqs %u\n", job->name,
           (unsigned)rate, (unsigned)(rate * job->size / 1024), (unsigned)(total_us / done),
           percentile(99), (unsigned)(disk.queue.kicks * UINT64_C(1000) / done),
           (unsigned)(interrupts * UINT64_C(1000) / done));
    check(failed == 0, "%s: all requests succeed", job->name);
}

void guest_main(void)
{
    if (!virtio_find(VIRTIO_ID_BLOCK, 0, &disk.dev))
        skip("no virtio disk");
    if (!kvmclock_start(0))
        skip("no KVM clock, so the counter's frequency is not known");
    tsc_khz = kvmclock_tsc_khz(0);
    run_ms = cmdline_number("ms", 2000);
    trap_set_handler(VECTOR_DISK, on_disk);
    apic_enable(false);
    disk.dev.transport->route(&disk.dev, VECTOR_DISK);
    if (!check(virtio_blk_open(&disk, 0, VIRTIO_F_EVENT_IDX), "the disk starts") ||
        !check(disk.sectors * SECTOR >= LARGE, "the disk holds the largest request"))
        return;
    have_other = virtio_blk_open(&other, 1, 0);
    keep_other_busy(true);
    for (unsigned i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
        measure(&jobs[i]);
}
