/*
 * Free places in guest memory: for a relocatable kernel, an initrd, modules. Both searches jump
 * from obstacle to obstacle, so that they end after as many steps as there are obstacles, whatever
 * size and alignment a file asked for. Main thread, at start-up.
 */
#include <assert.h>

#include "devices/core/gmem.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

struct span {
    uint64_t start, end;
};

const struct reserved_range *reserved_in(const struct kernel_request *req, uint64_t start,
                                         uint64_t end)
{
    for (unsigned i = 0; i < req->reserved_count; i++) {
        const struct reserved_range *r = &req->reserved[i];

        if (r->size > 0 && r->gpa < end && start < r->gpa + r->size)
            return r;
    }
    return NULL;
}

/* One range that keeps [gpa, gpa + size) from being used, if there is any. */
static bool obstacle(const struct place *p, uint64_t gpa, struct span *found)
{
    uint64_t end = gpa + p->size;
    const struct reserved_range *r;

    *found = (struct span){p->avoid, p->avoid_end};
    if (p->avoid < p->avoid_end && p->avoid < end && gpa < p->avoid_end)
        return true;
    r = reserved_in(p->req, gpa, end);
    if (r)
        *found = (struct span){r->gpa, r->gpa + r->size};
    return r;
}

/* Where RAM begins above `gpa`; UINT64_MAX: nowhere. */
static uint64_t next_ram(const struct gmem *mem, uint64_t gpa)
{
    for (unsigned i = 0; i < mem->count; i++) {
        if (mem->region[i].gpa > gpa)
            return mem->region[i].gpa;
    }
    return UINT64_MAX;
}

/* The highest end of RAM below `end`; 0: nowhere. */
static uint64_t previous_ram_end(const struct gmem *mem, uint64_t end)
{
    for (unsigned i = mem->count; i-- > 0;) {
        uint64_t ram_end = mem->region[i].gpa + mem->region[i].size;

        if (ram_end < end)
            return ram_end;
    }
    return 0;
}

bool place_low(const struct place *p, uint64_t *gpa)
{
    uint64_t from = p->min;

    assert(p->size > 0 && p->align > 0 && (p->align & (p->align - 1)) == 0);
    for (;;) {
        uint64_t at = align_up(from, p->align);
        struct span blocked;

        if (at < from || !range_fits(at, p->size, p->limit))
            return false;
        if (obstacle(p, at, &blocked)) {
            from = blocked.end;
        } else if (!gmem_contains(p->req->mem, at, p->size)) {
            from = next_ram(p->req->mem, at);
        } else {
            *gpa = at;
            return true;
        }
    }
}

bool place_high(const struct place *p, uint64_t *gpa)
{
    uint64_t end = p->limit;

    assert(p->size > 0 && p->align > 0 && (p->align & (p->align - 1)) == 0);
    for (;;) {
        struct span blocked;
        uint64_t at;

        if (end < p->size)
            return false;
        at = align_down(end - p->size, p->align);
        if (at < p->min)
            return false;
        if (obstacle(p, at, &blocked)) {
            end = blocked.start;
        } else if (!gmem_contains(p->req->mem, at, p->size)) {
            end = previous_ram_end(p->req->mem, at + p->size);
        } else {
            *gpa = at;
            return true;
        }
    }
}
