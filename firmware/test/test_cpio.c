/* initramfs archives: their bytes, and what cpio(1) makes of them where it is installed. */
#include "firmware/cpio.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/test/run_suite.h"

static uint8_t data[65536];

START_TEST(a_file_has_the_bytes_of_the_form)
{
    /* buffer-format.rst: 13 fields of 8 hex digits behind the magic, the name, then the contents,
     * each up to a multiple of 4. */
    static const char head[] = "070701"
                               "00000001"
                               "000081A4"
                               "00000000"
                               "00000000"
                               "00000001"
                               "00000000"
                               "00000005"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000004"
                               "00000000"
                               "a/b";
    struct buf b = buf_over(data, sizeof(data));
    struct cpio c = cpio_over(&b);

    cpio_file(&c, "a/b", 0644, "hello", 5);
    ck_assert_uint_eq(b.len, 116 + 8); /* 110 + 4 is no multiple of 4 */
    ck_assert_mem_eq(data, head, sizeof(head));
    ck_assert_mem_eq(data + 114, "\0\0hello\0\0\0", 10);
    ck_assert_int_eq(cpio_end(&c), 0);
    ck_assert_uint_eq(b.len % CPIO_ALIGN, 0);
    ck_assert_mem_eq(data + 124 + 110, "TRAILER!!!", 11);
    ck_assert_mem_eq(data + 124 + 94, "0000000B", 8);
}
END_TEST

START_TEST(other_members_have_their_type_and_numbers)
{
    struct buf b = buf_over(data, sizeof(data));
    struct cpio c = cpio_over(&b);

    cpio_directory(&c, "dev", 0755);
    ck_assert_mem_eq(data + 14, "000041ED", 8);
    ck_assert_mem_eq(data + 38, "00000002", 8);
    b.len = 0;
    cpio_char_device(&c, "dev/console", 0600, 5, 1);
    ck_assert_mem_eq(data + 6, "00000002", 8);
    ck_assert_mem_eq(data + 14, "00002180", 8);
    ck_assert_mem_eq(data + 78, "0000000500000001", 16);
    b.len = 0;
    cpio_symlink(&c, "lnk", "dev/console");
    ck_assert_mem_eq(data + 14, "0000A1FF", 8);
    ck_assert_mem_eq(data + 54, "0000000B", 8);
    ck_assert_mem_eq(data + 116, "dev/console\0", 12);
    ck_assert_uint_eq(b.len, 128);
    ck_assert_int_eq(c.err, 0);
}
END_TEST

START_TEST(contents_may_be_left_to_the_caller)
{
    struct buf whole = buf_over(data, 1024), head = buf_over(data + 1024, 1024);
    struct cpio c = cpio_over(&whole), d = cpio_over(&head);

    cpio_file(&c, "f", 0600, "xyz", 3);
    cpio_file_head(&d, "f", 0600, 3);
    buf_bytes(&head, "xyz", 4);
    ck_assert_uint_eq(head.len, whole.len);
    ck_assert_mem_eq(data, data + 1024, whole.len);
}
END_TEST

START_TEST(names_that_would_land_elsewhere_are_refused)
{
    static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "./a", "a/..", "../a"};
    static char name[CPIO_NAME_MAX + 2];

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buf b = buf_over(data, sizeof(data));
        struct cpio c = cpio_over(&b);

        cpio_file(&c, bad[i], 0644, "x", 1);
        ck_assert_uint_eq(b.len, 0);
        cpio_directory(&c, "good", 0755); /* nothing follows an error */
        ck_assert_uint_eq(b.len, 0);
        ck_assert_int_eq(cpio_end(&c), -EINVAL);
    }
    memset(name, 'n', CPIO_NAME_MAX + 1);
    for (unsigned i = 0; i < 2; i++) {
        struct buf b = buf_over(data, sizeof(data));
        struct cpio c = cpio_over(&b);

        cpio_directory(&c, name + i, 0755);
        ck_assert_int_eq(cpio_end(&c), i ? 0 : -EINVAL);
        ck_assert_uint_le(b.len, 2 * CPIO_HEAD_MAX);
    }
}
END_TEST

