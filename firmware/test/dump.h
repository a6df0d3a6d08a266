/*
 * The main function of tests whose tables other programs judge, too: `PROGRAM --dump DIR` writes
 * them as files instead of testing (firmware/test/acpi-tables and its like).
 */
#ifndef FIRMWARE_TEST_DUMP_H
#define FIRMWARE_TEST_DUMP_H

#include <check.h>
#include <stddef.h>

/* Of --dump; NULL: test. Set before `suite` is called. */
extern const char *dump_dir;

/* Asserts that the file can be written whole. Its name, below dump_dir, comes from `fmt`. */
void dump_file(const void *data, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int dump_main(int argc, char **argv, Suite *(*suite)(void));

#endif
