/* Unit tests of boot_params_build: the Linux zero page, read back at the offsets of zero-page.rst.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/boot_x86.h"
#include "firmware/test/guarded.h"

static const struct memmap_entry two_regions[] = {
    {.gpa = 0, .size = 0x9f000, .type = MEMMAP_RAM},
    {.gpa = 0x9f000, .size = 0x1000, .type = MEMMAP_ACPI},
};

static struct boot_params_x86 sample(void)
{
    return (struct boot_params_x86){
        .map = two_regions,
        .map_count = 2,
        .initrd = {.gpa = 0x123456000, .size = 0x234567890},
        .cmdline_gpa = 0x345678000,
        .cmdline_len = 17,
        .rsdp_gpa = 0xe0000,
    };
}

/* A header as a kernel file has it, from 0x1f1: every byte tells its own offset. */
static void fake_header(uint8_t *h, size_t len, uint8_t length_byte)
{
    for (size_t i = 0; i < len; i++)
        h[i] = (uint8_t)(0x1f1 + i) | 1;
    if (len > 0x201 - 0x1f1)
        h[0x201 - 0x1f1] = length_byte;
}

static void check_common(const uint8_t *bp)
{
    ck_assert_uint_eq(rd64(bp + 0x070), 0xe0000);    /* acpi_rsdp_addr */
    ck_assert_uint_eq(bp[0x1ef], 0);                 /* sentinel: fields are meant */
    ck_assert_uint_eq(rd16(bp + 0x1fa), 0xffff);     /* vid_mode: normal */
    ck_assert_uint_eq(bp[0x210], 0xff);              /* type_of_loader */
    ck_assert_uint_eq(rd32(bp + 0x218), 0x23456000); /* ramdisk_image */
    ck_assert_uint_eq(rd32(bp + 0x0c0), 0x1);
    ck_assert_uint_eq(rd32(bp + 0x21c), 0x34567890); /* ramdisk_size */
    ck_assert_uint_eq(rd32(bp + 0x0c4), 0x2);
    ck_assert_uint_eq(rd32(bp + 0x228), 0x45678000); /* cmd_line_ptr */
    ck_assert_uint_eq(rd32(bp + 0x0c8), 0x3);
    ck_assert_uint_eq(bp[0x1e8], 2); /* e820_entries */
    ck_assert_uint_eq(rd64(bp + 0x2d0), 0);
    ck_assert_uint_eq(rd64(bp + 0x2d8), 0x9f000);
    ck_assert_uint_eq(rd32(bp + 0x2e0), 1);
    ck_assert_uint_eq(rd64(bp + 0x2e4), 0x9f000);
    ck_assert_uint_eq(rd64(bp + 0x2ec), 0x1000);
    ck_assert_uint_eq(rd32(bp + 0x2f4), 3);
    ck_assert(all_zero(bp + 0x2f8, BOOT_PARAMS_BYTES - 0x2f8));
    ck_assert(all_zero(bp, 0x070)); /* no screen, no EFI, no drives */
    ck_assert(all_zero(bp + 0x078, 0x0c0 - 0x078));
    ck_assert(all_zero(bp + 0x0cc, 0x1e8 - 0x0cc));
}

START_TEST(elf_kernel_gets_a_made_up_header)
{
    struct boot_params_x86 in = sample();
    struct guarded g = guarded_new(BOOT_PARAMS_BYTES);

    ck_assert_int_eq(boot_params_build(&in, g.bytes, g.cap), 0);
    ck_assert(guarded_intact(&g));
    check_common(g.bytes);
    ck_assert_uint_eq(rd16(g.bytes + 0x1fe), 0xaa55);
    ck_assert_mem_eq(g.bytes + 0x202, "HdrS", 4);
    ck_assert_uint_eq(rd16(g.bytes + 0x206), 0x020f);
    ck_assert_uint_eq(g.bytes[0x211], 1);                 /* LOADED_HIGH */
    ck_assert_uint_eq(rd32(g.bytes + 0x22c), 0x7fffffff); /* initrd_addr_max */
    ck_assert_uint_eq(rd32(g.bytes + 0x230), 0x1000000);  /* kernel_alignment */
    ck_assert_uint_eq(rd32(g.bytes + 0x238), 17);
    ck_assert(all_zero(g.bytes + 0x23c, 0x2d0 - 0x23c));
    guarded_free(&g);
}
END_TEST

/* Length bytes of the header: protocol 2.02's, today's, the last that fits, two that do not. */
static const uint8_t length_bytes[] = {0x2a, 0x6a, 0x8e, 0x8f, 0xff};

