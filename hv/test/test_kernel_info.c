/* A kernel's release, from files good and bad, and the place of its modules. */
#include <errno.h>

#include "hv/command/kernel_info.h"
#include "hv/test/command_world.h"
#include "hv/test/run_suite.h"

#define R "6.1.0-9-amd64"

static struct command_world w;

static void check_release(const char *path, const char *wanted)
{
    char release[KERNEL_RELEASE_MAX];

    ck_assert_int_eq(kernel_release(path, release), 0);
    ck_assert_str_eq(release, wanted);
}

START_TEST(a_bzimage_says_its_release_in_the_setup_header)
{
    char name[100] = "6.";

    command_world_start(&w);
    check_release(command_world_bzimage(&w, "k", R " (a@b) #1 SMP", 10, 0x400), R);
    check_release(command_world_bzimage(&w, "k", "5.4.0", 10, 0x400), "5.4.0");
    check_release(command_world_bzimage(&w, "k", "5.4.0", 0, 0x400), "5.4.0"); /* 0 means 4 */
    check_release(command_world_bzimage(&w, "k", R, 10, 0), "");
    check_release(command_world_bzimage(&w, "k", R, 4, 0x900), "");
    check_release(command_world_bzimage(&w, "k", R, 255, 0xffff), "");
    check_release(command_world_bzimage(&w, "k", R, 255, 8191 - 512), "");
    check_release(command_world_bzimage(&w, "k", "6.1/../..", 10, 0x400), "");
    check_release(command_world_bzimage(&w, "k", "../../etc", 10, 0x400), "");
    check_release(command_world_bzimage(&w, "k", "", 10, 0x400), "");
    memset(name + 2, '1', 62);
    check_release(command_world_bzimage(&w, "k", name, 10, 0x400), name); /* 64 bytes */
    memset(name + 2, '1', 63);
    check_release(command_world_bzimage(&w, "k", name, 10, 0x400), "");
    command_world_end(&w);
}
END_TEST

START_TEST(other_files_say_it_somewhere)
{
    static const char text[] = "Linux version %s\0Linux version " R " (gcc)";
    static char data[600000];

    command_world_start(&w);
    /* Wherever it stands, across the borders of what is read at a time, too. */
    for (size_t at = 262144 - 200; at < 262144; at += 7) {
        memset(data, 'x', sizeof(data));
        memcpy(data + at, text, sizeof(text));
        check_release(command_world_file(&w, "k", data, sizeof(data)), R);
    }
    check_release(command_world_file(&w, "k", text, sizeof(text) - 1), R);
    check_release(command_world_file(&w, "k", text, 32), "6");
    check_release(command_world_text(&w, "k", "Linux version "), "");
    check_release(command_world_text(&w, "k", "no kernel"), "");
    check_release(command_world_text(&w, "k", "Linux version Linux version 4.19"), "4.19");
    command_world_end(&w);
}
END_TEST

/* An ELF file with a section of code, then one of data at `data`, and two banners. */
static const char *elf(uint64_t table, unsigned sections, uint64_t at)
{
    static uint8_t file[8192];

    memset(file, 0, sizeof(file));
    memcpy(file,
           "\x7f"
           "ELF\2\1",
           6);
    store_le64(file + 0x28, table);
    store_le16(file + 0x3a, 64);
    store_le16(file + 0x3c, (uint16_t)sections);
    store_le32(file + 1024 + 64 + 4, 1);
    store_le64(file + 1024 + 64 + 8, 6);
    store_le32(file + 1024 + 128 + 4, 1);
    store_le64(file + 1024 + 128 + 8, 2);
    store_le64(file + 1024 + 128 + 0x18, at);
    strcpy((char *)file + 4096, "Linux version 1.0");
    strcpy((char *)file + 6144, "Linux version 2.0");
    return command_world_file(&w, "k", file, sizeof(file));
}

START_TEST(a_vmlinux_is_searched_from_its_data_on)
{
    command_world_start(&w);
    check_release(elf(1024, 3, 5000), "2.0");
    check_release(elf(1024, 3, 3000), "1.0");
    /* What is wrong with the table costs no more than time. */
    check_release(elf(1024, 3, 7000), "1.0");
    check_release(elf(1024, 3, UINT64_MAX), "1.0");
    check_release(elf(1024, 2, 5000), "1.0");
    check_release(elf(1024, 0xffff, 5000), "2.0");
    check_release(elf(8000, 4, 5000), "1.0");
    check_release(elf(UINT64_MAX - 63, 3, 5000), "1.0");
    command_world_end(&w);
}
END_TEST

