/* Memory functions as plain loops, a byte at a time: what the guests move is short. */
#include "guest-tests/lib/string.h"

void *memset(void *to, int byte, size_t size)
{
    for (char *at = to; size; size--)
        *at++ = (char)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    const char *source = from;

    for (char *at = to; size; size--)
        *at++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    if (to <= from)
        return memcpy(to, from, size);
    while (size-- > 0)
        ((char *)to)[size] = ((const char *)from)[size];
    return to;
}
