/* Releases and module directories: see kernel_info.h. */
#include "hv/command/kernel_info.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/command/text_file.h"
#include "hv/loader/loader.h"

/* Documentation/arch/x86/boot.rst. */
#define SETUP_SECTS    0x1f1
#define HEADER_MAGIC   0x202
#define KERNEL_VERSION 0x20e
#define HEADER_SIZE    0x210
#define SECTOR         512

/* ELF-64 (System V ABI, "ELF Header", "Sections"). */
#define E_SHOFF       0x28
#define E_SHENTSIZE   0x3a
#define E_SHNUM       0x3c
#define SECTION_SIZE  64
#define SECTIONS_MAX  64
#define SH_TYPE       0x04
#define SH_FLAGS      0x08
#define SH_OFFSET     0x18
#define SHT_PROGBITS  1
#define SHF_ALLOC     2
#define SHF_EXECINSTR 4

#define SEARCH_MAX    (UINT64_C(512) << 20)
#define CHUNK         (256 * KIB)

static const char banner[] = "Linux version ";

/* Copies the word at `text`, which ends in a NUL; "" unless it can be part of a path. */
static void take_release(const char *text, char release[KERNEL_RELEASE_MAX])
{
    size_t len = strcspn(text, " \n");

    release[0] = '\0';
    if (len >= KERNEL_RELEASE_MAX || !isdigit((unsigned char)text[0]))
        return;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(".+-_~", text[i]))
            return;
    memcpy(release, text, len);
    release[len] = '\0';
}

/* The field counts from the end of the boot sector; the text lies within the setup sectors. */
static int bzimage_release(const struct image *img, const uint8_t *head,
                           char release[KERNEL_RELEASE_MAX])
{
    unsigned sectors = head[SETUP_SECTS] ? head[SETUP_SECTS] : 4;
    unsigned at = load_le16(head + KERNEL_VERSION);
    char text[KERNEL_RELEASE_MAX + 1] = "";
    uint64_t room;
    int err;

    if (at == 0 || at >= sectors * SECTOR || at + SECTOR >= img->size)
        return 0;
    room = img->size - (at + SECTOR);
    err = image_read(img, at + SECTOR, text,
                     room < KERNEL_RELEASE_MAX ? (size_t)room : KERNEL_RELEASE_MAX);
    if (!err)
        take_release(text, release);
    return err;
}

/* The first banner in `len` bytes, which have a NUL behind them, that a release follows. */
static bool search(const char *text, size_t len, char release[KERNEL_RELEASE_MAX])
{
    const char *end = text + len;

    while ((text = memmem(text, (size_t)(end - text), banner, sizeof(banner) - 1))) {
        text += sizeof(banner) - 1;
        take_release(text, release);
        if (release[0])
            return true;
    }
    return false;
}

/*
 * Where the first data of a vmlinux lie: its banner is among them, behind some 15 MiB of code that
 * need not be searched. Only a hint: 0 when the file does not tell, and what it tells may be wrong.
 */
static uint64_t data_offset(const struct image *img, const uint8_t *head)
{
    uint8_t table[SECTIONS_MAX * SECTION_SIZE];
    uint64_t at = load_le64(head + E_SHOFF);
    unsigned count = load_le16(head + E_SHNUM);

    if (memcmp(head,
               "\x7f"
               "ELF\2\1",
               6) != 0 ||
        load_le16(head + E_SHENTSIZE) != SECTION_SIZE)
        return 0;
    if (count > SECTIONS_MAX)
        count = SECTIONS_MAX;
    if (!range_fits(at, count * SECTION_SIZE, img->size) ||
        image_read(img, at, table, count * SECTION_SIZE))
        return 0;
    for (const uint8_t *s = table; s < table + count * SECTION_SIZE; s += SECTION_SIZE) {
        uint64_t flags = load_le64(s + SH_FLAGS) & (SHF_ALLOC | SHF_EXECINSTR);

        if (load_le32(s + SH_TYPE) == SHT_PROGBITS && flags == SHF_ALLOC)
            return load_le64(s + SH_OFFSET);
    }
    return 0;
}

/* Piece by piece from `at` on: a vmlinux has 60 MiB. Pieces overlap, so that none is cut within a
 * banner. */
static int banner_release(const struct image *img, uint64_t at, char release[KERNEL_RELEASE_MAX])
{
    const size_t overlap = sizeof(banner) + KERNEL_RELEASE_MAX;
    uint64_t size = img->size < SEARCH_MAX ? img->size : SEARCH_MAX;
    char *text = malloc(CHUNK + 1);
    int err = text ? 0 : -ENOMEM;

    for (; !err && at < size; at += CHUNK - overlap) {
        size_t len = size - at < CHUNK ? (size_t)(size - at) : CHUNK;

        err = image_read(img, at, text, len);
        if (err)
            break;
        text[len] = '\0';
        /* One that ends too near to the end may be cut; the next piece has all of it. */
        if (search(text, at + len < size ? len - KERNEL_RELEASE_MAX : len, release))
            break;
    }
    free(text);
    return err;
}

static int search_release(const struct image *img, const uint8_t *head,
                          char release[KERNEL_RELEASE_MAX])
{
    uint64_t from = data_offset(img, head);
    int err = banner_release(img, from, release);

    return err || !from || release[0] ? err : banner_release(img, 0, release);
}

