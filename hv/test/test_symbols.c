/* Symbols of a guest kernel: both forms, lookup, offsets, and files that are damaged or hostile. */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/symbols.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

#define FAR        UINT64_C(0xffffffff81000000)
#define TABLE      0x100 /* of symbols, in the ELF file */
#define NAMES      0x400
#define SECTIONS   0x600
#define FILE_BYTES 0x800

static struct symbols s;
static char buf[SYMBOL_TEXT_MAX];

/* Opens and loads; the error of either. */
static int read_file(const char *path)
{
    int err = symbols_open(&s, path);

    if (!err)
        err = symbols_load(&s);
    return err;
}

static void read_text(const char *text)
{
    world_reset();
    ck_assert_int_eq(read_file(file_of(text, strlen(text))), 0);
    ck_assert_uint_eq(world.errors, 0);
}

static const char *at(uint64_t address)
{
    return symbols_describe(&s, address, false, buf);
}

static const char map[] = "0000000000000000 A fixed_percpu_data\n"
                          "ffffffff81000000 T startup_64\n"
                          "ffffffff81000000 T _stext\n"
                          "ffffffff81000040 t middle\n"
                          "ffffffff81000100 W last\n"
                          "ffffffff81000180 D data\n"
                          "ffffffffc0000000 t module_code\t[mod]\n"
                          "ffffffffc0000080 t module_end\t[mod]\n";

START_TEST(text_is_read_and_looked_up)
{
    read_text(map);
    ck_assert_str_eq(at(FAR), ""); /* not located yet */
    ck_assert(symbols_locate(&s, "entry_SYSCALL_64", 0));
    ck_assert_str_eq(at(FAR), " startup_64+0x0/0x40");
    ck_assert_str_eq(at(FAR + 0x3f), " startup_64+0x3f/0x40");
    ck_assert_str_eq(at(FAR + 0x47), " middle+0x7/0xc0");
    ck_assert_str_eq(at(FAR + 0x17f), " last+0x7f/0x80");
    ck_assert_str_eq(at(FAR + 0x180), "");
    ck_assert_str_eq(at(FAR - 1), "");
    ck_assert_str_eq(at(0), "");
    ck_assert_str_eq(at(UINT64_C(0xffffffffc0000004)), " module_code+0x4/0x80");
    ck_assert_str_eq(at(UINT64_MAX), ""); /* behind the last, which has no end */
    symbols_close(&s);
}
END_TEST

START_TEST(return_address_belongs_to_the_function_that_called)
{
    read_text(map);
    symbols_locate(&s, "none", 0);
    ck_assert_str_eq(symbols_describe(&s, FAR + 0x40, true, buf), " startup_64+0x40/0x40");
    ck_assert_str_eq(symbols_describe(&s, FAR + 0x41, true, buf), " middle+0x1/0xc0");
    symbols_close(&s);
}
END_TEST

START_TEST(kernel_that_moved_is_found_by_one_symbol)
{
    const uint64_t moved = FAR + 0x1c600000;

    read_text(map);
    ck_assert(symbols_locate(&s, "middle", moved + 0x40));
    ck_assert_uint_eq(s.offset, 0x1c600000);
    ck_assert_str_eq(at(moved + 0x41), " middle+0x1/0xc0");
    ck_assert_str_eq(at(FAR + 0x41), "");
    /* Modules do not move along. */
    ck_assert_str_eq(at(UINT64_C(0xffffffffc0000004) + 0x1c600000), "");
    /* Lower than where the file has it, as when that is a copy from another boot. */
    ck_assert(symbols_locate(&s, "middle", FAR + 0x40 - 0x600000));
    ck_assert_str_eq(at(FAR - 0x600000), " startup_64+0x0/0x40");
    symbols_close(&s);
}
END_TEST

START_TEST(offset_that_cannot_be_makes_no_names)
{
    read_text(map);
    ck_assert(!symbols_locate(&s, "middle", FAR + 0x50));
    ck_assert_str_eq(at(FAR + 0x41), "");
    ck_assert(!symbols_locate(&s, "middle", 0));
    ck_assert_str_eq(at(FAR + 0x41), "");
    symbols_close(&s);
}
END_TEST

START_TEST(lines_that_make_no_sense_are_left_out)
{
    char text[600], long_name[400];

    memset(long_name, 'n', sizeof(long_name));
    snprintf(text, sizeof(text),
             "10000 T first\n\nT\n10008\nzz T zz\n10010 T\n10020 T \n10030 Tx y\n"
             "10100 t %.*s\n10200 t a\x1b[31m\xff\r\n10300 T end",
             (int)sizeof(long_name), long_name);
    read_text(text);
    symbols_locate(&s, "none", 0);
    ck_assert_uint_eq(s.count, 4);
    ck_assert_str_eq(at(0x10010), " first+0x10/0x100");
    ck_assert_uint_lt(strlen(at(0x10100)), SYMBOL_TEXT_MAX);
    ck_assert(strncmp(at(0x10100), " nnnn", 5) == 0);
    ck_assert_str_eq(at(0x10200), " a?[31m?+0x0/0x100");
    symbols_close(&s);
}
END_TEST

