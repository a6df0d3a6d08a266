/* The command line of `hv run`: every option good and bad, and how options meet each other. */
#include <errno.h>

#include "hv/mode.h"
#include "hv/test/config_world.h"
#include "hv/test/run_suite.h"

static struct config_world w;

START_TEST(defaults_are_a_small_machine_on_stdio)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-k", "bz"), 0);
    ck_assert_str_eq(w.config.kernel, "bz");
    ck_assert_uint_eq(w.config.initrd_count, 0);
    ck_assert_ptr_null(w.config.append);
    ck_assert_ptr_null(w.config.cmdline);
    ck_assert_uint_eq(w.config.memory, 256 * MIB);
    ck_assert_uint_eq(w.config.cpus, 1);
    ck_assert_ptr_eq(w.config.mode, mode_find("pv"));
    ck_assert_int_eq(w.config.entry, BOOT_AUTO);
    ck_assert_int_eq(w.config.hugepages, BACKING_THP);
    ck_assert_str_eq(w.config.console, "stdio");
    ck_assert_uint_eq(w.config.console_limit, GIB);
    ck_assert_uint_eq(w.config.timeout_ms[LIMIT_WHOLE], 0);
    ck_assert_ptr_null(w.config.result);
    ck_assert_int_eq(strncmp(w.config.name, "hv-", 3), 0);
    ck_assert(w.config.coalesce && !w.config.print_config && !w.config.verbose);
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(each_long_option_reaches_its_field)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "--kernel", "bz", "--initrd=a", "--initrd", "b", "--append=x y",
                           "--cmdline", "c=d", "--memory=1G", "--cpus", "4", "--mode=pv",
                           "--entry=pvh", "--hugepages", "2M", "--console=log",
                           "--console-limit=1M", "--timeout", "90", "--result=r.json", "--name=n",
                           "--uuid=01234567-89ab-cdEF-0123-456789abcdef", "--set-reg", "rip=0x10",
                           "--coalesce=off", "--print-config", "--verbose"),
                     0);
    ck_assert_str_eq(w.config.kernel, "bz");
    ck_assert_uint_eq(w.config.initrd_count, 2);
    ck_assert_str_eq(w.config.initrd[0], "a");
    ck_assert_str_eq(w.config.initrd[1], "b");
    ck_assert_str_eq(w.config.append, "x y");
    ck_assert_str_eq(w.config.cmdline, "c=d");
    ck_assert_uint_eq(w.config.memory, GIB);
    ck_assert_uint_eq(w.config.cpus, 4);
    ck_assert_int_eq(w.config.entry, BOOT_PVH);
    ck_assert_int_eq(w.config.hugepages, BACKING_HUGE_2M);
    ck_assert_str_eq(w.config.console, "log");
    ck_assert_uint_eq(w.config.console_limit, MIB);
    ck_assert_uint_eq(w.config.timeout_ms[LIMIT_WHOLE], 90000);
    ck_assert_str_eq(w.config.result, "r.json");
    ck_assert_str_eq(w.config.name, "n");
    ck_assert_mem_eq(w.config.uuid,
                     "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
    ck_assert_uint_eq(w.config.set_reg_count, 1);
    ck_assert_str_eq(w.config.set_regs[0], "rip=0x10");
    ck_assert(!w.config.coalesce && w.config.print_config && w.config.verbose);
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(letters_take_values_attached_or_next)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-kbz", "-i", "a", "-ib", "-m64", "-c", "2", "-a", "-x", "-vv"), 0);
    ck_assert_str_eq(w.config.kernel, "bz");
    ck_assert_uint_eq(w.config.initrd_count, 2);
    ck_assert_uint_eq(w.config.memory, 64 * MIB);
    ck_assert_uint_eq(w.config.cpus, 2);
    ck_assert_str_eq(w.config.append, "-x");
    ck_assert(w.config.verbose);
    ck_assert_int_eq(PARSE(&w, "-vkbz"), 0);
    ck_assert_str_eq(w.config.kernel, "bz");
    ck_assert(w.config.verbose);
    world_end(&w);
}
END_TEST

START_TEST(a_value_may_hold_an_equals_sign_or_be_empty)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "--append=a=b", "--cmdline="), 0);
    ck_assert_str_eq(w.config.append, "a=b");
    ck_assert_str_eq(w.config.cmdline, "");
    world_end(&w);
}
END_TEST

