/* Plans of `hv test`: what they mean, what is refused and in which line, which boots are chosen. */
#include "devices/core/util.h"
#include "hv/suite/plan_file.h"
#include "hv/test/plan_world.h"
#include "hv/test/run_suite.h"

#define K "kernel = k\n"

static struct plan_world w;

static void words_are(unsigned index, const char *words)
{
    char *text = plan_words(&w.plan.specs[index]);

    ck_assert_str_eq(text, words);
    free(text);
}

START_TEST(one_stanza_is_one_boot)
{
    plan_good(&w, "# a comment\n[boot]\n  kernel = dir/bz\nmemory=64M\ncpus = 2\n");
    ck_assert_uint_eq(w.plan.count, 1);
    ck_assert_str_eq(w.plan.specs[0].name, "boot");
    ck_assert_str_eq(w.plan.specs[0].stanza, "boot");
    ck_assert_uint_eq(w.plan.specs[0].line, 2);
    ck_assert_uint_eq(w.plan.specs[0].memory, 64 * MIB);
    ck_assert_uint_eq(w.plan.specs[0].cpus, 2);
    ck_assert_uint_eq(w.plan.specs[0].timeout_ms, 300000);
    ck_assert(!w.plan.specs[0].has_command);
    ck_assert_str_eq(w.plan.dir, "/tmp");
    words_are(0, "--kernel=dir/bz --memory=64M --cpus=2 --timeout=300s");
    plan_end(&w);
}
END_TEST

START_TEST(a_command_keeps_its_punctuation)
{
    plan_good(&w, "[a]\n" K "command = echo 'a b' ; x=1 # no comment: \"[b]\"\n");
    ck_assert(w.plan.specs[0].has_command);
    ck_assert_uint_eq(w.plan.specs[0].memory, GIB);
    words_are(0, "--kernel=k --timeout=300s -- sh -c echo 'a b' ; x=1 # no comment: \"[b]\"");
    plan_end(&w);
}
END_TEST

START_TEST(a_stanza_replaces_what_defaults_say)
{
    plan_good(&w, "[defaults]\n" K "initrd = one\ninitrd = two\nforbid-console = X\n"
                  "[a]\n[b]\ninitrd = three\nforbid-console = Y\nforbid-console = Z\n");
    ck_assert_uint_eq(w.plan.count, 2);
    words_are(0, "--kernel=k --initrd=one --initrd=two --timeout=300s");
    words_are(1, "--kernel=k --initrd=three --timeout=300s");
    ck_assert_uint_eq(w.plan.specs[0].expect.rules, 1);
    ck_assert_uint_eq(w.plan.specs[1].expect.rules, 2);
    ck_assert_str_eq(w.plan.specs[1].expect.rule[1].regex, "Z");
    plan_end(&w);
}
END_TEST

/* Lists, single keys and the plan's own: each is as if [defaults] had not named it. */
START_TEST(an_empty_value_takes_defaults_back)
{
    plan_good(&w, "[defaults]\n" K "initrd = one\ninitrd = two\ncpus = 2\ncommand = x\n"
                  "expect-status = 3\nforbid-console = X\nmatrix = cpus\nrepeat = 4\n"
                  "[a]\n[b]\ninitrd =\ncpus =\ncommand =\nexpect-status =\n"
                  "forbid-console =\nmatrix =\nrepeat =\n[c]\ninitrd =\ninitrd = three\n");
    ck_assert_uint_eq(w.plan.count, 3);
    words_are(0, "--kernel=k --initrd=one --initrd=two --cpus=2 --timeout=300s -- sh -c x");
    words_are(1, "--kernel=k --timeout=300s");
    ck_assert_str_eq(w.plan.specs[1].name, "b");
    ck_assert(!w.plan.specs[1].has_command);
    ck_assert_int_eq(w.plan.specs[1].expect.status, 0);
    ck_assert_uint_eq(w.plan.specs[1].expect.rules, 0);
    ck_assert_uint_eq(w.plan.specs[1].repeat, 1);
    words_are(2, "--kernel=k --cpus=2 --initrd=three --timeout=300s -- sh -c x");
    plan_end(&w);
    plan_refused("[defaults]\n" K "[a]\nkernel =\n", ":3: [a]: has no kernel");
    plan_refused("[defaults]\n" K "initrd =\n[a]\n", ":3: initrd: ");
    plan_refused("[a]\n" K "initrd =\n", ":3: initrd: ");
    plan_refused("[defaults]\n" K "cpus = 1\n[a]\ncpus =\ncpus = 2\n", ":6: cpus: stands in");
}
END_TEST

