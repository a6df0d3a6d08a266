/*
 * Looking instead of sleeping. Where a wake-up, or an exit of the guest, costs microseconds, a
 * thread that is sure to be needed again at once does better to stay awake. Whether it is sure, the
 * past tells: sleeps that a poller's source ended soon make the look longer, a long sleep ends it.
 * So an idle loop never looks, and sleeps. The loop's thread.
 */
#include "devices/core/loop_poll.h"

#include <stdlib.h>

struct loop_poller {
    struct poll_set *set;
    struct loop_poller *next;
    loop_poll_fn *fn;
    void *opaque;
};

struct loop_poller *poll_add(struct poll_set *set, loop_poll_fn *fn, void *opaque)
{
    struct loop_poller *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct loop_poller){.set = set, .next = set->first, .fn = fn, .opaque = opaque};
    set->first = p;
    return p;
}

void loop_poller_remove(struct loop_poller *poller)
{
    if (!poller)
        return;
    for (struct loop_poller **p = &poller->set->first; *p; p = &(*p)->next) {
        if (*p == poller) {
            *p = poller->next;
            break;
        }
    }
    free(poller);
}

void poll_free(struct poll_set *set)
{
    struct loop_poller *next;

    for (struct loop_poller *p = set->first; p; p = next) {
        next = p->next;
        free(p);
    }
    set->first = NULL;
}

void loop_poller_hit(struct loop_poller *poller)
{
    poller->set->hit = true;
}

static bool tell_all(struct poll_set *set, enum loop_poll what)
{
    bool found = false;

    for (struct loop_poller *p = set->first; p; p = p->next)
        found |= p->fn(p->opaque, what);
    return found;
}

bool poll_end(struct poll_set *set)
{
    if (!set->begun)
        return false;
    set->begun = false;
    return tell_all(set, LOOP_POLL_END);
}

bool poll_spin(struct poll_set *set, const bool *stop)
{
    uint64_t start, now, end;
    bool found = false;

    if (set->ns == 0 || !set->first)
        return false;
    if (!set->begun)
        tell_all(set, LOOP_POLL_BEGIN);
    set->begun = true;
    start = now = loop_now_ns();
    end = start + set->ns;
    while (now < end && now - start < POLL_SLICE_NS && !__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        bool more = tell_all(set, LOOP_POLL_LOOK);

        found |= more;
        now = loop_now_ns();
        if (more)
            end = now + set->ns;
    }
    return found ? true : poll_end(set);
}

void poll_adapt(struct poll_set *set, uint64_t slept_ns)
{
    if (!set->allowed || !set->first)
        return;
    if (slept_ns >= POLL_MAX_NS)
        set->ns = 0;
    else if (!set->hit)
        set->ns /= 2; /* other sources have woken it: looking keeps them waiting */
    else if (set->ns == 0)
        set->ns = POLL_FIRST_NS;
    else
        set->ns = set->ns * 2 < POLL_MAX_NS ? set->ns * 2 : POLL_MAX_NS;
}
