/* Result files as facts: what hv writes is taken over, anything else is not believed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hv/suite/facts.h"
#include "hv/test/run_suite.h"

#define GOOD                                                                                       \
    "\"end\": \"poweroff\", \"status\": 0, \"guest_status\": null, \"command\": null, "            \
    "\"detail\": null"

static struct boot_record record;
static struct boot_facts facts;

static void read_text(const char *text, size_t len, int status)
{
    char path[] = "/tmp/hv-test-facts-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
    record = (struct boot_record){
        .status = status, .guest_status = -1, .first_byte_ms = -1, .boot_ms = -1, .total_ms = 9};
    facts = (struct boot_facts){0};
    facts_read("/tmp", path + strlen("/tmp/"), &record, &facts);
    unlink(path);
}

static void good(const char *text, int status)
{
    read_text(text, strlen(text), status);
    ck_assert_msg(facts.complete, "%s", facts.why_not);
}

static void bad(const char *text, int status, const char *why)
{
    read_text(text, strlen(text), status);
    ck_assert_msg(!facts.complete, "believed: %s", text);
    ck_assert_msg(strstr(facts.why_not, why) != NULL, "\"%s\" lacks \"%s\"", facts.why_not, why);
}

START_TEST(a_whole_result_is_taken_over)
{
    good("{" GOOD ", \"first_byte_ms\": 1.5, \"boot_ms\": 20, \"total_ms\": 30.25, "
         "\"deadline\": \"init\", \"console\": {\"bytes\": 5, \"dropped\": 7}, \"new\": [1]}",
         0);
    ck_assert_str_eq(record.end, "poweroff");
    ck_assert_int_eq(record.guest_status, -1);
    ck_assert(record.first_byte_ms > 1.4 && record.first_byte_ms < 1.6);
    ck_assert(record.boot_ms > 19.9 && record.total_ms > 30.2);
    ck_assert_uint_eq(record.dropped, 7);
    ck_assert_uint_eq(facts.lost, 7);
    ck_assert_str_eq(facts.deadline, "init");
    ck_assert(facts.reached_init && !facts.command_status);
}
END_TEST

START_TEST(a_machine_that_never_was_has_no_times)
{
    good("{\"end\": \"vmm-error\", \"status\": 125, \"guest_status\": null, \"command\": null, "
         "\"detail\": \"could not start\"}",
         125);
    ck_assert(record.first_byte_ms < 0 && record.boot_ms < 0);
    ck_assert(record.total_ms > 8.9); /* as measured from outside */
    ck_assert_str_eq(facts.detail, "could not start");
    ck_assert(!facts.reached_init);
}
END_TEST

START_TEST(a_command_tells_how_it_ended)
{
    good("{\"end\": \"poweroff\", \"status\": 3, \"guest_status\": 3, "
         "\"command\": {\"exit\": 3}, \"detail\": null}",
         3);
    ck_assert_int_eq(record.guest_status, 3);
    ck_assert(facts.reached_init && facts.command_status);
    good("{\"end\": \"poweroff\", \"status\": 137, \"guest_status\": 137, "
         "\"command\": {\"signal\": 9}, \"detail\": null}",
         137);
    ck_assert(facts.command_status);
    good("{\"end\": \"poweroff\", \"status\": 127, \"guest_status\": 127, "
         "\"command\": {\"error\": \"not found\"}, \"detail\": null}",
         127);
    ck_assert(facts.command_status);
    /* hv or its init could not run it: not the command's word. */
    good("{\"end\": \"poweroff\", \"status\": 125, \"guest_status\": 125, "
         "\"command\": {\"error\": \"no mount\"}, \"detail\": null}",
         125);
    ck_assert(facts.reached_init && !facts.command_status && !facts.command_125);
    good("{\"end\": \"poweroff\", \"status\": 125, \"guest_status\": 125, "
         "\"command\": {\"exit\": 125}, \"detail\": null}",
         125);
    ck_assert(facts.command_status && facts.command_125);
}
END_TEST

START_TEST(what_does_not_fit_is_not_believed)
{
    bad("", 0, "is empty");
    bad("{" GOOD, 0, "no JSON object");
    bad("[]", 0, "no JSON object");
    bad("{" GOOD "} x", 0, "no JSON object");
    bad("{" GOOD ", \"status\": 0}", 0, "no JSON object");
    bad("{" GOOD "}", 1, "says status 0, and hv ended with 1");
    bad("{}", 0, "lacks \"end\"");
    bad("{\"end\": \"poweroff\"}", 0, "lacks \"status\"");
    bad("{\"end\": 1, \"status\": 0}", 0, "\"end\" is no string");
    bad("{\"end\": \"fine\", \"status\": 0}", 0, "\"end\" is unknown");
    bad("{\"end\": \"none\", \"status\": 125}", 125, "\"end\" is unknown");
    bad("{\"end\": null, \"status\": 0}", 0, "\"end\" is unknown");
    bad("{\"end\": \"reboot\", \"status\": \"0\"}", 0, "\"status\" is no status");
    bad("{\"end\": \"reboot\", \"status\": -1}", -1, "\"status\" is no status");
    bad("{\"end\": \"reboot\", \"status\": 0.0}", 0, "\"status\" is no status");
    bad("{" GOOD ", \"boot_ms\": \"1\"}", 0, "\"boot_ms\" is no number");
    bad("{" GOOD ", \"deadline\": 1}", 0, "\"deadline\" is no string");
    bad("{" GOOD ", \"console\": 1}", 0, "\"console\" is no object");
    bad("{\"end\": \"reboot\", \"status\": 0, \"guest_status\": null, \"command\": 1, "
        "\"detail\": null}",
        0, "\"command\" is no object");
}
END_TEST

START_TEST(a_file_of_any_size_is_bounded)
{
    size_t len = 2 << 20;
    char *text = malloc(len);

    memset(text, ' ', len);
    read_text(text, len, 0);
    ck_assert_str_eq(facts.why_not, "the result file is too large");
    memset(text, '[', 100000);
    read_text(text, 100000, 0);
    ck_assert(!facts.complete);
    free(text);
    facts_read("/nowhere", "x", &record, &facts);
    ck_assert_ptr_nonnull(strstr(facts.why_not, "no result file"));
    facts_read("/dev", "zero", &record, &facts);
    ck_assert(!facts.complete);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_whole_result_is_taken_over),  CASE(a_machine_that_never_was_has_no_times),
        CASE(a_command_tells_how_it_ended),  CASE(what_does_not_fit_is_not_believed),
        CASE(a_file_of_any_size_is_bounded),
    };

    return run_suite("suite_facts", cases, ARRAY_SIZE(cases));
}
