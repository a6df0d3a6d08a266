/* Device trees; see dtb.h. All numbers in them are big-endian. */
#include "guest-tests/arm64/lib/dtb.h"

#include "guest-tests/lib/string.h"

#define MAGIC       0xd00dfeedu
#define TOTAL_SIZE  4
#define STRUCT_OFF  8
#define STRINGS_OFF 12

enum { BEGIN_NODE = 1, END_NODE = 2, PROPERTY = 3, NOP = 4, END = 9 };

static uintptr_t tree;

static uint32_t load(uintptr_t at)
{
    return __builtin_bswap32(*(const uint32_t *)at);
}

void dtb_open(uintptr_t at)
{
    tree = at;
}

uint32_t dtb_size(void)
{
    return tree && tree % 8 == 0 && load(tree) == MAGIC ? load(tree + TOTAL_SIZE) : 0;
}

static uintptr_t align4(uintptr_t at)
{
    return (at + 3) & ~(uintptr_t)3;
}

/* One pass over the structure: properties of a node come before its children. */
static const void *search(const char *node, const char *name, uint32_t *len, unsigned *nodes)
{
    uintptr_t at = tree + load(tree + STRUCT_OFF), strings = tree + load(tree + STRINGS_OFF);
    bool here = false;

    for (;;) {
        uint32_t token = load(at);

        at += 4;
        if (token == BEGIN_NODE) {
            const char *own = (const char *)at;

            here = *node ? string_starts_with(own, node) : !*own;
            *nodes += here;
            at = align4(at + strlen(own) + 1);
        } else if (token == PROPERTY) {
            *len = load(at);
            if (here && name && strcmp((const char *)strings + load(at + 4), name) == 0)
                return (const void *)(at + 8);
            at = align4(at + 8 + *len);
        } else if (token == END_NODE) {
            here = false;
        } else if (token != NOP) {
            return NULL; /* END, or damaged */
        }
    }
}

const void *dtb_property(const char *node, const char *name, uint32_t *len)
{
    unsigned nodes = 0;

    return dtb_size() ? search(node, name, len, &nodes) : NULL;
}

uint32_t dtb_cell(const char *node, const char *name, unsigned nth)
{
    uint32_t len;
    const void *cells = dtb_property(node, name, &len);

    return cells && (nth + 1) * 4 <= len ? load((uintptr_t)cells + nth * 4) : 0;
}

unsigned dtb_count(const char *node)
{
    unsigned nodes = 0;
    uint32_t len;

    if (dtb_size())
        search(node, NULL, &len, &nodes);
    return nodes;
}