START_TEST(expectations_are_taken_over)
{
    const struct expectation *e;

    plan_good(&w, "[a]\n" K "expect-status = 3\nexpect-end = debug-exit\nktap = stdout\n"
                  "allow-splat = on\nmax-boot-ms = 70\nmax-boot-instructions = 9000\n"
                  "expect-console = ^a(b|c)+$\nforbid-stderr = d\nexpect-stdout = e\n");
    e = &w.plan.specs[0].expect;
    ck_assert_int_eq(e->status, 3);
    ck_assert_str_eq(e->end, "debug-exit");
    ck_assert_int_eq(e->ktap, KTAP_STDOUT);
    ck_assert(e->allow_splat);
    ck_assert_uint_eq(e->max_boot_ms, 70);
    ck_assert_uint_eq(e->max_boot_instructions, 9000);
    ck_assert_uint_eq(e->rules, 3);
    ck_assert_str_eq(e->rule[0].regex, "^a(b|c)+$");
    ck_assert(e->rule[0].stream == STREAM_CONSOLE && !e->rule[0].forbid);
    ck_assert(e->rule[1].stream == STREAM_STDERR && e->rule[1].forbid);
    ck_assert(e->rule[2].stream == STREAM_STDOUT && !e->rule[2].forbid);
    words_are(0, "--kernel=k --timeout=300s");
    plan_end(&w);
}
END_TEST

START_TEST(a_matrix_is_every_combination)
{
    plan_good(&w, "[m]\nkernel = /boot/a b\tc\ncpus = 1 2\nmatrix = kernel cpus\n");
    ck_assert_uint_eq(w.plan.count, 6);
    ck_assert_str_eq(w.plan.specs[0].name, "m:-boot-a:1");
    ck_assert_str_eq(w.plan.specs[1].name, "m:-boot-a:2");
    ck_assert_str_eq(w.plan.specs[5].name, "m:c:2");
    words_are(5, "--kernel=c --cpus=2 --timeout=300s");
    plan_end(&w);
}
END_TEST

START_TEST(names_of_a_matrix_differ_and_stay_in_the_directory)
{
    plan_good(&w, "[m]\nkernel = a/b a-b ../../x/" K "matrix = kernel\n");
    ck_assert_uint_eq(w.plan.count, 5);
    ck_assert_str_eq(w.plan.specs[0].name, "m:a-b");
    ck_assert_str_eq(w.plan.specs[1].name, "m:a-b-2");
    ck_assert_str_eq(w.plan.specs[2].name, "m:..-..-x-kernel");
    for (unsigned i = 0; i < w.plan.count; i++)
        ck_assert_ptr_null(strchr(w.plan.specs[i].name, '/'));
    plan_end(&w);
}
END_TEST

START_TEST(names_leave_out_what_all_values_begin_with)
{
    plan_good(&w,
              "[m]\nkernel = ../a/b/c ../a/b/d/e ../a/bc\nmatrix = kernel\n"
              "[n]\nkernel = a/b/ a/b/c\nmatrix = kernel\n[o]\nkernel = a/b\nmatrix = kernel\n");
    ck_assert_str_eq(w.plan.specs[0].name, "m:b-c");
    ck_assert_str_eq(w.plan.specs[1].name, "m:b-d-e");
    ck_assert_str_eq(w.plan.specs[2].name, "m:bc");
    ck_assert_str_eq(w.plan.specs[3].name, "n:b-");
    ck_assert_str_eq(w.plan.specs[4].name, "n:b-c");
    ck_assert_str_eq(w.plan.specs[5].name, "o:b");
    plan_end(&w);
}
END_TEST

