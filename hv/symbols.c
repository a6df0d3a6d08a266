/* Symbols of a guest kernel: see symbols.h. */
#include "hv/symbols.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"

#define PART_MAX   (64 * MIB) /* of a table or text; Linux with everything built in has 20 */
#define SYMBOL_MAX (1u << 21)
#define HEAD       64              /* bytes that tell the form; an ELF-64 header is as long */
#define KASLR_STEP UINT64_C(65536) /* less than any kernel is moved by */

/* An ELF file's section headers; all fields behind a class's words lie at multiples of a word. */
struct sections {
    uint8_t *table; /* owned */
    unsigned count, word;
};

struct section {
    uint32_t type, link;
    uint64_t flags, offset, size;
};

static uint64_t load_word(const uint8_t *p, unsigned word)
{
    return word == 8 ? load_le64(p) : load_le32(p);
}

static unsigned section_size(unsigned word)
{
    return word == 8 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

/* A section of all zeroes, which is none, for a number beyond the table. */
static struct section section_at(const struct sections *s, unsigned i)
{
    const uint8_t *p = s->table + (size_t)i * section_size(s->word);

    if (i >= s->count)
        return (struct section){0};
    return (struct section){.type = load_le32(p + 4),
                            .flags = load_word(p + 8, s->word),
                            .offset = load_word(p + 8 + 2 * s->word, s->word),
                            .size = load_word(p + 8 + 3 * s->word, s->word),
                            .link = load_le32(p + 8 + 4 * s->word)};
}

/* All of [offset, offset + size) with a NUL behind it; NULL: impossible. */
static void *read_part(const struct image *img, uint64_t offset, uint64_t size)
{
    char *part = size <= PART_MAX && range_fits(offset, size, img->size) ? malloc(size + 1) : NULL;

    if (part && image_read(img, offset, part, size)) {
        free(part);
        part = NULL;
    }
    if (part)
        part[size] = '\0';
    return part;
}

/* Both classes of little-endian ELF files (System V ABI, "ELF Header"). */
static bool read_sections(const struct image *img, const char *head, struct sections *s)
{
    const uint8_t *p;

    s->word = head[EI_CLASS] == ELFCLASS64 ? 8 : 4;
    p = (const uint8_t *)head + 0x18 + 2 * s->word; /* e_shoff */
    s->table = NULL;
    s->count = load_le16(p + s->word + 12);
    if (head[EI_DATA] == ELFDATA2LSB && load_le16(p + s->word + 10) == section_size(s->word))
        s->table = read_part(img, load_word(p, s->word), s->count * section_size(s->word));
    return s->table;
}

static struct section symbol_table(const struct sections *s)
{
    unsigned i = 0;

    while (i < s->count && section_at(s, i).type != SHT_SYMTAB)
        i++;
    return section_at(s, i);
}

/* False: no room, for want of memory or sense. */
static bool add(struct symbols *s, uint64_t address, size_t name, enum symbol_kind kind)
{
    if (s->count >= 1024 ? !(s->count & (s->count - 1)) : s->count == 0) {
        size_t room = s->count ? 2 * s->count : 1024;
        void *more = s->count < SYMBOL_MAX ? realloc(s->symbol, room * sizeof(*s->symbol)) : NULL;

        if (!more)
            return false;
        s->symbol = more;
    }
    s->symbol[s->count++] =
        (struct symbol){.address = address, .name = (uint32_t)name, .kind = kind};
    return true;
}

/* A label in a section of code is as good as a function: assembly has no more. */
static bool add_elf_symbols(struct symbols *s, const struct sections *sections,
                            const uint8_t *table, uint64_t size, size_t names)
{
    bool wide = sections->word == 8, good = true;
    unsigned each = wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);

    for (const uint8_t *p = table; good && size >= each; p += each, size -= each) {
        unsigned type = ELF64_ST_TYPE(p[wide ? 4 : 12]);
        struct section in = section_at(sections, load_le16(p + (wide ? 6 : 14)));
        uint32_t name = load_le32(p);

        if (type <= STT_FUNC && in.type && name < names)
            good = add(s, load_word(p + (wide ? 8 : 4), sections->word), name,
                       type != STT_OBJECT && in.flags & SHF_EXECINSTR ? SYMBOL_CODE : SYMBOL_DATA);
    }
    return good;
}

static bool load_elf(struct symbols *s, const char *head)
{
    struct sections sections;
    bool good = read_sections(&s->image, head, &sections);
    struct section table = {0}, names;
    uint8_t *raw = NULL;

    if (good) {
        table = symbol_table(&sections);
        names = section_at(&sections, table.link);
        raw = read_part(&s->image, table.offset, table.size);
        s->names = read_part(&s->image, names.offset, names.size);
        good =
            raw && s->names && add_elf_symbols(s, &sections, raw, table.size, (size_t)names.size);
    }
    free(raw);
    free(sections.table);
    return good;
}

