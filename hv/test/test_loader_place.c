/* The search for a free place, against a search that tries every page: thousands of small worlds.
 */
#include <string.h>

#include "devices/core/util.h"
#include "hv/loader/plan.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

#define PAGE   UINT64_C(4096)
#define PAGES  64 /* of guest-physical space in a random world */
#define WORLDS 20000

static struct gmem mem;
static struct reserved_range reserved[3];
static struct kernel_request req = {.mem = &mem, .reserved = reserved};
static uint32_t seed = 12345;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void random_world(struct place *p)
{
    static uint8_t backing[PAGE]; /* never touched: places are only looked for */
    uint64_t from = below(20), len = 1 + below(25);

    memset(&mem, 0, sizeof(mem));
    ck_assert_int_eq(gmem_add(&mem, from * PAGE, len * PAGE, backing), 0);
    from += len + (below(3) ? below(10) : 0); /* often the two regions touch */
    ck_assert_int_eq(gmem_add(&mem, from * PAGE, (1 + below(20)) * PAGE, backing), 0);
    req.reserved_count = below(4);
    for (unsigned i = 0; i < req.reserved_count; i++)
        reserved[i] =
            (struct reserved_range){below(PAGES) * PAGE + below(2) * 100, below(3) * 3000, "test"};
    *p = (struct place){.req = &req,
                        .avoid = below(PAGES) * PAGE,
                        .size = (1 + below(12)) * PAGE - below(2) * 2047,
                        .align = PAGE << below(3),
                        .min = below(20) * PAGE / 2,
                        .limit = below(PAGES + 4) * PAGE + below(2) * 10};
    p->avoid_end = p->avoid + below(8) * PAGE;
}

static bool is_free(const struct place *p, uint64_t at)
{
    uint64_t end = at + p->size;

    if (at < p->min || end > p->limit || !gmem_contains(&mem, at, p->size))
        return false;
    if (p->avoid < p->avoid_end && p->avoid < end && at < p->avoid_end)
        return false;
    for (unsigned i = 0; i < req.reserved_count; i++) {
        const struct reserved_range *r = &reserved[i];

        if (r->size && r->gpa < end && at < r->gpa + r->size)
            return false;
    }
    return true;
}

START_TEST(place_low_finds_the_lowest_free_place_of_every_world)
{
    unsigned found = 0;

    for (unsigned i = 0; i < WORLDS; i++) {
        struct place p;
        uint64_t at = 0, got = 0;
        bool ok;

        random_world(&p);
        while (at < PAGES * 2 * PAGE && !is_free(&p, at))
            at += p.align;
        ok = place_low(&p, &got);
        ck_assert_msg(ok == is_free(&p, at), "world %u", i);
        ck_assert_msg(!ok || got == at, "world %u: %#lx, not %#lx", i, (long)got, (long)at);
        found += ok;
    }
    ck_assert(found > WORLDS / 10 && found < WORLDS - WORLDS / 10);
}
END_TEST

START_TEST(place_high_finds_the_highest_free_place_of_every_world)
{
    for (unsigned i = 0; i < WORLDS; i++) {
        struct place p;
        uint64_t at = PAGES * 2 * PAGE, got = 0;
        bool ok;

        random_world(&p);
        at = align_down(at, p.align);
        while (at > 0 && !is_free(&p, at))
            at -= p.align;
        ok = place_high(&p, &got);
        ck_assert_msg(ok == is_free(&p, at), "world %u", i);
        ck_assert_msg(!ok || got == at, "world %u: %#lx, not %#lx", i, (long)got, (long)at);
    }
}
END_TEST

START_TEST(extreme_sizes_and_alignments_end_without_a_place)
{
    struct place p;
    uint64_t got;

    random_world(&p);
    p.min = 1;
    p.limit = UINT64_MAX;
    p.size = 1;
    p.align = UINT64_C(1) << 63;
    ck_assert(!place_low(&p, &got));
    p.min = UINT64_MAX - 10;
    ck_assert(!place_low(&p, &got));
    ck_assert(!place_high(&p, &got));
    p.align = 1;
    p.min = 0;
    p.size = UINT64_MAX;
    ck_assert(!place_low(&p, &got));
    ck_assert(!place_high(&p, &got));
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(place_low_finds_the_lowest_free_place_of_every_world),
        CASE(place_high_finds_the_highest_free_place_of_every_world),
        CASE(extreme_sizes_and_alignments_end_without_a_place),
    };

    return run_suite("place", cases, ARRAY_SIZE(cases));
}