START_TEST(a_list_in_a_matrix_is_one_at_a_time)
{
    plan_good(&w, "[m]\n" K "initrd = a b\ninitrd = c\nmatrix = initrd\n");
    ck_assert_uint_eq(w.plan.count, 3);
    words_are(1, "--kernel=k --initrd=b --timeout=300s");
    words_are(2, "--kernel=k --initrd=c --timeout=300s");
    plan_end(&w);
}
END_TEST

START_TEST(a_scale_multiplies_limits_of_time)
{
    const char *text = "[a]\n" K "timeout = 90\nmax-boot-ms = 50\n[b]\n" K;

    ck_assert_int_eq(plan_bytes(&w, text, strlen(text), 20), 0);
    words_are(0, "--kernel=k --timeout=30m");
    words_are(1, "--kernel=k --timeout=100m");
    ck_assert_uint_eq(w.plan.specs[0].timeout_ms, 1800000);
    ck_assert_uint_eq(w.plan.specs[0].expect.max_boot_ms, 1000);
    plan_end(&w);
}
END_TEST

START_TEST(keys_are_checked)
{
    plan_refused("[a]\nkernl = k\n", ":2: kernl: unknown key (did you mean kernel?)");
    plan_refused("[a]\nexpect-consol = k\n",
                 ":2: expect-consol: unknown key (did you mean expect-console?)");
    plan_refused("[defaults]\nzzzzzzzz = 1\n[a]\n" K, ":2: zzzzzzzz: unknown key");
    plan_refused("[a]\n" K "console = x\n", ":3: console: not for a plan");
    plan_refused("[a]\n" K "result = x\n", ":3: result: not for a plan");
    plan_refused("[a]\n" K "config = x\n", ":3: config: not for a plan");
    plan_refused("[a]\n" K "verbose = on\n", ":3: verbose: not for a plan");
    plan_refused("[a]\n" K K, ":3: kernel: stands in line 2 already");
    plan_refused("[a]\n" K "expect-status = 0\nexpect-status = 0\n", ":4: expect-status: stands");
    plan_refused("[a]\n" K "after = b\n", ":3: after: b: a boot cannot start where");
}
END_TEST

START_TEST(values_are_checked)
{
    plan_refused("[a]\n" K "cpus = 0\n", ":3: cpus: 0: ");
    plan_refused("[a]\n" K "memory = much\n", ":3: memory: much: ");
    plan_refused("[a]\n" K "disk = fil=x\n", ":3: disk: fil=x: ");
    plan_refused("[a]\n" K "bus = isa\n", ":3: bus: isa: unknown (one of mmio|pci)");
    plan_refused("[defaults]\ncpus = x\n[a]\n" K, ":2: cpus: x: ");
    plan_refused("[a]\nkernel =\n", ":2: kernel: : must not be empty");
    plan_refused("[a]\n" K "timeout = 0\n", ":3: timeout: a boot of a suite cannot go without");
    plan_refused("[a]\n" K "expect-status = 256\n", ":3: expect-status: 256: not a whole number");
    plan_refused("[a]\n" K "expect-status = -1\n", "not a whole number from 0 to 255");
    plan_refused("[a]\n" K "expect-end = sleep\n", "one of poweroff, reboot, panic");
    plan_refused("[a]\n" K "expect-end = vmm-error\n", "triple-fault, debug-exit, deadline)");
    plan_refused("[a]\n" K "expect-end = signal\n", "no such end");
    plan_refused("[a]\n" K "ktap = stderr\n", "one of console, stdout");
    plan_refused("[a]\n" K "allow-splat = yes\n", "must be on or off");
    plan_refused("[a]\n" K "max-boot-ms = 0\n", "not a whole number");
    plan_refused("[a]\n" K "expect-console = a(b\n", ":3: expect-console: a(b: not an extended");
    plan_refused("[a]\n" K "forbid-stdout =\n", ":3: forbid-stdout: must not be empty");
    plan_refused("[a]\n" K "repeat = 0\n", ":3: repeat: 0: not a whole number from 1 to 1000");
    plan_refused("[a]\n" K "repeat = 1001\n", "from 1 to 1000");
    plan_refused("[a]\n" K "repeat = 1\nmatrix = repeat\n", "can be varied");
    plan_refused("[a]\n" K "command =\n", ":3: command: must not be empty");
}
END_TEST

