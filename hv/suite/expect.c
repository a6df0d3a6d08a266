/*
 * Rules about lines. Neither a plan's regular expression nor a guest's text may cost hv its memory:
 * back-references and large repetitions are refused, since glibc multiplies the latter out, and the
 * automaton, which glibc grows as it meets new text, is made anew after so many bytes.
 */
#include "hv/suite/expect.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_MATCHED = 4096,
    REGEX_MAX = 500,        /* bytes of an expression */
    REGEX_MAX_ATOMS = 1000, /* of it with its repetitions multiplied out */
    REGEX_MAX_GROUPS = 20,  /* one in the other */
    RENEW_BYTES = 8192,
};

struct rule {
    const struct line_rule *rule;
    regex_t regex;
    bool compiled;
    size_t matched; /* bytes since it was compiled */
    bool met;
};

struct expect {
    struct rule rule[SUITE_MAX_REGEX];
    unsigned count;
    char broken[SUITE_REASON_MAX]; /* by the first forbidden line; "" */
};

/* A group, as far as it was read. */
struct group {
    unsigned long total; /* atoms in it */
    bool may_be_empty;   /* a branch before the last "|" */
    bool empty_so_far;   /* the last branch before its last atom */
};

/* A reader of the expression's outline: how many atoms it comes to. */
struct outline {
    struct group group[REGEX_MAX_GROUPS + 1]; /* the open ones */
    unsigned depth;
    unsigned long last; /* the atom that a repetition would repeat */
    bool last_empty;    /* that may match nothing */
};

/* Behind the "[" of a bracket expression to behind its end. */
static const char *skip_bracket(const char *p)
{
    if (*p == '^')
        p++;
    if (*p == ']')
        p++;
    while (*p && *p != ']') {
        if (p[0] == '[' && p[1] && strchr(".=:", p[1])) {
            char end[] = {p[1], ']', '\0'};
            const char *close = strstr(p + 2, end);

            if (!close)
                return p + strlen(p);
            p = close + 1;
        }
        p++;
    }
    return *p ? p + 1 : p;
}

/* A repetition behind an atom; `times` 0: there is none. */
struct repetition {
    unsigned long times; /* how often glibc writes the atom down for it */
    bool or_not;         /* the least number is 0 */
    bool optional;       /* it is a '?' */
};

/* "{2,3}" and the like; steps behind it. What is no interval is left to regcomp. */
static struct repetition read_interval(const char **p)
{
    unsigned long low, high;
    char *end;

    if (!isdigit((unsigned char)(*p)[1]) && (*p)[1] != ',')
        return (struct repetition){0};
    low = strtoul(*p + 1, &end, 10);
    high = low;
    if (*end == ',')
        high = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : (end++, low + 1);
    if (*end != '}')
        return (struct repetition){0};
    *p = end + 1;
    high = high > low ? high : low;
    return (struct repetition){.times = high ? high : 1, .or_not = low == 0};
}

static struct repetition read_repetition(const char **p)
{
    switch (**p) {
    case '*':
        (*p)++;
        return (struct repetition){.times = 1, .or_not = true};
    case '?':
        (*p)++;
        return (struct repetition){.times = 1, .or_not = true, .optional = true};
    case '+':
        (*p)++;
        return (struct repetition){.times = 2};
    case '{':
        return read_interval(p);
    }
    return (struct repetition){0};
}

/*
 * glibc takes time without end for repetitions of what may be empty, "((a*)+)+", which mean nothing
 * that "a*" does not.
 */
static void outline_repeat(struct outline *o, struct repetition r, const char **why)
{
    if (o->last_empty && !r.optional)
        *why = "repeats what may be empty";
    if (r.times > REGEX_MAX_ATOMS)
        r.times = REGEX_MAX_ATOMS + 1;
    o->group[o->depth].total += o->last * (r.times - 1);
    o->last *= r.times;
    o->last_empty |= r.or_not;
}

static void outline_atom(struct outline *o, unsigned long atoms, bool empty)
{
    struct group *group = &o->group[o->depth];

    group->empty_so_far &= o->last_empty;
    group->total += atoms;
    o->last = atoms;
    o->last_empty = empty;
}

static void outline_branch(struct outline *o)
{
    struct group *group = &o->group[o->depth];

    group->may_be_empty |= group->empty_so_far && o->last_empty;
    group->empty_so_far = o->last_empty = true;
}

static void outline_open(struct outline *o, const char **why)
{
    struct group *outer = &o->group[o->depth];

    if (o->depth == REGEX_MAX_GROUPS) {
        *why = "too many groups in each other";
        return;
    }
    outer->empty_so_far &= o->last_empty;
    o->group[++o->depth] = (struct group){.empty_so_far = true};
    o->last_empty = true;
}

static void outline_close(struct outline *o, const char **why)
{
    if (!o->depth) {
        *why = "unmatched )";
        return;
    }
    outline_branch(o);
    o->depth--;
    outline_atom(o, o->group[o->depth + 1].total + 1, o->group[o->depth + 1].may_be_empty);
}

