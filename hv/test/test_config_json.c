/* The configuration as JSON: written, read back, and files that no one should have written. */
#include <sys/stat.h>

#include "hv/test/config_world.h"
#include "hv/test/run_suite.h"

static struct config_world w;

static int read_bytes(const void *data, size_t len)
{
    const char *path = world_file(&w, data, len);

    w.message[0] = '\0';
    w.messages = 0;
    config_free(&w.config);
    config_init(&w.config);
    return config_read_json(&w.config, path);
}

static int read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

/* The message is "PATH:PLACE..." and has `part` in it. */
static void refused(const char *text, const char *place, const char *part)
{
    ck_assert_int_lt(read_text(text), 0);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_int_eq(strncmp(w.message, w.path, strlen(w.path)), 0);
    ck_assert_msg(strncmp(w.message + strlen(w.path), place, strlen(place)) == 0,
                  "\"%s\" is not at \"%s\"", w.message, place);
    ck_assert_msg(strstr(w.message, part) != NULL, "\"%s\" lacks \"%s\"", w.message, part);
}

/* Written, read into a fresh configuration and written again, the text is the same. */
static void round_trip(const char *const *words)
{
    char *first, *second;

    ck_assert_int_eq(world_parse(&w, words), 0);
    first = world_json(&w.config);
    ck_assert_msg(read_text(first) == 0, "%s", w.message);
    second = world_json(&w.config);
    ck_assert_str_eq(first, second);
    free(first);
    free(second);
}

#define ROUND_TRIP(...) round_trip((const char *const[]){__VA_ARGS__, NULL})

START_TEST(every_option_survives_the_round_trip)
{
    world_start(&w);
    ROUND_TRIP("-kbz");
    ROUND_TRIP("-k", "a \"quoted\" \\ path\n", "-i", "\xc3\xa9", "-i", "\t");
    ROUND_TRIP("--append=", "--cmdline=");
    ROUND_TRIP("--append=a\tb", "--cmdline=c \\\" d");
    ROUND_TRIP("-m16777216B", "--console-limit=4097B", "--timeout=1ms");
    ROUND_TRIP("-m16388K", "--console-limit=0", "--timeout=0");
    ROUND_TRIP("-m8T", "-c254", "--timeout=8760h");
    ROUND_TRIP("--first-byte-timeout=1ms", "--boot-timeout=90", "--silence-timeout=2m",
               "--symbols=/boot/System.map, old");
    ROUND_TRIP("--entry=linux32", "--hugepages=1G", "--mode=pv", "--coalesce=off", "-v");
    ROUND_TRIP("--entry=multiboot", "--hugepages=2M", "--coalesce=on");
    ROUND_TRIP("--name=a.b-c_D9", "--uuid=00000000-0000-0000-0000-0000000000ff");
    ROUND_TRIP("-kbz", "--", "sh", "-c", "", "a \"b\"");
    ROUND_TRIP("--rootfs=r", "--cwd=/d", "--env=A=", "--env=B", "--modules=m", "--", "x");
    ROUND_TRIP("--set-reg=rip=1", "--set-reg=rsp=0x10", "--result=r", "--console=./none");
    world_end(&w);
}
END_TEST

START_TEST(random_options_survive_the_round_trip)
{
    unsigned seed = 2;

    world_start(&w);
    for (unsigned i = 0; i < 60; i++) {
        char memory[40], cpus[40], limit[40], timeout[40], append[8] = {0};

        snprintf(memory, sizeof(memory), "-m%uK", 4 * (4096 + (unsigned)rand_r(&seed) % 1000000));
        snprintf(cpus, sizeof(cpus), "-c%u", 1 + (unsigned)rand_r(&seed) % CONFIG_MAX_CPUS);
        snprintf(limit, sizeof(limit), "--console-limit=%uB", 4096 + (unsigned)rand_r(&seed) / 2);
        snprintf(timeout, sizeof(timeout), "--timeout=%ums", (unsigned)rand_r(&seed));
        for (unsigned j = 0; j < sizeof(append) - 1; j++)
            append[j] = (char)(0x20 + rand_r(&seed) % 0x5f);
        ROUND_TRIP("-kbz", memory, cpus, limit, timeout, "--append", append);
    }
    world_end(&w);
}
END_TEST

