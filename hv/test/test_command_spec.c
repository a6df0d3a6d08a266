/* The description of a command that the guest gets: records, environment, directory. */
#include <errno.h>

#include "firmware/init/wire.h"
#include "hv/command/plan.h"
#include "hv/config.h"
#include "hv/test/command_world.h"
#include "hv/test/run_suite.h"

static struct command_world w;
static struct vm_config config;

static void start(void)
{
    command_world_start(&w);
    config_init(&config);
    clearenv();
}

static void end(void)
{
    config_free(&config);
    command_world_end(&w);
}

/* The records with "|" for their NULs. */
static const char *spec(bool terminal, const char *const *words)
{
    static char text[4096];
    const char *argv[32] = {"run", "-kk"};
    int argc = 2;
    size_t len;
    char *out;

    while (*words)
        argv[argc++] = *words++;
    config_free(&config);
    config_init(&config);
    ck_assert_msg(config_parse_run(&config, argc, (char **)argv) == 0, "%s", w.message);
    ck_assert_int_eq(command_spec(&config, terminal, 24, 80, &out, &len), 0);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_lt(len, sizeof(text));
    ck_assert_int_eq(out[len - 1], '\0');
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(out[i] ? out[i] : '|');
    text[len] = '\0';
    free(out);
    return text;
}

#define SPEC(terminal, ...) spec(terminal, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(records_follow_one_another)
{
    start();
    setenv("PATH", "/bin", 1);
    ck_assert_str_eq(SPEC(false, "--cwd=/w", "--", "ls", "", "-l"),
                     "als|a|a-l|ePATH=/bin|eHOME=/root|eUSER=root|d/w|");
    ck_assert_str_eq(SPEC(true, "--cwd=/w", "--", "ls"),
                     "als|ePATH=/bin|eHOME=/root|eUSER=root|d/w|t24x80|");
    end();
}
END_TEST

START_TEST(some_of_the_environment_is_passed)
{
    const char *text;

    start();
    setenv("TERM", "vt100", 1);
    setenv("LANG", "C.UTF-8", 1);
    setenv("LC_TIME", "C", 1);
    setenv("HOME", "/home/x", 1);
    setenv("USER", "x", 1);
    setenv("SECRET", "s", 1);
    text = SPEC(false, "--", "ls");
    ck_assert_ptr_nonnull(strstr(text, "|eTERM=vt100|"));
    ck_assert_ptr_nonnull(strstr(text, "|eLANG=C.UTF-8|"));
    ck_assert_ptr_nonnull(strstr(text, "|eLC_TIME=C|"));
    ck_assert_ptr_nonnull(strstr(text, "|eHOME=/home/x|"));
    ck_assert_ptr_nonnull(strstr(text, "|eUSER=root|"));
    ck_assert_ptr_nonnull(strstr(text, "|ePATH=/usr/local/sbin:"));
    ck_assert_ptr_null(strstr(text, "SECRET"));
    /* Another root has other homes. */
    text = SPEC(false, "--rootfs", w.dir, "--", "ls");
    ck_assert_ptr_nonnull(strstr(text, "|eHOME=/root|"));
    ck_assert_ptr_nonnull(strstr(text, "|d/|"));
    end();
}
END_TEST

START_TEST(what_the_user_sets_comes_once_and_last)
{
    start();
    setenv("PATH", "/bin", 1);
    setenv("HERE", "h=1", 1);
    ck_assert_str_eq(SPEC(false, "--env=PATH=/x", "--env=HERE", "--env=NONE", "--env=A=1",
                          "--env=USER=u", "--env=A=", "--env=HOME", "--cwd=/", "--", "ls"),
                     "als|ePATH=/x|eHERE=h=1|eUSER=u|eA=|d/|");
    end();
}
END_TEST

START_TEST(the_directory_is_ours_where_the_files_are)
{
    char here[4096], wanted[4200];

    start();
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(wanted, sizeof(wanted), "|d%s|", here);
    ck_assert_ptr_nonnull(strstr(SPEC(false, "--", "ls"), wanted));
    ck_assert_ptr_nonnull(strstr(SPEC(false, "--rootfs=/../", "--", "ls"), wanted));
    ck_assert_ptr_nonnull(strstr(SPEC(false, "--rootfs", w.dir, "--", "ls"), "|d/|"));
    ck_assert_ptr_nonnull(strstr(SPEC(false, "--rootfs", w.dir, "--cwd=/c", "--", "ls"), "|d/c|"));
    end();
}
END_TEST

START_TEST(more_than_the_guest_can_be_told_is_refused)
{
    static char value[WIRE_SPEC_MAX];
    const char *argv[] = {"run", "-kk", "--env", "V", "--", "ls"};
    size_t len;
    char *out;

    start();
    memset(value, 'v', sizeof(value) - 1);
    setenv("V", value, 1);
    ck_assert_int_eq(config_parse_run(&config, 6, (char **)argv), 0);
    ck_assert_int_eq(command_spec(&config, false, 0, 0, &out, &len), -E2BIG);
    ck_assert_ptr_null(out);
    ck_assert_ptr_nonnull(strstr(w.message, "too long"));
    end();
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(records_follow_one_another),
        CASE(some_of_the_environment_is_passed),
        CASE(what_the_user_sets_comes_once_and_last),
        CASE(the_directory_is_ours_where_the_files_are),
        CASE(more_than_the_guest_can_be_told_is_refused),
    };

    return run_suite("command_spec", cases, ARRAY_SIZE(cases));
}