START_TEST(every_entry_and_page_size_has_its_name)
{
    static const char *const entries[] = {"auto", "linux64", "linux32", "pvh", "multiboot"};
    static const char *const pages[] = {"off", "2M", "1G"};

    world_start(&w);
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        ck_assert_int_eq(PARSE(&w, "--entry", entries[i]), 0);
        ck_assert_uint_eq((unsigned)w.config.entry, i);
        /* The loader's messages and the option must speak of the same thing. */
        ck_assert_str_eq(boot_protocol_name(w.config.entry), entries[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        ck_assert_int_eq(PARSE(&w, "--hugepages", pages[i]), 0);
        ck_assert_uint_eq((unsigned)w.config.hugepages, i);
    }
    world_end(&w);
}
END_TEST

START_TEST(unknown_options_name_the_nearest)
{
    world_start(&w);
    REFUSED(&w, "--memroy: unknown option (did you mean --memory?)", "--memroy", "1");
    REFUSED(&w, "--mem: unknown option (did you mean --memory?)", "--mem=1");
    REFUSED(&w, "--frobnicate: unknown option; see hv help run", "--frobnicate");
    REFUSED(&w, "-kernel: unknown option (did you mean --kernel?)", "-kernel", "bz");
    REFUSED(&w, "-x: unknown option", "-x");
    REFUSED(&w, "-x: unknown option", "-vx");
    REFUSED(&w, "unknown option", "--=x");
    REFUSED(&w, "unknown option",
            "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    world_end(&w);
}
END_TEST

START_TEST(words_that_are_no_options_are_refused)
{
    world_start(&w);
    REFUSED(&w, "\"bz\": not an option (a kernel is given with -k)", "bz");
    REFUSED(&w, "\"-\": not an option", "-");
    REFUSED(&w, "\"\": not an option", "");
    world_end(&w);
}
END_TEST

START_TEST(what_follows_two_dashes_is_the_command)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-kbz", "--", "ls", "-k", "--", "", "--help"), 0);
    ck_assert_uint_eq(w.config.command_count, 5);
    ck_assert_str_eq(w.config.command[0], "ls");
    ck_assert_str_eq(w.config.command[1], "-k");
    ck_assert_str_eq(w.config.command[2], "--");
    ck_assert_str_eq(w.config.command[3], "");
    ck_assert_str_eq(w.config.command[4], "--help");
    ck_assert_uint_eq(w.config.command_size, 3 + 3 + 3 + 1 + 7);
    ck_assert_int_eq(config_validate(&w.config), 0);
    REFUSED(&w, "--: no command follows", "-kbz", "--");
    REFUSED(&w, "-- : the command must not be empty", "-kbz", "--", "");
    REFUSED(&w, "--command: unknown option", "--command", "ls");
    world_end(&w);
}
END_TEST

START_TEST(a_command_is_as_long_as_the_guest_can_be_told)
{
    static char *argv[70002];
    int argc = 0;

    world_start(&w);
    argv[argc++] = (char *)"run";
    argv[argc++] = (char *)"--";
    while (argc < 70002)
        argv[argc++] = (char *)"0123456789012345678901234567";
    ck_assert_int_eq(config_parse_run(&w.config, argc, argv), -EINVAL);
    ck_assert_ptr_nonnull(strstr(w.message, "too long (at most 2097152 bytes in all)"));
    config_free(&w.config);
    config_init(&w.config);
    ck_assert_int_eq(config_parse_run(&w.config, 69905, argv), 0);
    ck_assert_uint_eq(w.config.command_count, 69903);
    world_end(&w);
}
END_TEST

START_TEST(options_of_a_command_need_one)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-kbz", "--rootfs", "r", "--cwd=/d", "--env", "A=b", "--env=C",
                           "--modules", "m", "--share=a:/b:rw", "--", "x"),
                     0);
    ck_assert_str_eq(w.config.rootfs, "r");
    ck_assert_str_eq(w.config.cwd, "/d");
    ck_assert_uint_eq(w.config.env_count, 2);
    ck_assert_str_eq(w.config.env[0], "A=b");
    ck_assert_str_eq(w.config.env[1], "C");
    ck_assert_str_eq(w.config.modules, "m");
    ck_assert_int_eq(config_validate(&w.config), 0);
    REFUSED(&w, "--rootfs : must not be empty", "--rootfs=");
    REFUSED(&w, "--cwd d: not an absolute path", "--cwd=d");
    REFUSED(&w, "--env =x: not NAME=VALUE", "--env==x");
    REFUSED(&w, "--env : not NAME=VALUE", "--env=");
    world_end(&w);
}
END_TEST