START_TEST(made_up_names_and_uuids_are_not_frozen)
{
    char *text;

    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-kbz"), 0);
    text = world_json(&w.config);
    ck_assert_ptr_null(strstr(text, "\"name\""));
    ck_assert_ptr_null(strstr(text, "\"uuid\""));
    ck_assert_ptr_null(strstr(text, "print"));
    ck_assert_ptr_nonnull(strstr(text, "\"memory\": \"256M\""));
    free(text);
    ck_assert_int_eq(PARSE(&w, "-kbz", "--name=x"), 0);
    text = world_json(&w.config);
    ck_assert_ptr_nonnull(strstr(text, "\"name\": \"x\""));
    free(text);
    world_end(&w);
}
END_TEST

START_TEST(text_that_is_not_utf8_cannot_be_written)
{
    FILE *out = fopen("/dev/null", "w");

    world_start(&w);
    ck_assert_int_eq(PARSE(&w, "-k\xff"), 0);
    ck_assert_int_lt(config_write_json(&w.config, out), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "--kernel: not UTF-8"));
    ck_assert_int_eq(PARSE(&w, "-kbz", "-i", "a", "-i", "\xff"), 0);
    ck_assert_int_lt(config_write_json(&w.config, out), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "--initrd: not UTF-8"));
    fclose(out);
    world_end(&w);
}
END_TEST

START_TEST(a_full_disk_is_an_error_of_writing)
{
    FILE *out = fopen("/dev/full", "w");

    world_start(&w);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_lt(config_write_json(&w.config, out), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "No space left"));
    fclose(out);
    world_end(&w);
}
END_TEST

START_TEST(numbers_mean_what_they_mean_on_the_command_line)
{
    world_start(&w);
    ck_assert_int_eq(read_text("{\"memory\": 512, \"timeout\": 10, \"cpus\": 3}"), 0);
    ck_assert_uint_eq(w.config.memory, 512 * MIB);
    ck_assert_uint_eq(w.config.timeout_ms[LIMIT_WHOLE], 10000);
    ck_assert_uint_eq(w.config.cpus, 3);
    ck_assert_int_eq(read_text("{\"memory\": \"512\", \"timeout\": \"10\", \"cpus\": \"3\"}"), 0);
    ck_assert_uint_eq(w.config.memory, 512 * MIB);
    ck_assert_uint_eq(w.config.timeout_ms[LIMIT_WHOLE], 10000);
    ck_assert_uint_eq(w.config.cpus, 3);
    ck_assert_int_eq(read_text("{}"), 0);
    ck_assert_uint_eq(w.config.memory, 256 * MIB);
    world_end(&w);
}
END_TEST

START_TEST(a_list_replaces_the_one_before)
{
    const char *path;

    world_start(&w);
    ck_assert_int_eq(read_text("{\"initrd\": [\"a\", \"b\"]}"), 0);
    ck_assert_uint_eq(w.config.initrd_count, 2);
    path = world_file(&w, "{\"initrd\": [\"c\"]}", strlen("{\"initrd\": [\"c\"]}"));
    ck_assert_int_eq(config_read_json(&w.config, path), 0);
    ck_assert_uint_eq(w.config.initrd_count, 1);
    ck_assert_str_eq(w.config.initrd[0], "c");
    world_end(&w);
}
END_TEST

START_TEST(a_command_on_the_command_line_replaces_that_of_the_file)
{
    static const char text[] = "{\"command\": [\"a\", \"b\"], \"cwd\": \"/c\"}";
    const char *path;

    world_start(&w);
    path = world_file(&w, text, strlen(text));
    ck_assert_int_eq(PARSE(&w, "--config", path), 0);
    ck_assert_uint_eq(w.config.command_count, 2);
    ck_assert_int_eq(PARSE(&w, "--config", path, "--", "x"), 0);
    ck_assert_uint_eq(w.config.command_count, 1);
    ck_assert_str_eq(w.config.command[0], "x");
    ck_assert_str_eq(w.config.cwd, "/c");
    refused("{\"command\": \"ls\"}", ":1: ", "\"command\": must be an array of strings");
    refused("{\"command\": [\"\"]}", ":1: ", "the command must not be empty");
    world_end(&w);
}
END_TEST