START_TEST(links_to_nowhere_and_huge_files_are_refused)
{
    static char target[CPIO_NAME_MAX + 2];
    struct buf b = buf_over(data, sizeof(data));
    struct cpio c = cpio_over(&b);

    cpio_symlink(&c, "a", "");
    ck_assert_int_eq(cpio_end(&c), -EINVAL);
    memset(target, 't', CPIO_NAME_MAX + 1);
    c = cpio_over(&b);
    cpio_symlink(&c, "a", target);
    ck_assert_int_eq(cpio_end(&c), -EINVAL);
    c = cpio_over(&b);
    cpio_file_head(&c, "a", 0644, (size_t)UINT32_MAX + 1);
    ck_assert_int_eq(cpio_end(&c), -EINVAL);
    ck_assert_uint_eq(b.len, 0);
    c = cpio_over(&b);
    cpio_file_head(&c, "a", 0644, UINT32_MAX);
    ck_assert_mem_eq(data + 54, "FFFFFFFF", 8);
}
END_TEST

START_TEST(a_full_buffer_is_told_once_and_never_overrun)
{
    for (size_t cap = 0; cap < 400; cap++) {
        struct buf b = buf_over(data, cap);
        struct cpio c = cpio_over(&b);

        memset(data, 0xee, 512);
        cpio_directory(&c, "d", 0755);
        cpio_file(&c, "d/f", 0644, "12345", 5);
        ck_assert_int_eq(cpio_end(&c), cap < 112 + 124 + 124 ? -ENOSPC : 0);
        for (size_t i = cap; i < 512; i++)
            ck_assert_uint_eq(data[i], 0xee);
    }
}
END_TEST

/* Runs cpio in a new directory on what the buffer holds and returns what it prints. */
static const char *cpio_prints(const struct buf *b, const char *options)
{
    static char text[1024];
    char dir[] = "/tmp/hv-test-cpio-XXXXXX", command[256];
    size_t len;
    FILE *out;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(command, sizeof(command), "%s/archive", dir);
    out = fopen(command, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(b->data, 1, b->len, out), b->len);
    fclose(out);
    snprintf(command, sizeof(command),
             "cd %s && cpio --quiet %s <archive 2>&1 && cat d/* 2>/dev/null; rm -r %s", dir,
             options, dir);
    out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    len = fread(text, 1, sizeof(text) - 1, out);
    text[len] = '\0';
    pclose(out);
    return text;
}

START_TEST(cpio_lists_and_unpacks_the_archive)
{
    struct buf b = buf_over(data, sizeof(data));
    struct cpio c = cpio_over(&b);

    if (system("command -v cpio >/dev/null") != 0)
        return;
    cpio_directory(&c, "d", 0755);
    cpio_file(&c, "d/one", 0644, "1\n", 2);
    cpio_file(&c, "d/empty", 0644, "", 0);
    cpio_file(&c, "d/three", 0755, "3\n\n", 3);
    cpio_symlink(&c, "d/way", "one");
    ck_assert_int_eq(cpio_end(&c), 0);
    ck_assert_str_eq(cpio_prints(&b, "-t"), "d\nd/one\nd/empty\nd/three\nd/way\n");
    ck_assert_str_eq(cpio_prints(&b, "-i --no-preserve-owner"), "1\n3\n\n1\n");
    c = cpio_over(&b);
    b.len = 0;
    cpio_char_device(&c, "console", 0600, 5, 1);
    ck_assert_int_eq(cpio_end(&c), 0);
    ck_assert_int_eq(strncmp(cpio_prints(&b, "-tv"), "crw-------   1 root     root       5,   1",
                             sizeof("crw-------") - 1),
                     0);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_file_has_the_bytes_of_the_form),
        CASE(other_members_have_their_type_and_numbers),
        CASE(contents_may_be_left_to_the_caller),
        CASE(names_that_would_land_elsewhere_are_refused),
        CASE(links_to_nowhere_and_huge_files_are_refused),
        CASE(a_full_buffer_is_told_once_and_never_overrun),
        CASE(cpio_lists_and_unpacks_the_archive),
    };

    return run_suite("cpio", cases, ARRAY_SIZE(cases));
}