START_TEST(many_symbols_in_any_order_are_sorted)
{
    static char text[64 * 3000];
    size_t len = 0;

    for (unsigned i = 0; i < 3000; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%x T f%u\n",
                                0x1000 + 16 * (i * 7 % 3000), i * 7 % 3000);
    read_text(text);
    symbols_locate(&s, "none", 0);
    ck_assert_uint_eq(s.count, 3000);
    for (unsigned i = 0; i < 2999; i++) {
        char want[40];

        snprintf(want, sizeof(want), " f%u+0x5/0x10", i);
        ck_assert_str_eq(at(0x1005 + 16 * i), want);
    }
    symbols_close(&s);
}
END_TEST

START_TEST(files_of_another_form_are_refused_at_once)
{
    static const char *const texts[] = {"hello\n",      "\n10000 T a\n", "10000 T", "10000 T \n",
                                        "10000\tT a\n", ELFMAG,          "MZ"};

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        world_reset();
        ck_assert_int_eq(symbols_open(&s, file_of(texts[i], strlen(texts[i]))), -ENOEXEC);
        expect_line("--symbols ", "neither an ELF file with a symbol table nor a list");
        ck_assert_int_eq(s.image.fd, -1);
    }
    world_reset();
    ck_assert_int_lt(symbols_open(&s, "/nowhere/System.map"), 0);
    expect_line("/nowhere/System.map", "No such file");
}
END_TEST

START_TEST(text_above_the_limit_is_refused_when_read)
{
    char line[] = "10000 T a\n";
    const char *path;
    FILE *out;

    world_reset();
    path = sparse_file((UINT64_C(64) << 20) + 1);
    out = fopen(path, "r+");
    ck_assert_ptr_nonnull(out);
    fputs(line, out);
    fclose(out);
    ck_assert_int_eq(symbols_open(&s, path), 0);
    ck_assert_int_eq(symbols_load(&s), -ENOEXEC);
    expect_line("--symbols ", "cannot be read");
    symbols_close(&s);
}
END_TEST

/* A file with symbols of section 1 (code) and 2 (data). */
static struct blob file;

static void put_symbol(bool wide, unsigned n, uint32_t name, unsigned type, unsigned section,
                       uint64_t value)
{
    size_t p = TABLE + n * (wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym));

    blob_put(&file, p, name, 4);
    blob_put(&file, p + (wide ? 4 : 12), type, 1);
    blob_put(&file, p + (wide ? 6 : 14), section, 2);
    blob_put(&file, p + (wide ? 8 : 4), value, wide ? 8 : 4);
}

static void put_section(bool wide, unsigned n, uint32_t type, uint64_t flags, uint64_t offset,
                        uint64_t size, uint32_t link)
{
    size_t word = wide ? 8 : 4, p = SECTIONS + n * (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr));

    blob_put(&file, p + 4, type, 4);
    blob_put(&file, p + 8, flags, word);
    blob_put(&file, p + 8 + 2 * word, offset, word);
    blob_put(&file, p + 8 + 3 * word, size, word);
    blob_put(&file, p + 8 + 4 * word, link, 4);
}

static void build_elf(bool wide)
{
    static const char names[] = "\0entry\0label\0data\0outside";
    size_t each = wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);

    memset(&file, 0, sizeof(file));
    blob_bytes(&file, 0, ELFMAG, SELFMAG);
    blob_put(&file, EI_CLASS, wide ? ELFCLASS64 : ELFCLASS32, 1);
    blob_put(&file, EI_DATA, ELFDATA2LSB, 1);
    blob_put(&file, wide ? 0x28 : 0x20, SECTIONS, wide ? 8 : 4);
    blob_put(&file, wide ? 0x3a : 0x2e, wide ? 64 : 40, 2);
    blob_put(&file, wide ? 0x3c : 0x30, 5, 2);
    put_symbol(wide, 1, 1, STT_FUNC, 1, 0x81000000);
    put_symbol(wide, 2, 7, STT_NOTYPE, 1, 0x81000100);
    put_symbol(wide, 3, 13, STT_OBJECT, 2, 0x81000200);
    put_symbol(wide, 4, 18, STT_FUNC, SHN_ABS, 0x81000080);
    put_symbol(wide, 5, 0x7fffffff, STT_FUNC, 1, 0x81000090);
    put_section(wide, 1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, 0, 0);
    put_section(wide, 2, SHT_PROGBITS, SHF_ALLOC, 0, 0, 0);
    put_section(wide, 3, SHT_SYMTAB, 0, TABLE, 6 * each, 4);
    put_section(wide, 4, SHT_STRTAB, 0, NAMES, sizeof(names), 0);
    blob_bytes(&file, NAMES, names, sizeof(names));
    blob_put(&file, FILE_BYTES - 1, 0, 1);
}

