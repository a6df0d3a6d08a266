/* Which boots of a plan are run, and how often: see plan.h. Called by main.c. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/suite/plan.h"

void boot_spec_free(struct boot_spec *spec)
{
    for (char **word = spec->run; word && *word; word++)
        free(*word);
    free(spec->run);
    free(spec->name);
    free(spec->stanza);
    free(spec->expect.end);
    for (unsigned i = 0; i < spec->expect.rules; i++)
        free(spec->expect.rule[i].regex);
    memset(spec, 0, sizeof(*spec));
}

void plan_free(struct plan *plan)
{
    while (plan->count)
        boot_spec_free(&plan->specs[--plan->count]);
    free(plan->specs);
    free(plan->path);
    free(plan->dir);
    memset(plan, 0, sizeof(*plan));
}

static int copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int copy_words(char ***to, char *const *from)
{
    size_t count = 0;
    int err = 0;

    while (from[count])
        count++;
    *to = calloc(count + 1, sizeof(**to));
    for (size_t i = 0; *to && !err && i < count; i++)
        err = copy_text(&(*to)[i], from[i]);
    return *to ? err : -ENOMEM;
}

/* The `n`-th of several: from the second on the name says which it is. */
static int copy_spec(struct boot_spec *to, const struct boot_spec *from, unsigned n)
{
    int err = 0;

    *to = *from;
    to->repeat = 1;
    to->run = NULL;
    to->stanza = to->expect.end = NULL;
    to->expect.rules = 0;
    if (n == 1)
        err = copy_text(&to->name, from->name);
    else if (asprintf(&to->name, "%s#%u", from->name, n) < 0)
        to->name = NULL;
    if (!to->name || err || copy_text(&to->stanza, from->stanza) ||
        copy_text(&to->expect.end, from->expect.end) || copy_words(&to->run, from->run))
        return -ENOMEM;
    for (unsigned i = 0; !err && i < from->expect.rules; i++) {
        err = copy_text(&to->expect.rule[i].regex, from->expect.rule[i].regex);
        to->expect.rules += !err;
    }
    return err;
}

static bool wanted(const struct plan_selection *selection, const char *name)
{
    for (unsigned i = 0; i < selection->filter_count; i++)
        if (fnmatch(selection->filters[i], name, 0) == 0)
            return true;
    return selection->filter_count == 0;
}

static void keep_matching(struct plan *plan, const struct plan_selection *selection)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        if (wanted(selection, plan->specs[i].name))
            plan->specs[kept++] = plan->specs[i];
        else
            boot_spec_free(&plan->specs[i]);
    }
    plan->count = kept;
}

/* How many boots there are when each is run as often as the plan says, and all that `times`. */
static uint64_t repeated(const struct plan *plan, unsigned times)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < plan->count; i++)
        sum += plan->specs[i].repeat;
    return sum * times;
}

static int repeat(struct plan *plan, unsigned times)
{
    struct boot_spec *specs;
    unsigned count = 0;
    int err = 0;

    specs = calloc(repeated(plan, times) + 1, sizeof(*specs));
    if (!specs)
        return -ENOMEM;
    for (unsigned i = 0; i < plan->count; i++)
        for (unsigned n = 1; !err && n <= plan->specs[i].repeat * times; n++)
            err = copy_spec(&specs[count++], &plan->specs[i], n);
    while (plan->count)
        boot_spec_free(&plan->specs[--plan->count]);
    free(plan->specs);
    plan->specs = specs;
    plan->count = count;
    return err;
}

/* Every shards-th, so that the long ones, which tend to stand together, are spread. */
static void keep_shard(struct plan *plan, unsigned shard, unsigned shards)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        if (i % shards == shard - 1)
            plan->specs[kept++] = plan->specs[i];
        else
            boot_spec_free(&plan->specs[i]);
    }
    plan->count = kept;
}

int plan_select(struct plan *plan, const struct plan_selection *selection)
{
    unsigned all = plan->count;

    keep_matching(plan, selection);
    if (plan->count == 0) {
        log_error("%s: none of its %u boots matches --filter %s (hv test --list shows their names)",
                  plan->path, all, selection->filters[0]);
        return -ENOENT;
    }
    if (repeated(plan, selection->repeat) > SUITE_MAX_BOOTS) {
        log_error("%s: repeat makes %llu of its %u boots, and --repeat %u of those; lower one of "
                  "them (at most %d boots are run)",
                  plan->path, (unsigned long long)repeated(plan, 1), plan->count, selection->repeat,
                  SUITE_MAX_BOOTS);
        return -E2BIG;
    }
    if (repeated(plan, selection->repeat) > plan->count && repeat(plan, selection->repeat)) {
        log_error("out of memory");
        return -ENOMEM;
    }
    all = plan->count;
    keep_shard(plan, selection->shard, selection->shards);
    if (plan->count == 0) {
        log_error("--shard %u/%u: holds none of the %u boots", selection->shard, selection->shards,
                  all);
        return -ENOENT;
    }
    return 0;
}