START_TEST(bzimage_header_is_copied_up_to_the_end_it_names)
{
    struct boot_params_x86 in = sample();
    struct guarded g = guarded_new(BOOT_PARAMS_BYTES);
    uint8_t header[0x100];
    size_t end = 0x202u + length_bytes[_i];

    fake_header(header, sizeof(header), length_bytes[_i]);
    in.setup_header = header;
    in.setup_header_len = sizeof(header);
    ck_assert_int_eq(boot_params_build(&in, g.bytes, g.cap), 0);
    ck_assert(guarded_intact(&g));
    check_common(g.bytes);

    end = end > 0x290 ? 0x290 : end;
    ck_assert(all_zero(g.bytes + end, 0x2d0 - end));
    for (size_t at = 0x1f1; at < end; at++) {
        bool ours = (at >= 0x1fa && at < 0x1fc) || at == 0x201 || at == 0x210 ||
                    (at >= 0x218 && at < 0x220) || (at >= 0x228 && at < 0x22c);

        ck_assert_msg(ours || g.bytes[at] == ((uint8_t)at | 1), "byte 0x%zx changed", at);
    }
    guarded_free(&g);
}
END_TEST

START_TEST(bzimage_header_shorter_than_it_says_is_copied_as_far_as_it_goes)
{
    struct boot_params_x86 in = sample();
    struct guarded g = guarded_new(BOOT_PARAMS_BYTES);
    uint8_t header[0x50];

    fake_header(header, sizeof(header), 0x6a);
    in.setup_header = header;
    in.setup_header_len = sizeof(header);
    ck_assert_int_eq(boot_params_build(&in, g.bytes, g.cap), 0);
    ck_assert_uint_eq(g.bytes[0x240], 0x41);
    ck_assert(all_zero(g.bytes + 0x241, 0x2d0 - 0x241));
    guarded_free(&g);
}
END_TEST

START_TEST(bzimage_header_without_the_loader_fields_is_refused)
{
    struct boot_params_x86 in = sample();
    static uint8_t buf[BOOT_PARAMS_BYTES];
    uint8_t header[0x1f];

    for (size_t len = 1; len < 0x210 - 0x1f1; len++) {
        fake_header(header, len, 0x6a);
        in.setup_header = header;
        in.setup_header_len = len;
        ck_assert_int_eq(boot_params_build(&in, buf, sizeof(buf)), -EINVAL);
    }
}
END_TEST

START_TEST(no_initrd_leaves_its_fields_zero)
{
    struct boot_params_x86 in = sample();
    static uint8_t buf[BOOT_PARAMS_BYTES];

    in.initrd.size = 0; /* the address is stale then */
    ck_assert_int_eq(boot_params_build(&in, buf, sizeof(buf)), 0);
    ck_assert(all_zero(buf + 0x218, 8));
    ck_assert(all_zero(buf + 0x0c0, 8));
}
END_TEST

START_TEST(e820_holds_128_entries_and_no_more)
{
    struct boot_params_x86 in = sample();
    struct memmap_entry map[129];
    struct guarded g = guarded_new(BOOT_PARAMS_BYTES);

    for (unsigned i = 0; i < 129; i++)
        map[i] = (struct memmap_entry){i * 0x10000, 0x8000 + i, MEMMAP_RESERVED};
    in.map = map;
    for (in.map_count = 0; in.map_count <= 128; in.map_count++) {
        ck_assert_int_eq(boot_params_build(&in, g.bytes, g.cap), 0);
        ck_assert_uint_eq(g.bytes[0x1e8], in.map_count);
        for (unsigned i = 0; i < in.map_count; i++) {
            ck_assert_uint_eq(rd64(g.bytes + 0x2d0 + i * 20), i * 0x10000);
            ck_assert_uint_eq(rd64(g.bytes + 0x2d0 + i * 20 + 8), 0x8000 + i);
            ck_assert_uint_eq(rd32(g.bytes + 0x2d0 + i * 20 + 16), 2);
        }
        ck_assert(all_zero(g.bytes + 0x2d0 + in.map_count * 20, 4096 - 0x2d0 - in.map_count * 20));
    }
    ck_assert_int_eq(boot_params_build(&in, g.bytes, g.cap), -EINVAL);
    ck_assert(guarded_intact(&g));
    guarded_free(&g);
}
END_TEST

START_TEST(short_buffer_is_refused)
{
    struct boot_params_x86 in = sample();

    for (size_t cap = 0; cap < BOOT_PARAMS_BYTES; cap += cap < 4000 ? 61 : 1) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(boot_params_build(&in, g.bytes, cap), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/boot_params");
    TCase *t = tcase_create("boot_params");

    tcase_add_test(t, elf_kernel_gets_a_made_up_header);
    tcase_add_loop_test(t, bzimage_header_is_copied_up_to_the_end_it_names, 0,
                        (int)sizeof(length_bytes));
    tcase_add_test(t, bzimage_header_shorter_than_it_says_is_copied_as_far_as_it_goes);
    tcase_add_test(t, bzimage_header_without_the_loader_fields_is_refused);
    tcase_add_test(t, no_initrd_leaves_its_fields_zero);
    tcase_add_test(t, e820_holds_128_entries_and_no_more);
    tcase_add_test(t, short_buffer_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