START_TEST(unknown_keys_are_refused_with_their_line)
{
    world_start(&w);
    refused("{\n  \"kernel\": \"x\",\n  \"memroy\": 1\n}",
            ":3: ", "unknown key \"memroy\" (did you mean \"memory\"?)");
    refused("{\"memroy\": 1}", ":1: ", "did you mean \"memory\"?");
    refused("\n\n{\n\n\"frobnicate\": 1}", ":5: ", "unknown key \"frobnicate\" (hv help run");
    refused("{\"kernel\": \"a\\\"\\n,{\",\n\"initrd\": [\"b\",\n\"c\"],\n\"x\": {\"y\": 1}}",
            ":4: ", "unknown key \"x\"");
    refused("{\"kernel\": \"}\",\"initrd\": [],\r\n\r\n\"mem\\u006fri\": 1}",
            ":3: ", "unknown key \"memori\"");
    refused("{\"kernel\": \"a\\\"b\",\n\"x\": 1\n\n}", ":2: ", "unknown key \"x\"");
    refused("{\"print_config\": true}", ":1: ", "unknown key");
    refused("{\"config\": \"f\"}", ":1: ", "unknown key");
    refused("{\"\": 1}", ":1: ", "unknown key \"\"");
    world_end(&w);
}
END_TEST

START_TEST(values_of_the_wrong_type_are_refused_with_their_line)
{
    world_start(&w);
    refused("{\n\"kernel\": 1}", ":2: ", "\"kernel\": must be a string");
    refused("{\n\"kernel\": null}", ":2: ", "\"kernel\": must be a string");
    refused("{\n\"kernel\": [\"a\"]}", ":2: ", "\"kernel\": must be a string");
    refused("{\"memory\": 1.5}", ":1: ", "must be a string or a whole number");
    refused("{\"memory\": true}", ":1: ", "must be a string or a whole number");
    refused("{\"cpus\": {}}", ":1: ", "\"cpus\": must be a whole number");
    refused("{\"coalesce\": \"on\"}", ":1: ", "must be true or false");
    refused("{\"verbose\": 1}", ":1: ", "must be true or false");
    refused("{\"initrd\": \"a\"}", ":1: ", "must be an array of strings");
    refused("{\"initrd\": [\"a\", 1, \"b\"]}", ":1: ", "must be an array of strings");
    refused("{\"entry\": 1}", ":1: ", "must be a string");
    world_end(&w);
}
END_TEST

START_TEST(values_out_of_range_are_refused_with_their_line)
{
    world_start(&w);
    refused("{\n\n\"memory\": 1}", ":3: ", "\"memory\": 1: too small (at least 16M)");
    refused("{\"memory\": -1}", ":1: ", "\"memory\": -1: not a size");
    refused("{\"memory\": 17592186044416}", ":1: ", "too large (at most 8T)");
    refused("{\"cpus\": 0}", ":1: ", "too small (at least 1)");
    refused("{\"cpus\": 9223372036854775807}", ":1: ", "too large (at most 254)");
    refused("{\"append\": \"a\\nb\"}", ":1: ", "holds a control character");
    refused("{\"mode\": \"full\"}", ":1: ", "unknown mode (known: pv)");
    refused("{\"initrd\": [\"\"]}", ":1: ", "must not be empty");
    refused("{\"initrd\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
            "\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]}",
            ":1: ", "too many (at most 16)");
    world_end(&w);
}
END_TEST

