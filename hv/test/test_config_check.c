/* config_validate on configurations that no parser made, and the table's own rules. */
#include "hv/config_table.h"
#include "hv/test/config_world.h"
#include "hv/test/run_suite.h"

static struct config_world w;

static void start_valid(void)
{
    world_start(&w);
    w.config.kernel = strdup("bz");
}

static void invalid(const char *part)
{
    w.messages = 0;
    ck_assert_int_lt(config_validate(&w.config), 0);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_msg(strstr(w.message, part) != NULL, "\"%s\" lacks \"%s\"", w.message, part);
}

START_TEST(the_defaults_lack_only_a_kernel)
{
    world_start(&w);
    invalid("--kernel: not given (add -k FILE; see hv help run)");
    w.config.kernel = strdup("bz");
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(a_zeroed_configuration_is_refused)
{
    struct vm_config zero = {0};

    world_start(&w);
    ck_assert_int_lt(config_validate(&zero), 0);
    config_free(&zero);
    world_end(&w);
}
END_TEST

START_TEST(memory_below_above_and_between_pages_is_refused)
{
    static const uint64_t bad[] = {0, 1, CONFIG_MIN_MEMORY - 4096, CONFIG_MIN_MEMORY + 1,
                                   UINT64_MAX};

    start_valid();
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        w.config.memory = bad[i];
        invalid("--memory ");
    }
    w.config.memory = CONFIG_MIN_MEMORY;
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(what_belongs_to_a_command_is_refused_without_one)
{
    struct {
        char **field;
        unsigned *count;
        const char *value;
    } cases[] = {
        {&w.config.rootfs, NULL, "/r"},
        {&w.config.cwd, NULL, "/c"},
        {&w.config.env[0], &w.config.env_count, "A=b"},
        {&w.config.modules, NULL, "/m"},
    };

    start_valid();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        *cases[i].field = strdup(cases[i].value);
        if (cases[i].count)
            *cases[i].count = 1;
        invalid("is for a command, and none is given (add -- CMD)");
        free(*cases[i].field);
        *cases[i].field = NULL;
        if (cases[i].count)
            *cases[i].count = 0;
    }
    world_end(&w);
}
END_TEST

static void share_with_command(const char *text)
{
    config_free(&w.config);
    config_init(&w.config);
    ck_assert_int_eq(PARSE(&w, "-kbz", "--share", text, "--", "ls"), 0);
}

START_TEST(shares_of_a_command_say_where_they_go)
{
    static const char *const bad[] = {"a:b", "a:/", "a://:rw", "\"a,b:c\""};
    static const char *const good[] = {"a:/b", "a:/b:rw", "\"a,b:/c:ro\"", "dir=a,,b:/c"};

    world_start(&w);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        share_with_command(bad[i]);
        invalid("an absolute path other than /");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        share_with_command(good[i]);
        ck_assert_int_eq(config_validate(&w.config), 0);
    }
    share_with_command("a");
    invalid("HOST:GUEST is asked for");
    world_end(&w);
}
END_TEST

static void set_console(const char *serial, const char *virtio)
{
    free(w.config.console);
    w.config.console = strdup(serial);
    free(w.config.virtio_console[0]);
    w.config.virtio_console[0] = strdup(virtio);
    w.config.virtio_console_count = 1;
}

