/*
 * libFuzzer target for the readers of hv test: the input's first line is a regular expression, the
 * others are the guest's output. `make fuzz T=60` builds and runs it; good seeds are the logs of
 * hv/test/ktap.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "hv/suite/expect.h"
#include "hv/suite/ktap.h"
#include "hv/suite/splat.h"
#include "hv/suite/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct expectation expectation = {.rules = 1};

/* The judges of one boot; `expect` is NULL when the regular expression is bad. */
struct judges {
    struct ktap *ktap;
    struct splats *splats;
    struct expect *expect;
};

static void feed(const struct judges *judges, const char *line, size_t len)
{
    char *text = strndup(line, len), *clean = text_clean(text);

    ktap_feed(judges->ktap, line, len);
    splats_feed(judges->splats, line, len);
    if (judges->expect)
        expect_feed(judges->expect, STREAM_CONSOLE, line, len);
    /* What is clean stays as it is. */
    free(text);
    text = text_clean(clean);
    assert(!strcmp(text, clean));
    free(text);
    free(clean);
}

static void check_ktap(struct ktap *ktap)
{
    struct ktap_result result;
    unsigned count[KTAP_EMPTY + 1] = {0};

    ktap_finish(ktap, &result);
    for (unsigned i = 0; i < result.case_count; i++)
        count[result.cases[i].status]++;
    assert(result.unlisted || (count[KTAP_PASSED] == result.counts.passed &&
                               count[KTAP_FAILED] == result.counts.failed &&
                               count[KTAP_SKIPPED] == result.counts.skipped));
    assert(!ktap_good(&result) || !count[KTAP_CRASHED]);
    ktap_result_free(&result);
}

static void finish(struct judges *judges)
{
    char why[SUITE_REASON_MAX];
    unsigned count;
    struct splat *list;

    check_ktap(judges->ktap);
    list = splats_finish(judges->splats, &count);
    assert(count <= SPLAT_MAX);
    for (unsigned i = 0; i < count; i++)
        assert(strlen(list[i].text) < SPLAT_TEXT_MAX);
    splats_free(list, count);
    if (judges->expect)
        expect_broken(judges->expect, why);
    expect_destroy(judges->expect);
    splats_destroy(judges->splats);
    ktap_destroy(judges->ktap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;
    const char *line = memchr(p, '\n', size);
    struct judges judges = {.ktap = ktap_create(), .splats = splats_create()};
    char *regex = strndup(p, line ? (size_t)(line - p) : size);
    char why[200];

    expectation.rule[0] = (struct line_rule){.regex = regex, .forbid = size & 1};
    if (!expect_bad_regex(regex, why, sizeof(why))) {
        judges.expect = expect_create(&expectation);
        assert(judges.expect);
    }
    for (p = line ? line + 1 : end; p < end; p = line + 1) {
        line = memchr(p, '\n', (size_t)(end - p));
        line = line ? line : end;
        feed(&judges, p, (size_t)(line - p));
    }
    finish(&judges);
    free(regex);
    return 0;
}
