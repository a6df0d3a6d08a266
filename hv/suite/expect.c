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

/* A reader of the expression's outline: how many atoms it comes to. */
struct outline {
    unsigned long total[REGEX_MAX_GROUPS + 1]; /* of each open group */
    unsigned long last;                        /* the atom that a repetition would repeat */
    unsigned depth;
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

/* How often glibc repeats an atom for the operator at *p; 0: it is none. Steps behind it. */
static unsigned long repetition(const char **p)
{
    unsigned long low, high;
    char *end;

    switch (**p) {
    case '*':
    case '?':
        (*p)++;
        return 1;
    case '+':
        (*p)++;
        return 2;
    case '{':
        break;
    default:
        return 0;
    }
    if (!isdigit((unsigned char)(*p)[1]) && (*p)[1] != ',')
        return 0;
    low = strtoul(*p + 1, &end, 10);
    high = low;
    if (*end == ',')
        high = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : (end++, low + 1);
    if (*end != '}')
        return 0;
    *p = end + 1;
    high = high > low ? high : low;
    return high ? high : 1;
}

/* One step over the expression: an atom, a parenthesis or a repetition. */
static const char *outline_step(struct outline *o, const char *p, const char **why)
{
    unsigned long times = repetition(&p);

    if (times) {
        times = times > REGEX_MAX_ATOMS ? REGEX_MAX_ATOMS + 1 : times;
        o->total[o->depth] += o->last * (times - 1);
        o->last *= times;
        return p;
    }
    o->last = 1;
    if (*p == '(') {
        if (o->depth == REGEX_MAX_GROUPS) {
            *why = "too many groups in each other";
            return p;
        }
        o->total[++o->depth] = 0;
        return p + 1;
    }
    if (*p == ')') {
        if (!o->depth) {
            *why = "unmatched )";
            return p;
        }
        o->last = o->total[o->depth--] + 1;
    } else if (*p == '[') {
        p = skip_bracket(p + 1) - 1;
    } else if (*p == '\\' && p[1]) {
        if (isdigit((unsigned char)p[1]))
            *why = "back-references are not supported";
        p++;
    }
    o->total[o->depth] += o->last;
    return p + 1;
}

static const char *too_much(const char *regex)
{
    struct outline o = {0};
    const char *why = NULL;

    if (strlen(regex) > REGEX_MAX)
        return "longer than 500 bytes";
    for (const char *p = regex; *p && !why;) {
        p = outline_step(&o, p, &why);
        if (o.total[o.depth] > REGEX_MAX_ATOMS)
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