int kernel_release(const char *path, char release[KERNEL_RELEASE_MAX])
{
    uint8_t head[HEADER_SIZE] = {0};
    struct image img;
    int err = image_open(&img, path);

    release[0] = '\0';
    if (err)
        return err;
    if (img.size >= sizeof(head))
        err = image_read(&img, 0, head, sizeof(head));
    if (!err && memcmp(head + HEADER_MAGIC, "HdrS", 4) == 0)
        err = bzimage_release(&img, head, release);
    else if (!err)
        err = search_release(&img, head, release);
    if (err)
        log_error("%s: cannot read: %s", path, strerror(-err));
    image_close(&img);
    return err;
}

/*
 * For which kernel a directory's modules were built: what the first of them says ("vermagic=", the
 * module's .modinfo). "" when it is compressed or says nothing.
 */
static void built_for(const char *dir, char release[KERNEL_RELEASE_MAX])
{
    static const char key[] = "vermagic=";
    char *list, *module = NULL, *at;
    size_t len;

    release[0] = '\0';
    if (text_file_read(dir, "modules.dep", &list, NULL))
        return;
    list[strcspn(list, ":\n")] = '\0';
    if (*list && text_file_read(dir, list, &module, &len) == 0) {
        at = memmem(module, len, key, sizeof(key) - 1);
        if (at)
            take_release(at + sizeof(key) - 1, release);
    }
    free(module);
    free(list);
}

static bool has_modules(const char *dir)
{
    char *path;
    bool there = false;

    if (asprintf(&path, "%s/modules.dep", dir) >= 0) {
        there = access(path, R_OK) == 0;
        free(path);
    }
    return there;
}

/* A search for the modules of `release` in one directory after the other. */
struct hunt {
    const char *release;
    char *dir;                      /* found; owned */
    char other[KERNEL_RELEASE_MAX]; /* of which there were modules instead */
};

/* BASE + BELOW. Only a directory that is not named after the release has to be looked into. */
static int try_dir(struct hunt *h, const char *base, const char *below)
{
    char built[KERNEL_RELEASE_MAX];
    char *path;

    if (h->dir)
        return 0;
    if (asprintf(&path, "%s%s", base, below) < 0)
        return -ENOMEM;
    if (has_modules(path)) {
        built_for(path, built);
        if (!built[0] || !*h->release || strcmp(built, h->release) == 0) {
            h->dir = path;
            return 0;
        }
        memcpy(h->other, built, sizeof(built));
        log_debug("%s: has the modules of %s, not of %s", path, built, h->release);
    }
    free(path);
    return 0;
}

/* BASE + BELOW + RELEASE. */
static int try_release(struct hunt *h, const char *base, const char *below)
{
    char *path;

    if (h->dir || !*h->release)
        return 0;
    if (asprintf(&path, "%s%s%s", base, below, h->release) < 0)
        return -ENOMEM;
    if (has_modules(path))
        h->dir = path;
    else
        free(path);
    return 0;
}

/* Any release of which `dir` has modules, for the message. */
static void find_other(struct hunt *h, const char *dir, const char *below)
{
    struct dirent *entry;
    char *path, *sub;
    DIR *stream;

    if (asprintf(&path, "%s%s", dir, below) < 0)
        return;
    stream = opendir(path);
    while (stream && !h->other[0] && (entry = readdir(stream))) {
        if (entry->d_name[0] == '.' || asprintf(&sub, "%s/%s", path, entry->d_name) < 0)
            continue;
        if (has_modules(sub))
            snprintf(h->other, sizeof(h->other), "%.64s", entry->d_name);
        free(sub);
    }
    if (stream)
        closedir(stream);
    free(path);
}

/* Why --modules has nothing; -ENOENT. */
static int explain(struct hunt *h, const char *kernel, const char *wish)
{
    find_other(h, wish, "/lib/modules");
    find_other(h, wish, "");
    if (!*h->release)
        log_error("--modules %s: there is no modules.dep in it, and %s does not say which release "
                  "it is",
                  wish, kernel);
    else if (h->other[0])
        log_error("--modules %s: has the modules of %s, but %s is %s", wish, h->other, kernel,
                  h->release);
    else
        log_error("--modules %s: has no modules.dep of %s, the release of %s (depmod makes it)",
                  wish, h->release, kernel);
    return -ENOENT;
}

static int hunt_wish(struct hunt *h, const char *kernel, const char *wish)
{
    int err = try_dir(h, wish, "");

    if (!err)
        err = try_release(h, wish, "/lib/modules/");
    if (!err)
        err = try_release(h, wish, "/");
    return err || h->dir ? err : explain(h, kernel, wish);
}

static int hunt_around(struct hunt *h, const char *kernel)
{
    const char *slash = strrchr(kernel, '/');
    char *base = strndup(kernel, slash ? (size_t)(slash + 1 - kernel) : 0);
    int err = base ? 0 : -ENOMEM;

    if (!err)
        err = try_dir(h, base, "modules");
    if (!err)
        err = try_release(h, base, "modules/");
    if (!err)
        err = try_release(h, base, "lib/modules/");
    if (!err)
        err = try_release(h, "/", "lib/modules/");
    free(base);
    return err;
}

int kernel_modules(const char *kernel, const char *release, const char *wish, char **dir)
{
    struct hunt h = {.release = release};
    int err = wish ? hunt_wish(&h, kernel, wish) : hunt_around(&h, kernel);

    if (err == -ENOMEM)
        log_error("out of memory");
    if (!err)
        log_debug("%s: release %s, modules %s", kernel, *release ? release : "unknown",
                  h.dir ? h.dir : "none");
    *dir = h.dir;
    return err;
}