START_TEST(what_a_stanza_needs_is_checked)
{
    plan_refused("[a]\ncpus = 1\n[b]\n" K, ":1: [a]: has no kernel");
    plan_refused("[a]\n" K "rootfs = /x\n", ":3: rootfs: is for a command");
    plan_refused("[a]\n" K "env = A=b\n", ":3: env: is for a command");
}
END_TEST

START_TEST(matrices_are_checked)
{
    plan_refused("[a]\n" K "matrix =\n", ":3: matrix: names no key");
    plan_refused("[a]\n" K "matrix = cpus\n", ":3: matrix: cpus: [a] has no such key");
    plan_refused("[a]\n" K "matrix = cpu\n", ":3: matrix: cpu: not a key");
    plan_refused("[a]\n" K "matrix = kernel kernel\n", ":3: matrix: kernel is named twice");
    plan_refused("[a]\n" K "cpus =\nmatrix = cpus\n", ":3: cpus: holds no value");
    plan_refused("[a]\n" K "cpus = 1 2 1\nmatrix = cpus\n", ":3: cpus: 1 stands there twice");
    plan_refused("[a]\n" K "cpus = 1 x\nmatrix = cpus\n", ":3: cpus: x: ");
    plan_refused("[a]\n" K "ktap = console\nmatrix = ktap\n", "can be varied");
}
END_TEST

/* The product is bounded before anything of it is built. */
START_TEST(a_matrix_cannot_grow_without_bound)
{
    char text[20000] = "[a]\n" K "matrix = cpus memory append uuid\n";
    static const char *const keys[] = {"cpus", "memory", "append", "uuid"};

    for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
        strcat(text, keys[k]);
        strcat(text, " =");
        for (int i = 1; i < 200; i++)
            sprintf(text + strlen(text), " %d", 16 + i);
        strcat(text, "\n");
    }
    plan_refused(text, ":3: matrix: the plan is more than 2000 boots");
}
END_TEST

START_TEST(headings_are_checked)
{
    plan_refused("", ": holds no test");
    plan_refused("# nothing\n[defaults]\n" K, ": holds no test");
    plan_refused(K, ":1: kernel: stands before the first [NAME]");
    plan_refused("[a]\n" K "[b\n", ":3: not [NAME] alone");
    plan_refused("[a] b\n" K, ":1: not [NAME] alone");
    plan_refused("[]\n" K, ":1: []: a name has");
    plan_refused("[a/b]\n" K, ":1: [a/b]: a name has");
    plan_refused("[..]\n" K, ":1: [..]: a name has");
    plan_refused("[-a]\n" K, ":1: [-a]: a name has");
    plan_refused("[a b]\n" K, ":1: [a b]: a name has");
    plan_refused("[a]\n" K "[b]\n" K "[a]\n" K, ":5: [a] stands in line 1 already");
    plan_refused("[a]\n" K "[a]\n" K, ":3: [a] stands in line 1 already");
    plan_refused("[defaults]\n[a]\n" K "[defaults]\n", ":4: [defaults] stands in line 1");
    plan_refused("[a]\n" K "just words\n", ":3: neither [NAME] nor KEY = VALUE");
}
END_TEST

/* inih by itself would cut such a name at its fiftieth character. */
START_TEST(long_names_are_not_cut)
{
    char text[600], name[PLAN_NAME_MAX + 1];

    memset(name, 'n', PLAN_NAME_MAX);
    name[PLAN_NAME_MAX] = '\0';
    snprintf(text, sizeof(text), "[%s]\n" K "[%s2]\n" K, name, name + 1);
    plan_good(&w, text);
    ck_assert_str_eq(w.plan.specs[0].name, name);
    ck_assert_uint_eq(strlen(w.plan.specs[1].name), PLAN_NAME_MAX);
    plan_end(&w);
    snprintf(text, sizeof(text), "[%s3]\n" K, name);
    plan_refused(text, ":1: ");
}
END_TEST