START_TEST(missing_and_superfluous_values_are_refused)
{
    world_start(&w);
    REFUSED(&w, "--kernel: needs a value, FILE", "-k");
    REFUSED(&w, "--kernel: needs a value, FILE", "--kernel");
    REFUSED(&w, "--config: needs a value, FILE", "--config");
    REFUSED(&w, "--verbose: takes no value", "--verbose=on");
    REFUSED(&w, "--print-config: takes no value", "--print-config=");
    world_end(&w);
}
END_TEST

START_TEST(an_option_given_twice_is_refused)
{
    world_start(&w);
    REFUSED(&w, "--kernel b: given twice", "-ka", "-kb");
    REFUSED(&w, "--memory 2: given twice", "--memory=1", "-m2");
    REFUSED(&w, "--config b: given twice", "--config", "a", "--config", "b");
    ck_assert_int_eq(PARSE(&w, "-v", "-v", "--verbose"), 0);
    world_end(&w);
}
END_TEST

START_TEST(numbers_out_of_range_say_the_limit)
{
    world_start(&w);
    REFUSED(&w, "--memory 1: too small (at least 16M)", "-m1");
    REFUSED(&w, "--memory 0: too small (at least 16M)", "-m0");
    REFUSED(&w, "--memory 1B: too small", "-m1B");
    REFUSED(&w, "--memory 17592186044416: too large (at most 8T)", "-m", "17592186044416");
    REFUSED(&w, "--memory 9T: too large (at most 8T)", "-m9T");
    REFUSED(&w, "--memory 100MB: not a multiple of 4K", "-m100MB");
    REFUSED(&w, "--memory -1: not a size", "-m-1");
    REFUSED(&w, "--memory : not a size", "--memory=");
    REFUSED(&w, "--cpus 0: too small (at least 1)", "-c0");
    REFUSED(&w, "--cpus 255: too large (at most 254)", "-c255");
    REFUSED(&w, "--cpus 4294967297: too large", "-c4294967297");
    REFUSED(&w, "--cpus 99999999999999999999: too large", "-c99999999999999999999");
    REFUSED(&w, "--cpus 2x: not a number", "-c2x");
    REFUSED(&w, "--cpus -1: not a number", "-c-1");
    REFUSED(&w, "--console-limit 1B: too small (at least 4K)", "--console-limit=1B");
    REFUSED(&w, "--console-limit 16777215T: too large", "--console-limit=16777215T");
    REFUSED(&w, "--timeout 8761h: too large (at most 8760h)", "--timeout=8761h");
    REFUSED(&w, "--timeout soon: not a time", "--timeout=soon");
    ck_assert_int_eq(PARSE(&w, "-m16", "-c254", "--console-limit=0", "--timeout=8760h"), 0);
    ck_assert_int_eq(PARSE(&w, "-m8T", "-c1", "--console-limit=4K", "--timeout=1ms"), 0);
    world_end(&w);
}
END_TEST

START_TEST(texts_against_their_rule_are_refused)
{
    char name[66];

    memset(name, 'n', 65);
    name[65] = '\0';
    world_start(&w);
    REFUSED(&w, "--kernel : must not be empty", "-k", "");
    REFUSED(&w, "--initrd : must not be empty", "--initrd=");
    REFUSED(&w, "--result : must not be empty", "--result=");
    REFUSED(&w, "--console : must not be empty", "--console=");
    REFUSED(&w, "holds a control character (0x0a, at byte 1)", "-a", "a\nb");
    REFUSED(&w, "holds a control character (0x1b, at byte 0)", "--cmdline", "\x1b[2J");
    REFUSED(&w, "unknown mode (known: pv)", "--mode", "full");
    REFUSED(&w, "--entry bios: unknown (one of auto|", "--entry", "bios");
    REFUSED(&w, "--hugepages 4K: unknown (one of off|2M|1G)", "--hugepages", "4K");
    REFUSED(&w, "--coalesce yes: must be on or off", "--coalesce=yes");
    REFUSED(&w, "1 to 64 characters", "--name=");
    REFUSED(&w, "1 to 64 characters", "--name", name);
    REFUSED(&w, "must not start with \".\"", "--name=..");
    REFUSED(&w, "must not start with \"-\"", "--name=-a");
    REFUSED(&w, "only letters, digits", "--name=a/b");
    REFUSED(&w, "only letters, digits", "--name=\xc3\xa9");
    REFUSED(&w, "--set-reg rip: not NAME=VALUE", "--set-reg=rip");
    REFUSED(&w, "--set-reg frob=1: not NAME=VALUE", "--set-reg=frob=1");
    ck_assert_int_eq(PARSE(&w, "--name", name + 1, "-a\ttab", "--coalesce=on"), 0);
    world_end(&w);
}
END_TEST