START_TEST(text_that_is_not_json_is_refused_with_line_and_column)
{
    world_start(&w);
    refused("{", ":1:1: ", "not JSON");
    refused("{\n\"kernel\": \"x\"\n\"memory\": 1}", ":3:", "not JSON");
    refused("{\"kernel\": \"x\",}", ":1:", "not JSON");
    refused("{\"kernel\": \"x\"} {}", ":1:", "not JSON");
    refused("{\"kernel\": \"x", ":1:", "not JSON");
    refused("{\"kernel\": \"a\\u0000b\"}", ":1:", "holds a NUL character");
    refused("{\"kernel\": \"x\", \"kernel\": \"y\"}", ":1:", "duplicate");
    refused("{\"memory\": 99999999999999999999999}", ":1:", "not JSON");
    refused("{\"kernel\": \"\xff\"}", ":1:", "not JSON");
    refused("[]", ":1: ", "must be one JSON object");
    refused("[\"kernel\"]", ":1: ", "must be one JSON object");
    refused("1", ":1:", "not JSON");
    refused("\xef\xbb\xbf{}", ":1:", "not JSON");
    world_end(&w);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    size_t len = 500000;
    char *text = malloc(len);

    world_start(&w);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', len);
    ck_assert_int_lt(read_bytes(text, len), 0);
    ck_assert_uint_eq(w.messages, 1);
    for (size_t i = 0; i + 5 <= len; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    ck_assert_int_lt(read_bytes(text, len), 0);
    ck_assert_uint_eq(w.messages, 1);
    free(text);
    world_end(&w);
}
END_TEST

START_TEST(files_that_are_none_are_refused_without_blocking)
{
    char fifo[64];

    world_start(&w);
    ck_assert_int_lt(config_read_json(&w.config, "/tmp"), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "/tmp"));
    ck_assert_int_lt(config_read_json(&w.config, "/nonexistent/config"), 0);
    ck_assert_int_lt(config_read_json(&w.config, "/dev/zero"), 0);
    ck_assert_int_lt(config_read_json(&w.config, ""), 0);
    ck_assert_int_lt(read_text(""), 0);
    snprintf(fifo, sizeof(fifo), "%s.fifo", w.path);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_lt(config_read_json(&w.config, fifo), 0);
    unlink(fifo);
    world_end(&w);
}
END_TEST

START_TEST(files_above_a_mebibyte_are_refused)
{
    size_t len = MIB + 1;
    char *text = malloc(len);

    world_start(&w);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', len);
    memcpy(text, "{}", 2);
    ck_assert_int_eq(read_bytes(text, len - 1), 0);
    ck_assert_int_lt(read_bytes(text, len), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "too large for a configuration"));
    free(text);
    world_end(&w);
}
END_TEST

/* Damaged files: whatever happens, it is either a valid configuration or one line and no leak. */
START_TEST(mutated_files_are_refused_in_one_line_or_read)
{
    static const char good[] = "{\n \"kernel\": \"bz\\u00e9\", \"initrd\": [\"a\", \"b\"],\n"
                               " \"memory\": \"1G\", \"cpus\": 2, \"coalesce\": true,\n"
                               " \"uuid\": \"01234567-89ab-cdef-0123-456789abcdef\",\n"
                               " \"timeout\": 10, \"append\": \"x=\\\"y\\\"\"\n}\n";
    static const char spice[] = "{}[]\",:\\0123456789eE.-+tfn \n\0\xff\x80u";
    unsigned seed = 3;

    world_start(&w);
    for (unsigned i = 0; i < 300; i++) {
        char text[sizeof(good)];
        size_t len = sizeof(good) - 1;
        int err;

        memcpy(text, good, sizeof(good));
        for (unsigned hits = 1 + (unsigned)rand_r(&seed) % 4; hits; hits--)
            text[(unsigned)rand_r(&seed) % len] =
                spice[(unsigned)rand_r(&seed) % (sizeof(spice) - 1)];
        if (i % 4 == 0)
            len = 1 + (unsigned)rand_r(&seed) % len;
        err = read_bytes(text, len);
        ck_assert_uint_eq(w.messages, err ? 1 : 0);
        if (!err && w.config.kernel)
            ck_assert_int_eq(config_validate(&w.config), 0);
    }
    world_end(&w);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(every_option_survives_the_round_trip),
        CASE(random_options_survive_the_round_trip),
        CASE(made_up_names_and_uuids_are_not_frozen),
        CASE(text_that_is_not_utf8_cannot_be_written),
        CASE(a_full_disk_is_an_error_of_writing),
        CASE(numbers_mean_what_they_mean_on_the_command_line),
        CASE(a_list_replaces_the_one_before),
        CASE(a_command_on_the_command_line_replaces_that_of_the_file),
        CASE(unknown_keys_are_refused_with_their_line),
        CASE(values_of_the_wrong_type_are_refused_with_their_line),
        CASE(values_out_of_range_are_refused_with_their_line),
        CASE(text_that_is_not_json_is_refused_with_line_and_column),
        CASE(deep_nesting_is_refused),
        CASE(files_that_are_none_are_refused_without_blocking),
        CASE(files_above_a_mebibyte_are_refused),
        CASE(mutated_files_are_refused_in_one_line_or_read),
    };

    return run_suite("config_json", cases, ARRAY_SIZE(cases));
}