START_TEST(kernels_that_cannot_be_read_are_one_message)
{
    char release[KERNEL_RELEASE_MAX];

    command_world_start(&w);
    ck_assert_int_eq(kernel_release(command_world_path(&w, "none"), release), -ENOENT);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_int_lt(kernel_release(w.dir, release), 0);
    ck_assert_uint_eq(w.messages, 2);
    command_world_end(&w);
}
END_TEST

/* `wanted` is below the world's directory; NULL: none. */
static void check_dir(const char *wish, const char *wanted)
{
    char *dir;

    ck_assert_int_eq(kernel_modules(command_world_path(&w, "k"), R, wish, &dir), 0);
    if (wanted)
        ck_assert_str_eq(dir, command_world_path(&w, wanted));
    else
        ck_assert_ptr_null(dir);
    ck_assert_uint_eq(w.messages, 0);
    free(dir);
}

START_TEST(modules_are_looked_for_beside_the_kernel)
{
    command_world_start(&w);
    check_dir(NULL, NULL);
    command_world_text(&w, "lib/modules/" R "/modules.dep", "");
    check_dir(NULL, "lib/modules/" R);
    command_world_text(&w, "modules/" R "/modules.dep", "");
    check_dir(NULL, "modules/" R);
    command_world_text(&w, "modules/modules.dep", "a.ko:\n");
    check_dir(NULL, "modules");
    command_world_text(&w, "modules/a.ko", "xxvermagic=" R " SMP");
    check_dir(NULL, "modules");
    /* Those of another kernel are left alone. */
    command_world_text(&w, "modules/a.ko", "xxvermagic=6.1.0-8-amd64 SMP");
    check_dir(NULL, "modules/" R);
    command_world_end(&w);
}
END_TEST

START_TEST(modules_are_found_where_the_user_says)
{
    command_world_start(&w);
    command_world_text(&w, "t/lib/modules/" R "/modules.dep", "");
    check_dir(command_world_path(&w, "t"), "t/lib/modules/" R);
    check_dir(command_world_path(&w, "t/lib/modules"), "t/lib/modules/" R);
    check_dir(command_world_path(&w, "t/lib/modules/" R), "t/lib/modules/" R);
    command_world_end(&w);
}
END_TEST

static void check_refused(const char *release, const char *wish, const char *part)
{
    char *dir;

    w.messages = 0;
    ck_assert_int_eq(kernel_modules("k", release, command_world_path(&w, wish), &dir), -ENOENT);
    ck_assert_ptr_null(dir);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_msg(strstr(w.message, part) != NULL, "\"%s\" lacks \"%s\"", w.message, part);
}

START_TEST(modules_of_another_kernel_are_refused_with_both_names)
{
    command_world_start(&w);
    command_world_text(&w, "t/lib/modules/6.1.0-8-amd64/modules.dep", "");
    check_refused(R, "t", "has the modules of 6.1.0-8-amd64, but k is " R);
    check_refused(R, "t/lib/modules", "has the modules of 6.1.0-8-amd64, but k is " R);
    command_world_text(&w, "m/modules.dep", "a.ko: \n");
    command_world_text(&w, "m/a.ko", "vermagic=5.4.0 SMP");
    check_refused(R, "m", "has the modules of 5.4.0, but k is " R);
    command_world_text(&w, "empty/x", "");
    check_refused(R, "empty", "has no modules.dep of " R ", the release of k");
    check_refused(R, "none", "has no modules.dep of " R);
    check_refused("", "empty", "k does not say which release it is");
    command_world_end(&w);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_bzimage_says_its_release_in_the_setup_header),
        CASE(other_files_say_it_somewhere),
        CASE(a_vmlinux_is_searched_from_its_data_on),
        CASE(kernels_that_cannot_be_read_are_one_message),
        CASE(modules_are_looked_for_beside_the_kernel),
        CASE(modules_are_found_where_the_user_says),
        CASE(modules_of_another_kernel_are_refused_with_both_names),
    };

    return run_suite("kernel_info", cases, ARRAY_SIZE(cases));
}
