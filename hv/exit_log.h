/*
 * What one vCPU's exits were: counters by reason and by address for the result file, and the last
 * few for the report of a failure. This is the dispatch's one tap: tracing hangs here too.
 *
 * Thread: written by its vCPU's thread only, read when that thread has stopped.
 */
#ifndef HV_EXIT_LOG_H
#define HV_EXIT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define EXIT_LOG_RECENT    16 /* power of two */
#define EXIT_LOG_ADDRESSES 64 /* distinct addresses counted by themselves; power of two */
#define EXIT_LOG_REASONS   48

enum exit_kind { EXIT_KIND_OTHER, EXIT_KIND_PORT, EXIT_KIND_MMIO };

/* One exit as the dispatch saw it. */
struct exit_record {
    uint32_t reason; /* KVM_EXIT_* */
    enum exit_kind kind;
    bool write;
    bool claimed;   /* a device answered */
    uint8_t size;   /* bytes of one access */
    uint32_t count; /* accesses: above 1 for string I/O */
    uint64_t addr;  /* port or GPA */
    uint64_t value; /* written, or returned by a read; the first of several */
    uint64_t rip;   /* 0: not known */
};

struct exit_address {
    uint64_t addr;
    uint64_t reads, writes; /* accesses; both 0: the entry is free */
    enum exit_kind kind;
};

struct exit_log {
    uint64_t total;
    uint64_t by_reason[EXIT_LOG_REASONS];            /* the last one counts all higher reasons */
    struct exit_address address[EXIT_LOG_ADDRESSES]; /* open hash, never resized */
    uint64_t other_addresses;                        /* accesses that found the hash full */
    struct exit_record recent[EXIT_LOG_RECENT];      /* ring; total is its head */
};

void exit_log_add(struct exit_log *log, const struct exit_record *record);

/* Adds `from` to `into` (recent exits apart): the sum over vCPUs. */
void exit_log_merge(struct exit_log *into, const struct exit_log *from);

/* The `n`-th last exit (0: the last), or NULL. */
const struct exit_record *exit_log_recent(const struct exit_log *log, unsigned n);

#endif