START_TEST(elf_files_of_both_classes_are_read)
{
    for (unsigned wide = 0; wide < 2; wide++) {
        build_elf(wide);
        world_reset();
        ck_assert_int_eq(read_file(file_of(file.data, file.len)), 0);
        ck_assert(symbols_locate(&s, "nowhere", 0));
        ck_assert_str_eq(at(0x81000085), " entry+0x85/0x100");
        ck_assert_str_eq(at(0x81000101), " label+0x1/0x100");
        ck_assert_str_eq(at(0x81000201), "");
        ck_assert(symbols_locate(&s, "label", 0x91000100));
        ck_assert_str_eq(at(0x91000001), " entry+0x1/0x100");
        symbols_close(&s);
    }
}
END_TEST

START_TEST(elf_file_without_symbols_is_refused_at_once)
{
    build_elf(true);
    put_section(true, 3, SHT_PROGBITS, 0, 0, 0, 0);
    world_reset();
    ck_assert_int_eq(symbols_open(&s, file_of(file.data, file.len)), -ENOEXEC);
    expect_line("--symbols ", "symbol table");
    /* Section headers of no known size, beyond the file, and of the other byte order. */
    build_elf(true);
    blob_put(&file, 0x3a, 63, 2);
    ck_assert_int_eq(symbols_open(&s, file_of(file.data, file.len)), -ENOEXEC);
    build_elf(true);
    blob_put(&file, 0x28, UINT64_MAX - 64, 8);
    ck_assert_int_eq(symbols_open(&s, file_of(file.data, file.len)), -ENOEXEC);
    build_elf(true);
    blob_put(&file, EI_DATA, ELFDATA2MSB, 1);
    ck_assert_int_eq(symbols_open(&s, file_of(file.data, file.len)), -ENOEXEC);
}
END_TEST

START_TEST(tables_beyond_the_file_are_refused_when_read)
{
    static const uint64_t bad[] = {FILE_BYTES, UINT64_MAX, UINT64_C(1) << 40};

    for (unsigned i = 0; i < ARRAY_SIZE(bad) * 4; i++) {
        uint64_t value = bad[i / 4];
        size_t section = i & 1 ? 3 : 4, word = i & 2 ? 16 : 24; /* offset, size */

        build_elf(true);
        blob_put(&file, SECTIONS + section * 64 + 8 + word, value, 8);
        world_reset();
        ck_assert_int_eq(read_file(file_of(file.data, file.len)), -ENOEXEC);
        expect_line("--symbols ", "cannot be read");
        symbols_close(&s);
    }
}
END_TEST

/* Whatever a byte is, nothing is read out of bounds (the sanitizers see it) and nothing hangs. */
START_TEST(every_byte_may_be_wrong)
{
    for (unsigned i = 0; i < FILE_BYTES; i++)
        for (unsigned wide = 0; wide < 2; wide++) {
            build_elf(wide);
            file.data[i] ^= 0xff;
            world_reset();
            if (read_file(file_of(file.data, file.len)) == 0) {
                symbols_locate(&s, "label", 0x81000100);
                at(0x81000085);
                at(UINT64_MAX);
                at(0);
            }
            symbols_close(&s);
        }
}
END_TEST

START_TEST(every_truncation_is_survived)
{
    for (size_t len = 1; len <= FILE_BYTES; len += 7) {
        build_elf(true);
        world_reset();
        if (read_file(file_of(file.data, len)) == 0)
            at(0x81000085);
        symbols_close(&s);
    }
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(text_is_read_and_looked_up),
        CASE(return_address_belongs_to_the_function_that_called),
        CASE(kernel_that_moved_is_found_by_one_symbol),
        CASE(offset_that_cannot_be_makes_no_names),
        CASE(lines_that_make_no_sense_are_left_out),
        CASE(many_symbols_in_any_order_are_sorted),
        CASE(files_of_another_form_are_refused_at_once),
        CASE(text_above_the_limit_is_refused_when_read),
        CASE(elf_files_of_both_classes_are_read),
        CASE(elf_file_without_symbols_is_refused_at_once),
        CASE(tables_beyond_the_file_are_refused_when_read),
        CASE(every_byte_may_be_wrong),
        CASE(every_truncation_is_survived),
    };

    return run_suite("symbols", cases, ARRAY_SIZE(cases));
}