START_TEST(what_is_no_text_is_refused)
{
    static const char nul[] = "[a]\nkernel = k\0x\n", elf[] = "\x7f"
                                                              "ELF\x02\x01\x01\0\0\0";
    char *big = malloc(3 << 20);

    ck_assert_int_lt(plan_bytes(&w, nul, sizeof(nul) - 1, 1), 0);
    ck_assert_str_eq(w.message, ":2: not a text: byte 10 is 0x00");
    plan_end(&w);
    ck_assert_int_lt(plan_bytes(&w, elf, sizeof(elf) - 1, 1), 0);
    ck_assert_str_eq(w.message, ":1: not a text: byte 0 is 0x7f");
    plan_end(&w);
    memset(big, 'x', 3 << 20);
    ck_assert_int_lt(plan_bytes(&w, big, 3 << 20, 1), 0);
    ck_assert_str_eq(w.message, ": too large for a plan (at most 1M)");
    plan_end(&w);
    ck_assert_int_lt(plan_bytes(&w, big, 20000, 1), 0);
    ck_assert_str_eq(w.message, ":1: longer than 16384 bytes");
    plan_end(&w);
    free(big);
}
END_TEST

/* A byte-order mark, CR LF, and no newline at the end, as editors leave them. */
START_TEST(editors_habits_are_taken)
{
    plan_good(&w, "\xef\xbb\xbf[a]\r\nkernel = k\r\n\r\n[b]\r\nkernel = k2");
    ck_assert_uint_eq(w.plan.count, 2);
    words_are(0, "--kernel=k --timeout=300s");
    words_are(1, "--kernel=k2 --timeout=300s");
    plan_end(&w);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    memset(&w, 0, sizeof(w));
    log_set_sink(plan_log, &w);
    ck_assert_int_lt(plan_read(&w.plan, "/nowhere/plan", 1), 0);
    ck_assert_str_eq(w.message, "/nowhere/plan: No such file or directory");
    plan_free(&w.plan);
    ck_assert_int_lt(plan_read(&w.plan, "/tmp", 1), 0);
    ck_assert_str_eq(w.message, "/tmp: not a regular file");
    plan_free(&w.plan);
    ck_assert_int_lt(plan_read(&w.plan, "/dev/zero", 1), 0);
    ck_assert_str_eq(w.message, "/dev/zero: not a regular file");
    plan_free(&w.plan);
    log_set_sink(NULL, NULL);
}
END_TEST

static int choose(const char *filter, unsigned repeat, unsigned shard, unsigned shards)
{
    struct plan_selection selection = {.filters = &filter,
                                       .filter_count = filter != NULL,
                                       .repeat = repeat,
                                       .shard = shard,
                                       .shards = shards};

    return plan_select(&w.plan, &selection);
}

static const char five[] = "[a]\n" K "cpus = 1 2 3\nmatrix = cpus\n[b]\n" K "[c]\n" K;

START_TEST(filters_choose_by_name)
{
    plan_good(&w, five);
    ck_assert_int_eq(choose("a:*", 1, 1, 1), 0);
    ck_assert_uint_eq(w.plan.count, 3);
    plan_end(&w);
    plan_good(&w, five);
    ck_assert_int_lt(choose("d", 1, 1, 1), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "none of its 5 boots matches --filter d"));
    plan_end(&w);
}
END_TEST

START_TEST(repetitions_have_names_of_their_own)
{
    plan_good(&w, "[a]\n" K "expect-end = reboot\nexpect-console = x\n");
    ck_assert_int_eq(choose(NULL, 3, 1, 1), 0);
    ck_assert_uint_eq(w.plan.count, 3);
    ck_assert_str_eq(w.plan.specs[0].name, "a");
    ck_assert_str_eq(w.plan.specs[2].name, "a#3");
    ck_assert_str_eq(w.plan.specs[2].expect.end, "reboot");
    ck_assert_str_eq(w.plan.specs[2].expect.rule[0].regex, "x");
    words_are(2, "--kernel=k --timeout=300s");
    plan_end(&w);
    plan_good(&w, five);
    ck_assert_int_lt(choose(NULL, 401, 1, 1), 0);
    ck_assert_str_eq(w.message, ": repeat makes 5 of its 5 boots, and --repeat 401 of those; lower "
                                "one of them (at most 2000 boots are run)");
    plan_end(&w);
}
END_TEST

