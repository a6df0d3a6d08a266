/*
 * What the C standard calls by these names. The compiler may also call mem* by itself, even in
 * code that never mentions them, so every guest needs them.
 */
#ifndef GUEST_STRING_H
#define GUEST_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);

/* Copies what fits into `size` bytes, which are never left without a NUL. */
void string_copy(char *to, const char *from, size_t size);
bool string_starts_with(const char *text, const char *prefix);

/* The number that the text begins with, decimal or 0x...; *end: what follows it. 0 if none. */
uint64_t string_number(const char *text, const char **end);

#endif
