/* Names in the kernel's reports, from a list of symbols: what is named, and when nothing may be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/suite/splat_names.h"
#include "hv/symbols.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

static const char map[] = "ffffffff81000000 T _stext\n"
                          "ffffffff81000040 t middle\n"
                          "ffffffff81000100 W last\n"
                          "ffffffff81000180 D data\n";

static struct splat splat[2];

/* The first report's text after names have been added to both. */
static const char *named(const char *text, const char *other, bool fixed)
{
    struct symbols symbols = {.image.fd = -1};

    world_reset();
    ck_assert_int_eq(symbols_open(&symbols, file_of(map, strlen(map))), 0);
    ck_assert_int_eq(symbols_load(&symbols), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(splat); i++)
        free(splat[i].text);
    splat[0].text = strdup(text);
    splat[1].text = strdup(other);
    splat_names_add(splat, ARRAY_SIZE(splat), &symbols, fixed);
    symbols_close(&symbols);
    return splat[0].text;
}

START_TEST(addresses_get_their_names)
{
    ck_assert_str_eq(named("RIP: 0010:0xffffffff81000040\n"
                           " [<ffffffff81000040>] ? 0xffffffff81000040\n"
                           " 0xffffffff81000050\nno end",
                           "", true),
                     "RIP: 0010:0xffffffff81000040 middle+0x0/0xc0\n"
                     " [<ffffffff81000040>] _stext+0x40/0x40 ? 0xffffffff81000040\n"
                     " 0xffffffff81000050 middle+0x10/0xc0\nno end");
}
END_TEST

START_TEST(what_is_no_address_of_the_kernel_stays)
{
    static const char text[] =
        "RAX: 0000000000000000 RBX: ffffffff8100004 RCX: 1ffffffff81000040\n"
        "RDX: ffffffff81000040a RSI: xffffffff81000040 RDI: ffffffffa0000000\n"
        "func+0x1/0x2 0xffffffff810000401\n\n";

    ck_assert_str_eq(named(text, "", true), text);
    ck_assert_str_eq(named("", "", true), "");
}
END_TEST

START_TEST(a_kernel_that_moved_is_named_by_its_own_word)
{
    static const char moved[] = "Kernel Offset: 0x1c000000 from 0xffffffff81000000\n";

    ck_assert_str_eq(named(" 0xffffffff9d000050\n", moved, false),
                     " 0xffffffff9d000050 middle+0x10/0xc0\n");
    ck_assert_str_eq(named(" 0xffffffff81000050\n", moved, true), " 0xffffffff81000050\n");
    ck_assert_str_eq(named(" 0xffffffff81000050\n", "Kernel Offset: disabled\n", false),
                     " 0xffffffff81000050 middle+0x10/0xc0\n");
}
END_TEST

START_TEST(nothing_is_named_when_nobody_knows_where_it_lies)
{
    ck_assert_str_eq(named(" 0xffffffff81000050\n", "", false), " 0xffffffff81000050\n");
    ck_assert_str_eq(named(" 0xffffffff81000050\n", "Kernel Offset: what?\n", false),
                     " 0xffffffff81000050\n");
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(addresses_get_their_names),
        CASE(what_is_no_address_of_the_kernel_stays),
        CASE(a_kernel_that_moved_is_named_by_its_own_word),
        CASE(nothing_is_named_when_nobody_knows_where_it_lies),
    };

    return run_suite("suite-names", cases, ARRAY_SIZE(cases));
}
