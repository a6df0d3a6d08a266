/*
 * The keys of a plan's own, which hv run does not know (docs/test-plans.md lists them).
 *
 * Thread: main.
 */
#ifndef HV_SUITE_PLAN_KEYS_H
#define HV_SUITE_PLAN_KEYS_H

#include "hv/config_table.h"
#include "hv/suite/plan_file.h"
#include "hv/suite/suite.h"

/* What they fill. */
struct plan_target {
    struct boot_spec *spec;
    const char *command; /* the value's; NULL: none */
    unsigned scale;      /* of limits of time */
};

struct own_key;

/* NULL: none of ours. */
const struct own_key *own_key_find(const char *name);

/* Whether its values may be a matrix'. */
bool own_key_varies(const struct own_key *key);

/* 0; -EINVAL with *why; -ENOMEM. */
int own_key_set(const struct own_key *key, struct plan_target *to, const char *value,
                struct why *why);

/* A plan_entry_check: that there is such a key, ours or hv run's, and that it stands in its stanza
 * once unless it is a list. */
int plan_key_check(const char *path, const struct plan_stanza *stanza,
                   const struct plan_entry *entry);

#endif
