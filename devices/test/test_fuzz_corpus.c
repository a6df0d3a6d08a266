/*
 * The inputs of devices/fuzz/corpus on the machine that libFuzzer drives, so that what was found
 * once stays found with both compilers. Runs in the root of the source.
 */
#include <dirent.h>
#include <stdio.h>

#include "devices/core/util.h"
#include "devices/fuzz/machine.h"
#include "devices/test/fake.h"

static const struct fuzz_target *const targets[] = {&fuzz_queue,   &fuzz_rng, &fuzz_console,
                                                    &fuzz_balloon, &fuzz_blk, &fuzz_net,
                                                    &fuzz_p9,      &fuzz_pci};

static void run_file(const struct fuzz_target *target, const char *name)
{
    static uint8_t data[65536];
    char path[400];
    size_t len;
    FILE *file;

    snprintf(path, sizeof(path), "devices/fuzz/corpus/%s/%s", target->name, name);
    file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    len = fread(data, 1, sizeof(data), file);
    fclose(file);
    fuzz_run(target, data, len);
}

START_TEST(inputs_of_the_corpus_end_well)
{
    const struct fuzz_target *target = targets[_i];
    char path[100];
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "devices/fuzz/corpus/%s", target->name);
    dir = opendir(path);
    ck_assert_msg(dir != NULL, "%s: run this in the root of the source", path);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        run_file(target, entry->d_name);
        count++;
    }
    closedir(dir);
    ck_assert_uint_gt(count, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("fuzz-corpus");

    tcase_add_loop_test(tc, inputs_of_the_corpus_end_well, 0, ARRAY_SIZE(targets));
    return fake_run(tc);
}
