/*
 * malloc and its family for the guest's program, in place of the C library's, which would be a
 * sixth of it: a mapping for each allocation. There are few, and most are large.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Before the bytes that the caller gets: how long the mapping is. */
struct head {
    _Alignas(16) size_t size;
};

void *malloc(size_t size)
{
    struct head *head;

    if (size > PTRDIFF_MAX - sizeof(*head)) {
        errno = ENOMEM;
        return NULL;
    }
    size += sizeof(*head);
    head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (head == MAP_FAILED)
        return NULL;
    head->size = size;
    return head + 1;
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    /* A new mapping is zero. */
    return malloc(bytes ? bytes : 1);
}

void *realloc(void *old, size_t size)
{
    struct head *head = old;

    if (!old)
        return malloc(size);
    head--;
    if (size > PTRDIFF_MAX - sizeof(*head)) {
        errno = ENOMEM;
        return NULL;
    }
    size += sizeof(*head);
    head = mremap(head, head->size, size, MREMAP_MAYMOVE);
    if (head == MAP_FAILED)
        return NULL;
    head->size = size;
    return head + 1;
}

void free(void *old)
{
    struct head *head = old;

    if (head)
        (void)munmap(head - 1, head[-1].size);
}