START_TEST(uuids_of_another_shape_are_refused)
{
    world_start(&w);
    REFUSED(&w, "not a UUID", "--uuid=");
    REFUSED(&w, "not a UUID", "--uuid=01234567-89ab-cdef-0123-456789abcde");
    REFUSED(&w, "not a UUID", "--uuid=01234567-89ab-cdef-0123-456789abcdef0");
    REFUSED(&w, "not a UUID", "--uuid=01234567-89ab-cdef-0123-456789abcdeg");
    REFUSED(&w, "not a UUID", "--uuid=0123456789abcdef0123456789abcdef----");
    REFUSED(&w, "not a UUID", "--uuid=01234567-89ab-cdef-0123x456789abcdef");
    world_end(&w);
}
END_TEST

START_TEST(lists_have_a_longest_length)
{
    const char *words[2 * CONFIG_MAX_INITRDS + 3];
    unsigned n = 0;

    world_start(&w);
    for (unsigned i = 0; i < CONFIG_MAX_INITRDS; i++) {
        words[n++] = "-i";
        words[n++] = "f";
    }
    words[n] = NULL;
    ck_assert_int_eq(world_parse(&w, words), 0);
    ck_assert_uint_eq(w.config.initrd_count, CONFIG_MAX_INITRDS);
    words[n++] = "-i";
    words[n++] = "f";
    words[n] = NULL;
    ck_assert_int_lt(world_parse(&w, words), 0);
    ck_assert_pstr_eq(w.message, "--initrd f: too many (at most 16)");
    world_end(&w);
}
END_TEST

START_TEST(the_command_line_overrides_the_file_wherever_it_stands)
{
    static const char text[] =
        "{\"kernel\": \"file\", \"memory\": \"1G\", \"initrd\": [\"a\", \"b\"],"
        " \"verbose\": true, \"append\": \"x\"}";
    const char *path;

    world_start(&w);
    path = world_file(&w, text, strlen(text));
    for (unsigned i = 0; i < 2; i++) {
        if (i)
            ck_assert_int_eq(PARSE(&w, "--config", path, "-kline", "-ic"), 0);
        else
            ck_assert_int_eq(PARSE(&w, "-kline", "-ic", "--config", path), 0);
        ck_assert_str_eq(w.config.kernel, "line");
        ck_assert_uint_eq(w.config.memory, GIB);
        ck_assert_uint_eq(w.config.initrd_count, 1);
        ck_assert_str_eq(w.config.initrd[0], "c");
        ck_assert_str_eq(w.config.append, "x");
        ck_assert(w.config.verbose);
    }
    world_end(&w);
}
END_TEST

START_TEST(names_and_uuids_differ_unless_given)
{
    struct vm_config a, b;

    config_init(&a);
    config_init(&b);
    ck_assert_mem_ne(a.uuid, b.uuid, sizeof(a.uuid));
    ck_assert_uint_eq(a.uuid[6] >> 4, 4); /* RFC 4122, section 4.4 */
    ck_assert_uint_eq(a.uuid[8] >> 6, 2);
    config_free(&a);
    config_free(&b);
    config_free(&b); /* and once more does no harm */
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(defaults_are_a_small_machine_on_stdio),
        CASE(each_long_option_reaches_its_field),
        CASE(letters_take_values_attached_or_next),
        CASE(a_value_may_hold_an_equals_sign_or_be_empty),
        CASE(every_entry_and_page_size_has_its_name),
        CASE(unknown_options_name_the_nearest),
        CASE(words_that_are_no_options_are_refused),
        CASE(what_follows_two_dashes_is_the_command),
        CASE(a_command_is_as_long_as_the_guest_can_be_told),
        CASE(options_of_a_command_need_one),
        CASE(missing_and_superfluous_values_are_refused),
        CASE(an_option_given_twice_is_refused),
        CASE(numbers_out_of_range_say_the_limit),
        CASE(texts_against_their_rule_are_refused),
        CASE(uuids_of_another_shape_are_refused),
        CASE(lists_have_a_longest_length),
        CASE(the_command_line_overrides_the_file_wherever_it_stands),
        CASE(names_and_uuids_differ_unless_given),
    };

    return run_suite("config_parse", cases, ARRAY_SIZE(cases));
}
