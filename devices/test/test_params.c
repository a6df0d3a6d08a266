/* key=value lists: what is read, and what the message says when it cannot be. */
#include "devices/core/params.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"

struct disk {
    char *file, *serial;
    bool readonly, share;
    uint64_t size;
    unsigned queues, cache;
    struct param_list forward;
};

static const char *const caches[] = {"writeback", "none", "unsafe", NULL};

#define AT(member) .offset = offsetof(struct disk, member)
static const struct param_row rows[] = {
    {.key = "file", .arg = "PATH", AT(file), .required = true},
    {.key = "serial", .arg = "TEXT", AT(serial), .initial = "none"},
    {.key = "readonly", .arg = "on|off", .type = PARAM_BOOL, AT(readonly)},
    {.key = "share", .arg = "on|off", .type = PARAM_BOOL, AT(share), .initial = "on"},
    {.key = "size", .arg = "BYTES", .type = PARAM_SIZE, AT(size), .min = 512, .max = GIB * KIB},
    {.key = "queues", .arg = "N", .type = PARAM_COUNT, AT(queues), .min = 1, .initial = "1"},
    {.key = "cache", .arg = "HOW", .type = PARAM_CHOICE, AT(cache), .choices = caches},
    {.key = "forward", .arg = "RULE", .type = PARAM_LIST, AT(forward)},
    {.key = NULL},
};

static const struct params disk_params = {rows, sizeof(struct disk), "file"};
static const struct params plain_params = {rows, sizeof(struct disk), NULL};

static struct disk disk;
static char why[200];

static void tear_down(void)
{
    params_free(&disk_params, &disk);
}

static void accept(const char *text)
{
    params_free(&disk_params, &disk);
    ck_assert_msg(params_parse(&disk_params, text, &disk, why, sizeof(why)) == 0, "%s: %s", text,
                  why);
    ck_assert_int_eq(params_check(&disk_params, text, why, sizeof(why)), 0);
}

/* The structure must be empty afterwards, whatever was stored before the mistake. */
static void refuse(const char *text, const char *message)
{
    static const struct disk empty;

    params_free(&disk_params, &disk);
    ck_assert_int_eq(params_parse(&disk_params, text, &disk, why, sizeof(why)), -EINVAL);
    ck_assert_str_eq(why, message);
    ck_assert_mem_eq(&disk, &empty, sizeof(disk));
    why[0] = '\0';
    ck_assert_int_eq(params_check(&disk_params, text, why, sizeof(why)), -EINVAL);
    ck_assert_str_eq(why, message);
}

START_TEST(every_type_is_stored)
{
    accept("file=a.img,serial=x,readonly=on,share=off,size=1M,queues=4,cache=none,forward=a,"
           "forward=b");
    ck_assert_str_eq(disk.file, "a.img");
    ck_assert_str_eq(disk.serial, "x");
    ck_assert(disk.readonly && !disk.share);
    ck_assert_uint_eq(disk.size, MIB);
    ck_assert_uint_eq(disk.queues, 4);
    ck_assert_uint_eq(disk.cache, 1);
    ck_assert_uint_eq(disk.forward.count, 2);
    ck_assert_str_eq(disk.forward.item[0], "a");
    ck_assert_str_eq(disk.forward.item[1], "b");
}
END_TEST

START_TEST(what_is_left_out_has_its_initial_value)
{
    accept("file=a.img");
    ck_assert_str_eq(disk.serial, "none");
    ck_assert(disk.share && !disk.readonly);
    ck_assert_uint_eq(disk.queues, 1);
    ck_assert_uint_eq(disk.size, 0);
    ck_assert_uint_eq(disk.cache, 0);
    ck_assert_uint_eq(disk.forward.count, 0);
}
END_TEST

START_TEST(first_item_without_key_is_the_main_one)
{
    accept("a.img,readonly");
    ck_assert_str_eq(disk.file, "a.img");
    ck_assert(disk.readonly);
    accept("readonly"); /* a file of that name */
    ck_assert_str_eq(disk.file, "readonly");
    params_free(&disk_params, &disk);
    ck_assert_int_eq(params_parse(&plain_params, "a.img", &disk, why, sizeof(why)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "unknown key \"a.img\""));
}
END_TEST

START_TEST(doubled_commas_and_quotes_keep_commas)
{
    accept("file=a,,b.img,readonly");
    ck_assert_str_eq(disk.file, "a,b.img");
    accept("a,,,,b,,");
    ck_assert_str_eq(disk.file, "a,,b,");
    accept("file=\"a,b=c.img\",serial=\"say \"\"no\"\"\"");
    ck_assert_str_eq(disk.file, "a,b=c.img");
    ck_assert_str_eq(disk.serial, "say \"no\"");
    accept("\"x=1,y\",readonly");
    ck_assert_str_eq(disk.file, "x=1,y");
    accept("file=in\"side=x");
    ck_assert_str_eq(disk.file, "in\"side=x");
}
END_TEST

START_TEST(broken_punctuation_is_refused)
{
    refuse("file=\"a.img", "file: the quote is never closed");
    refuse("\"a.img", "the value: the quote is never closed");
    refuse("file=\"a\"b,readonly", "file: a comma is missing before \"b,readonly\"");
    refuse("file=a,", "nothing follows the last comma");
    refuse(",file=a", "file: a value is missing (file=PATH)");
    refuse("file=a,=b", "unknown key \"\"; valid: file, serial, readonly, share, size, queues, "
                        "cache, forward");
}
END_TEST

START_TEST(unknown_key_lists_the_valid_ones_nearest_first)
{
    refuse("a,reedonly=on", "unknown key \"reedonly\"; valid: readonly, file, serial, share, size, "
                            "queues, cache, forward");
    refuse("a,frob", "unknown key \"frob\"; valid: file, serial, readonly, share, size, queues, "
                     "cache, forward");
}
END_TEST

