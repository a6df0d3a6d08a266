/* Exit counters: fixed size, so that no guest can make hv grow by touching many addresses. */
#include "hv/exit_log.h"

#include "devices/core/util.h"

/* Finds the entry of an address or a free one; NULL when the table is full of others. */
static struct exit_address *find(struct exit_log *log, enum exit_kind kind, uint64_t addr)
{
    uint64_t slot = (addr ^ addr >> 12 ^ (uint64_t)kind) * UINT64_C(0x9e3779b97f4a7c15) >> 58;

    for (unsigned i = 0; i < EXIT_LOG_ADDRESSES; i++) {
        struct exit_address *a = &log->address[(slot + i) % EXIT_LOG_ADDRESSES];

        if (!a->reads && !a->writes)
            *a = (struct exit_address){.addr = addr, .kind = kind};
        if (a->addr == addr && a->kind == kind)
            return a;
    }
    return NULL;
}

/* A guest that touches ports at random fills the table; the rest is counted in one number. */
static void count_address(struct exit_log *log, enum exit_kind kind, uint64_t addr, uint64_t reads,
                          uint64_t writes)
{
    struct exit_address *a = find(log, kind, addr);

    if (a) {
        a->reads += reads;
        a->writes += writes;
    } else {
        log->other_addresses += reads + writes;
    }
}

void exit_log_add(struct exit_log *log, const struct exit_record *r)
{
    unsigned last = EXIT_LOG_REASONS - 1;

    log->recent[log->total++ % EXIT_LOG_RECENT] = *r;
    log->by_reason[r->reason < last ? r->reason : last]++;
    if (r->kind != EXIT_KIND_OTHER)
        count_address(log, r->kind, r->addr, r->write ? 0 : r->count, r->write ? r->count : 0);
}

/* An address of one vCPU may find the sum's table full: its accesses then count as others. */
void exit_log_merge(struct exit_log *into, const struct exit_log *from)
{
    into->total += from->total;
    into->other_addresses += from->other_addresses;
    for (unsigned i = 0; i < EXIT_LOG_REASONS; i++)
        into->by_reason[i] += from->by_reason[i];
    for (unsigned i = 0; i < EXIT_LOG_ADDRESSES; i++) {
        const struct exit_address *a = &from->address[i];

        if (a->reads || a->writes)
            count_address(into, a->kind, a->addr, a->reads, a->writes);
    }
}

const struct exit_record *exit_log_recent(const struct exit_log *log, unsigned n)
{
    uint64_t kept = log->total < EXIT_LOG_RECENT ? log->total : EXIT_LOG_RECENT;

    return n < kept ? &log->recent[(log->total - 1 - n) % EXIT_LOG_RECENT] : NULL;
}