/* "ADDRESS TYPE NAME": *line moves to the name. False: it is no such line. */
static bool parse_line(char **line, uint64_t *address, enum symbol_kind *kind)
{
    char *p = *line;

    if (!isxdigit((unsigned char)*p))
        return false;
    *address = strtoull(p, &p, 16);
    if (p[0] != ' ' || !isalpha((unsigned char)p[1]) || p[2] != ' ')
        return false;
    *kind = strchr("tTwW", p[1]) ? SYMBOL_CODE : SYMBOL_DATA;
    *line = p + 3;
    return isgraph((unsigned char)p[3]);
}

static bool load_text(struct symbols *s)
{
    enum symbol_kind kind;
    uint64_t address;
    char *line, *end;
    bool good;

    end = s->names = read_part(&s->image, 0, s->image.size);
    for (good = end; good && (line = end);) {
        end = memchr(line, '\n', (size_t)(s->names + s->image.size - line));
        if (end)
            *end++ = '\0';
        if (!parse_line(&line, &address, &kind))
            continue;
        if (kind == SYMBOL_CODE && strchr(line, '['))
            kind = SYMBOL_MODULE;
        line[strcspn(line, " \t\r")] = '\0';
        good = add(s, address, (size_t)(line - s->names), kind);
    }
    return good;
}

/* Of several at one address the last says most: code, and of that the first in the file. */
static int compare(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->name < y->name ? 1 : -1;
}

/* The first bytes of the file. True: it is an ELF file. */
static bool read_head(const struct symbols *s, char head[HEAD + 1])
{
    memset(head, 0, HEAD + 1);
    image_read(&s->image, 0, head, s->image.size < HEAD ? (size_t)s->image.size : HEAD);
    return memcmp(head, ELFMAG, SELFMAG) == 0;
}

int symbols_open(struct symbols *s, const char *path)
{
    char head[HEAD + 1], *line = head;
    struct sections sections = {0};
    enum symbol_kind kind;
    uint64_t address;
    bool good;
    int err = image_open(&s->image, path);

    if (err)
        return err;
    if (read_head(s, head))
        good = read_sections(&s->image, head, &sections) && symbol_table(&sections).type;
    else
        good = parse_line(&line, &address, &kind);
    free(sections.table);
    if (good)
        return 0;
    log_error("--symbols %s: is neither an ELF file with a symbol table nor a list like System.map",
              path);
    symbols_close(s);
    return -ENOEXEC;
}

int symbols_load(struct symbols *s)
{
    char head[HEAD + 1];

    if ((read_head(s, head) ? load_elf(s, head) : load_text(s)) && s->count) {
        qsort(s->symbol, s->count, sizeof(*s->symbol), compare);
        return 0;
    }
    log_error("--symbols %s: cannot be read, or holds none", s->image.path);
    return -ENOEXEC;
}

void symbols_close(struct symbols *s)
{
    image_close(&s->image);
    free(s->symbol);
    free(s->names);
    *s = (struct symbols){.image.fd = -1};
}

bool symbols_find(const struct symbols *s, const char *name, uint64_t *address)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->names + s->symbol[i].name, name) == 0) {
            *address = s->symbol[i].address;
            return true;
        }
    return false;
}

bool symbols_locate(struct symbols *s, const char *name, uint64_t address)
{
    uint64_t linked = 0;
    bool moves = symbols_find(s, name, &linked);

    s->offset = moves ? address - linked : 0;
    s->located = !moves || (address && s->offset % KASLR_STEP == 0);
    return s->located;
}

/* The last one at or below `address`. */
static const struct symbol *below(const struct symbols *s, uint64_t address)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->symbol[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &s->symbol[low - 1] : NULL;
}

const char *symbols_describe(const struct symbols *s, uint64_t address, bool returns,
                             char buf[SYMBOL_TEXT_MAX])
{
    uint64_t linked = address - s->offset - returns;
    const struct symbol *at = s->located ? below(s, linked) : NULL;

    buf[0] = '\0';
    /* The last of all has no end. Modules are not where a kernel that moved itself had them. */
    if (!at || at->kind < (s->offset ? SYMBOL_CODE : SYMBOL_MODULE) ||
        at + 1 == s->symbol + s->count)
        return buf;
    snprintf(buf, SYMBOL_TEXT_MAX, " %.80s+0x%" PRIx64 "/0x%" PRIx64, s->names + at->name,
             linked - at->address + returns, at[1].address - at->address);
    for (char *p = buf + 1; *p; p++)
        if (!isgraph((unsigned char)*p))
            *p = '?';
    return buf;
}