START_TEST(two_readers_of_stdin_are_refused)
{
    start_valid();
    set_console("stdio", "console=stdio");
    invalid("--console stdio is one (add --console none)");
    set_console("none", "console=stdio,port=a:fd:0");
    invalid("stdin can have one reader only");
    set_console("none", "console=stdio");
    ck_assert_int_eq(config_validate(&w.config), 0);
    set_console("stdio", "port=a:fd:3");
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(cpu_counts_out_of_range_are_refused)
{
    start_valid();
    w.config.cpus = 0;
    invalid("--cpus 0: too small");
    w.config.cpus = CONFIG_MAX_CPUS + 1;
    invalid("--cpus 255: too large");
    w.config.cpus = UINT32_MAX;
    invalid("--cpus 4294967295: too large");
    w.config.cpus = CONFIG_MAX_CPUS;
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(enums_beyond_their_names_are_refused)
{
    start_valid();
    w.config.entry = (enum boot_protocol)77;
    invalid("--entry ?: unknown");
    w.config.entry = BOOT_AUTO;
    w.config.hugepages = (enum memory_backing)3;
    invalid("--hugepages ?: unknown");
    world_end(&w);
}
END_TEST

START_TEST(values_that_must_be_there_are_missed)
{
    start_valid();
    free(w.config.console);
    w.config.console = NULL;
    invalid("--console: has no value");
    w.config.console = strdup("stdio");
    w.config.mode = NULL;
    invalid("--mode: has no value");
    world_end(&w);
}
END_TEST

START_TEST(texts_are_checked_again)
{
    start_valid();
    w.config.append = strdup("a\nb");
    invalid("--append ");
    free(w.config.append);
    w.config.append = NULL;
    w.config.initrd[0] = strdup("a");
    w.config.initrd[1] = strdup("");
    w.config.initrd_count = 2;
    invalid("--initrd : must not be empty");
    world_end(&w);
}
END_TEST

START_TEST(timeouts_beyond_the_clock_are_refused)
{
    start_valid();
    w.config.timeout_ms[LIMIT_WHOLE] = UINT64_MAX;
    invalid("--timeout 18446744073709551615ms: too large");
    world_end(&w);
}
END_TEST

START_TEST(both_command_line_options_may_be_given)
{
    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-kbz", "--cmdline=a", "--append=b"), 0);
    ck_assert_int_eq(config_validate(&w.config), 0);
    world_end(&w);
}
END_TEST

START_TEST(table_names_letters_and_keys_are_unique)
{
    for (unsigned i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];

        ck_assert_ptr_eq(option_by_name(row->name, strlen(row->name)),
                         row->role == ROLE_COMMAND ? NULL : row);
        if (row->letter)
            ck_assert_ptr_eq(option_by_letter(row->letter), row);
        if (row->key)
            ck_assert_ptr_eq(option_by_key(row->key), row);
        ck_assert_int_eq(row->type != NULL, row->role == ROLE_SETTING || row->role == ROLE_COMMAND);
    }
    ck_assert_ptr_null(option_by_letter('\0'));
    ck_assert_ptr_null(option_by_name("", 0));
    ck_assert_ptr_null(option_by_name("kernelx", 7));
}
END_TEST

START_TEST(table_keys_follow_the_option_names)
{
    for (unsigned i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];

        for (unsigned j = 0; row->key && row->key[j]; j++)
            ck_assert_int_eq(row->key[j], row->name[j] == '-' ? '_' : row->name[j]);
    }
}
END_TEST

/* What a help function prints; one text at a time. */
static const char *printed(void (*print)(FILE *out))
{
    static char text[32768];
    FILE *out = fmemopen(text, sizeof(text), "w");

    print(out);
    ck_assert_int_eq(ferror(out), 0);
    fclose(out);
    return text;
}

START_TEST(help_shows_examples_first_and_every_option)
{
    const char *text = printed(config_print_help);
    const char *examples = strstr(text, "Examples:"), *options = strstr(text, "--kernel");

    ck_assert(examples && options && examples < options);
    for (unsigned i = 0; i < option_row_count; i++) {
        char option[64];

        snprintf(option, sizeof(option), "  --%s", option_word(&option_rows[i]));
        if (option_rows[i].letter)
            snprintf(option, sizeof(option), "--%s", option_word(&option_rows[i]));
        ck_assert_msg(strstr(text, option) != NULL, "%s is not in the help", option);
    }
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strcspn(line, "\n") <= 80, "long line: %.90s", line);
}
END_TEST

START_TEST(roff_has_no_bare_hyphen_and_no_stray_request)
{
    const char *text = printed(config_print_options_roff);
    char before = '\n';

    for (const char *s = text; *s; before = *s++) {
        ck_assert_msg(*s != '-' || before == '\\', "bare hyphen: %.40s", s);
        if (before == '\n' && *s == '.')
            ck_assert_msg(strncmp(s, ".TP\n", 4) == 0 || strncmp(s, ".SS ", 4) == 0,
                          "stray request: %.40s", s);
    }
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(the_defaults_lack_only_a_kernel),
        CASE(a_zeroed_configuration_is_refused),
        CASE(memory_below_above_and_between_pages_is_refused),
        CASE(what_belongs_to_a_command_is_refused_without_one),
        CASE(shares_of_a_command_say_where_they_go),
        CASE(two_readers_of_stdin_are_refused),
        CASE(cpu_counts_out_of_range_are_refused),
        CASE(enums_beyond_their_names_are_refused),
        CASE(values_that_must_be_there_are_missed),
        CASE(texts_are_checked_again),
        CASE(timeouts_beyond_the_clock_are_refused),
        CASE(both_command_line_options_may_be_given),
        CASE(table_names_letters_and_keys_are_unique),
        CASE(table_keys_follow_the_option_names),
        CASE(help_shows_examples_first_and_every_option),
        CASE(roff_has_no_bare_hyphen_and_no_stray_request),
    };

    return run_suite("config_check", cases, ARRAY_SIZE(cases));
}