/* One step over the expression: an atom, a parenthesis or a repetition. */
static const char *outline_step(struct outline *o, const char *p, const char **why)
{
    struct repetition repetition = read_repetition(&p);

    if (repetition.times) {
        outline_repeat(o, repetition, why);
        return p;
    }
    switch (*p) {
    case '(':
        outline_open(o, why);
        break;
    case ')':
        outline_close(o, why);
        break;
    case '|':
        outline_branch(o);
        break;
    case '[':
        outline_atom(o, 1, false);
        return skip_bracket(p + 1);
    case '\\':
        if (isdigit((unsigned char)p[1]))
            *why = "back-references are not supported";
        /* Of letters and quotes some match a place and no character. */
        outline_atom(o, 1, p[1] && strchr("bB<>`'", p[1]));
        return p[1] ? p + 2 : p + 1;
    default:
        outline_atom(o, 1, *p == '^' || *p == '$');
    }
    return p + 1;
}

static const char *too_much(const char *regex)
{
    struct outline o = {.group[0].empty_so_far = true, .last_empty = true};
    const char *why = NULL;

    if (strlen(regex) > REGEX_MAX)
        return "longer than 500 bytes";
    for (const char *p = regex; *p && !why;) {
        p = outline_step(&o, p, &why);
        if (o.group[o.depth].total > REGEX_MAX_ATOMS)
            why = "its repetitions come to more than 1000 parts";
    }
    return why;
}

/*
 * Anchored behind a ".*", so that glibc does not try each place of a line anew, which for "a.*b"
 * takes the square of the line's length. With counted gaps ("a.{12}b") it is the other way round:
 * one pass meets a new state of the automaton at nearly every byte.
 */
static int compile(regex_t *out, const char *regex)
{
    char whole[REGEX_MAX + sizeof("^.*()")];

    snprintf(whole, sizeof(whole), strchr(regex, '{') ? "%s" : "^.*(%s)", regex);
    return regcomp(out, whole, REG_EXTENDED | REG_NOSUB);
}

bool expect_bad_regex(const char *regex, char *why, size_t cap)
{
    const char *reason = too_much(regex);
    regex_t compiled;
    int err;

    if (reason) {
        snprintf(why, cap, "%s", reason);
        return true;
    }
    err = regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB);
    if (err)
        regerror(err, &compiled, why, cap);
    else
        regfree(&compiled);
    return err != 0;
}

struct expect *expect_create(const struct expectation *expectation)
{
    struct expect *expect = calloc(1, sizeof(*expect));

    for (unsigned i = 0; expect && i < expectation->rules; i++) {
        struct rule *rule = &expect->rule[expect->count++];

        rule->rule = &expectation->rule[i];
        rule->compiled = !too_much(rule->rule->regex) && !compile(&rule->regex, rule->rule->regex);
        if (!rule->compiled) {
            expect_destroy(expect);
            return NULL;
        }
    }
    return expect;
}

void expect_destroy(struct expect *expect)
{
    for (unsigned i = 0; expect && i < expect->count; i++)
        if (expect->rule[i].compiled)
            regfree(&expect->rule[i].regex);
    free(expect);
}

static void renew(struct rule *rule)
{
    regfree(&rule->regex);
    rule->matched = 0;
    rule->compiled = !compile(&rule->regex, rule->rule->regex);
}

/* A rule that there is no memory for is never met and never kept: see expect_broken. */
static void match(struct rule *rule, const char *text, size_t len)
{
    int err = regexec(&rule->regex, text, 0, NULL, 0);

    rule->met = err == 0;
    rule->matched += len;
    if (err && err != REG_NOMATCH) {
        regfree(&rule->regex);
        rule->compiled = false;
    } else if (!rule->met && rule->matched > RENEW_BYTES) {
        renew(rule);
    }
}

static const char *const stream_names[STREAM_COUNT] = {
    [STREAM_CONSOLE] = "the console", [STREAM_STDOUT] = "stdout", [STREAM_STDERR] = "stderr"};

void expect_feed(struct expect *expect, enum suite_stream stream, const char *line, size_t len)
{
    char text[LINE_MAX_MATCHED + 1];
    bool copied = false;

    len = len > LINE_MAX_MATCHED ? LINE_MAX_MATCHED : len;
    for (unsigned i = 0; i < expect->count; i++) {
        struct rule *rule = &expect->rule[i];

        if (rule->met || !rule->compiled || rule->rule->stream != stream)
            continue;
        for (size_t j = 0; !copied && j < len; j++)
            text[j] = line[j] ? line[j] : '\x01';
        text[len] = '\0';
        copied = true;
        match(rule, text, len);
        if (rule->met && rule->rule->forbid && !expect->broken[0])
            snprintf(expect->broken, sizeof(expect->broken), "forbidden line on %s: %.200s",
                     stream_names[stream], text);
    }
}

bool expect_broken(const struct expect *expect, char why[SUITE_REASON_MAX])
{
    if (expect->broken[0]) {
        snprintf(why, SUITE_REASON_MAX, "%s", expect->broken);
        return true;
    }
    for (unsigned i = 0; i < expect->count; i++) {
        const struct rule *rule = &expect->rule[i];

        if (!rule->compiled)
            snprintf(why, SUITE_REASON_MAX, "no memory to look for /%.200s/", rule->rule->regex);
        else if (!rule->met && !rule->rule->forbid)
            snprintf(why, SUITE_REASON_MAX, "no line on %s matches /%.200s/",
                     stream_names[rule->rule->stream], rule->rule->regex);
        else
            continue;
        return true;
    }
    return false;
}