/* The numbers of one name go on through both. */
START_TEST(a_plan_repeats_and_so_does_its_user)
{
    plan_good(&w, "[a]\n" K "repeat = 3\n[b]\n" K);
    ck_assert_uint_eq(w.plan.count, 2);
    ck_assert_int_eq(choose(NULL, 1, 1, 1), 0);
    ck_assert_uint_eq(w.plan.count, 4);
    ck_assert_str_eq(w.plan.specs[2].name, "a#3");
    ck_assert_str_eq(w.plan.specs[3].name, "b");
    plan_end(&w);
    plan_good(&w, "[a]\n" K "repeat = 3\n[b]\n" K);
    ck_assert_int_eq(choose(NULL, 2, 1, 1), 0);
    ck_assert_uint_eq(w.plan.count, 8);
    ck_assert_str_eq(w.plan.specs[5].name, "a#6");
    ck_assert_str_eq(w.plan.specs[7].name, "b#2");
    plan_end(&w);
}
END_TEST

/* At most 2000 are run, of those that were chosen. */
START_TEST(repetitions_are_bounded)
{
    static const char many[] = "[a]\n" K "repeat = 1000\n[b]\n" K "repeat = 1000\n[c]\n" K;

    plan_good(&w, many);
    ck_assert_int_lt(choose(NULL, 1, 1, 1), 0);
    ck_assert_ptr_nonnull(strstr(w.message, "repeat makes 2001 of its 3 boots"));
    plan_end(&w);
    plan_good(&w, many);
    ck_assert_int_eq(choose("[ab]", 1, 1, 1), 0);
    ck_assert_uint_eq(w.plan.count, 2000);
    plan_end(&w);
    plan_good(&w, many);
    ck_assert_int_lt(choose("a", 3, 1, 1), 0);
    plan_end(&w);
}
END_TEST

/* All shards together hold each boot once. */
START_TEST(shards_share_the_boots)
{
    char all[200] = "";

    for (unsigned shard = 1; shard <= 2; shard++) {
        plan_good(&w, five);
        ck_assert_int_eq(choose(NULL, 1, shard, 2), 0);
        for (unsigned i = 0; i < w.plan.count; i++) {
            strcat(all, w.plan.specs[i].name);
            strcat(all, " ");
        }
        plan_end(&w);
    }
    ck_assert_str_eq(all, "a:1 a:3 c a:2 b ");
    plan_good(&w, five);
    ck_assert_int_lt(choose(NULL, 1, 6, 6), 0);
    ck_assert_str_eq(w.message, "--shard 6/6: holds none of the 5 boots");
    plan_end(&w);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(one_stanza_is_one_boot),
        CASE(a_command_keeps_its_punctuation),
        CASE(a_stanza_replaces_what_defaults_say),
        CASE(an_empty_value_takes_defaults_back),
        CASE(expectations_are_taken_over),
        CASE(a_matrix_is_every_combination),
        CASE(names_of_a_matrix_differ_and_stay_in_the_directory),
        CASE(names_leave_out_what_all_values_begin_with),
        CASE(a_list_in_a_matrix_is_one_at_a_time),
        CASE(a_scale_multiplies_limits_of_time),
        CASE(keys_are_checked),
        CASE(values_are_checked),
        CASE(what_a_stanza_needs_is_checked),
        CASE(matrices_are_checked),
        CASE(a_matrix_cannot_grow_without_bound),
        CASE(headings_are_checked),
        CASE(long_names_are_not_cut),
        CASE(what_is_no_text_is_refused),
        CASE(editors_habits_are_taken),
        CASE(files_that_cannot_be_read),
        CASE(filters_choose_by_name),
        CASE(repetitions_have_names_of_their_own),
        CASE(a_plan_repeats_and_so_does_its_user),
        CASE(repetitions_are_bounded),
        CASE(shards_share_the_boots),
    };

    return run_suite("suite_plan", cases, ARRAY_SIZE(cases));
}