START_TEST(long_rubbish_leaves_room_for_the_list)
{
    char text[600] = "a,";

    memset(text + 2, 'x', sizeof(text) - 3);
    ck_assert_int_eq(params_parse(&disk_params, text, &disk, why, sizeof(why)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "forward"));
}
END_TEST

START_TEST(small_message_buffer_is_not_overrun)
{
    char small[24];

    memset(small, '#', sizeof(small));
    ck_assert_int_eq(params_parse(&disk_params, "a,frob=1", &disk, small, 20), -EINVAL);
    ck_assert_uint_eq(strlen(small), 19);
    ck_assert_mem_eq(small + 20, "####", 4);
}
END_TEST

START_TEST(missing_values_are_refused)
{
    refuse("file=", "file: a value is missing (file=PATH)");
    refuse("file=\"\"", "file: a value is missing (file=PATH)");
    refuse("a,serial", "serial: a value is missing (serial=TEXT)");
    refuse("a,readonly=", "readonly: a value is missing (readonly=on|off)");
    refuse("a,queues=", "queues: a value is missing (queues=N)");
    refuse("", "file is missing (file=PATH)");
    refuse("readonly=on", "file is missing (file=PATH)");
    ck_assert_int_eq(params_check(&disk_params, NULL, why, sizeof(why)), -EINVAL);
}
END_TEST

START_TEST(key_given_twice_is_refused_unless_a_list)
{
    refuse("a,file=b", "file: given twice");
    refuse("a,readonly,readonly", "readonly: given twice");
    refuse("a,queues=1,queues=1", "queues: given twice");
}
END_TEST

START_TEST(list_is_bounded)
{
    char text[400] = "a";

    for (int i = 0; i < PARAM_LIST_MAX; i++)
        strcat(text, ",forward=x");
    accept(text);
    ck_assert_uint_eq(disk.forward.count, PARAM_LIST_MAX);
    strcat(text, ",forward=x");
    refuse(text, "forward: given too often (at most 16 times)");
}
END_TEST

START_TEST(sizes_have_units_and_limits)
{
    accept("a,size=512");
    ck_assert_uint_eq(disk.size, 512);
    accept("a,size=2g");
    ck_assert_uint_eq(disk.size, 2 * GIB);
    accept("a,size=64KiB");
    ck_assert_uint_eq(disk.size, 64 * KIB);
    refuse("a,size=511", "size=511: too small (at least 512B)");
    refuse("a,size=0", "size=0: too small (at least 512B)");
    refuse("a,size=1025G", "size=1025G: too large (at most 1T)");
    refuse("a,size=18446744073709551616", "size=18446744073709551616: too large (at most 1T)");
    refuse("a,size=99999999999T", "size=99999999999T: too large (at most 1T)");
    refuse("a,size=-1", "size=-1: not a size (like 4096, 64K or 2G)");
    refuse("a,size=1Q", "size=1Q: not a size (like 4096, 64K or 2G)");
    refuse("a,size= 1K", "size= 1K: not a size (like 4096, 64K or 2G)");
}
END_TEST

START_TEST(counts_have_limits)
{
    accept("a,queues=4294967295");
    ck_assert_uint_eq(disk.queues, UINT_MAX);
    refuse("a,queues=0", "queues=0: too small (at least 1)");
    refuse("a,queues=4294967296", "queues=4294967296: too large (at most 4294967295)");
    refuse("a,queues=99999999999999999999",
           "queues=99999999999999999999: too large (at most 4294967295)");
    refuse("a,queues=1K", "queues=1K: not a number");
    refuse("a,queues=0x10", "queues=0x10: not a number");
}
END_TEST

START_TEST(booleans_know_eight_words)
{
    static const char *const words[] = {"on", "off", "true", "false", "yes", "no", "1", "0"};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        char text[32];

        snprintf(text, sizeof(text), "a,share=%s", words[i]);
        accept(text);
        ck_assert_int_eq(disk.share, i % 2 == 0);
    }
    refuse("a,share=maybe", "share=maybe: not on or off");
    refuse("a,share=ON", "share=ON: not on or off");
}
END_TEST

START_TEST(choice_lists_what_there_is_nearest_first)
{
    accept("a,cache=writeback");
    ck_assert_uint_eq(disk.cache, 0);
    accept("a,cache=unsafe");
    ck_assert_uint_eq(disk.cache, 2);
    refuse("a,cache=unsave", "cache=unsave: not one of unsafe, writeback, none");
    refuse("a,cache=qqqqqq", "cache=qqqqqq: not one of writeback, none, unsafe");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("params");

    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, every_type_is_stored);
    tcase_add_test(tc, what_is_left_out_has_its_initial_value);
    tcase_add_test(tc, first_item_without_key_is_the_main_one);
    tcase_add_test(tc, doubled_commas_and_quotes_keep_commas);
    tcase_add_test(tc, broken_punctuation_is_refused);
    tcase_add_test(tc, unknown_key_lists_the_valid_ones_nearest_first);
    tcase_add_test(tc, long_rubbish_leaves_room_for_the_list);
    tcase_add_test(tc, small_message_buffer_is_not_overrun);
    tcase_add_test(tc, missing_values_are_refused);
    tcase_add_test(tc, key_given_twice_is_refused_unless_a_list);
    tcase_add_test(tc, list_is_bounded);
    tcase_add_test(tc, sizes_have_units_and_limits);
    tcase_add_test(tc, counts_have_limits);
    tcase_add_test(tc, booleans_know_eight_words);
    tcase_add_test(tc, choice_lists_what_there_is_nearest_first);
    return fake_run(tc);
}
