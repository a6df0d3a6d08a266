/*
 * "Did you mean ...?": the known word that is nearest to a mistyped one, for options, JSON keys,
 * verbs, modes and keys of devices. Pure; any thread.
 */
#ifndef HV_CORE_NEAREST_H
#define HV_CORE_NEAREST_H

#define NEAREST_WORD_MAX 32 /* longer words are not compared: nobody mistypes a name that long */

/* Zero all but `word`, offer each known word, then read `best`. */
struct nearest {
    const char *word; /* what was typed */
    const char *best; /* NULL: nothing is near enough */
    unsigned distance;
};

void nearest_offer(struct nearest *nearest, const char *candidate);

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; at most
 * NEAREST_WORD_MAX bytes each. */
unsigned edit_distance(const char *a, const char *b);

#endif
