/*
 * Good kernels with random damage, and real ones: whatever happens, the loader returns a sound
 * kernel or one line and -errno, in time, and touches no memory that it may not (guard pages, and
 * a sanitizer when built with one). HV_FUZZ_MS sets the time, HV_FUZZ_SEED repeats a run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

#define RAM_BYTES    (UINT64_C(32) << 20)
#define DEFAULT_MS   1200
#define RESERVED_LOW (UINT64_C(64) << 10)

static struct blob bad;
static uint64_t rng;

static const struct reserved_range reserved[] = {{0, RESERVED_LOW, "boot data"},
                                                 {RAM_BYTES - 8192, 8192, "ACPI tables"}};

/* xorshift64*: the same sequence everywhere for the same seed. */
static uint32_t next_random(void)
{
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^= rng >> 27;
    return (uint32_t)((rng * UINT64_C(2685821657736338717)) >> 32);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void build_pvh(struct blob *b)
{
    build_elf64(b);
    build_note(b, ELF_ENTRY, 8, 8);
}

static void build_multiboot32(struct blob *b)
{
    build_elf32(b);
    build_multiboot(b, ELF_TEXT, 3, NULL);
}

static void build_flat(struct blob *b)
{
    const uint32_t a[5] = {0x100040, 0x100000, 0x102000, 0x110000, 0x100080};

    memset(b, 0, sizeof(*b));
    blob_pattern(b, 0, 8192, 5);
    build_multiboot(b, 64, 0x10000, a);
}

/* The bytes that steer a loader, with their width: where damage goes. */
static const struct recipe {
    void (*build)(struct blob *b);
    size_t from, to;
} recipes[] = {{build_bzimage, 0x1f0, 0x270},
               {build_pvh, 0, 64 + 3 * 56},
               {build_pvh, ELF_NOTES, ELF_NOTES + 64},
               {build_elf64, 0, 64 + 3 * 56},
               {build_elf32, 0, 52 + 3 * 32},
               {build_multiboot32, 0, 52 + 3 * 32},
               {build_flat, 64, 96}};

/* Values at which arithmetic goes wrong are worth more than random ones. */
static uint64_t odd_value(void)
{
    static const uint64_t odd[] = {0,          1,          0x7fffffff, 0x80000000,
                                   0xfffff000, UINT32_MAX, INT64_MAX,  UINT64_MAX,
                                   0x100000,   RAM_BYTES,  0x1ffffff,  4 * GIB - 1};
    uint32_t r = next_random();

    return r & 1 ? odd[(r >> 1) % ARRAY_SIZE(odd)] + (next_random() % 5) - 2 : r;
}

static void damage(struct blob *b, const struct recipe *r)
{
    unsigned changes = 1 + next_random() % 4;

    while (changes-- > 0) {
        size_t at = r->from + next_random() % (r->to - r->from);
        unsigned kind = next_random() % 4;

        if (kind == 0)
            b->data[at] ^= (uint8_t)(1u << next_random() % 8);
        else if (kind == 1)
            b->data[at] = (uint8_t)next_random();
        else
            blob_put(b, kind == 2 ? at & ~(size_t)3 : at & ~(size_t)7, odd_value(),
                     kind == 2 ? 4 : 8);
    }
    if (next_random() % 8 == 0)
        b->len = 1 + next_random() % b->len;
}

static void check_sound(const struct kernel *k)
{
    ck_assert_uint_lt(k->low, k->high);
    ck_assert(k->protocol > BOOT_AUTO && k->protocol <= BOOT_MULTIBOOT);
    ck_assert(k->entry >= k->low && k->entry < k->high && k->entry <= UINT32_MAX);
    ck_assert_uint_ge(k->low, RESERVED_LOW);
    ck_assert_uint_le(k->high, RAM_BYTES - 8192);
    ck_assert_uint_le(k->setup_header_len, SETUP_HEADER_MAX);
    ck_assert_uint_eq(world.errors, 0);
}

/* Reserved memory must still be as it was; the rest goes back to zeroes at little cost. */
static void check_memory(void)
{
    static const uint8_t zeroes[8192];

    for (unsigned i = 0; i < RESERVED_LOW / sizeof(zeroes); i++)
        ck_assert_mem_eq(ram(i * sizeof(zeroes)), zeroes, sizeof(zeroes));
    ck_assert_mem_eq(ram(RAM_BYTES - 8192), zeroes, sizeof(zeroes));
    madvise(ram(0), RAM_BYTES, MADV_DONTNEED);
}

/* True when the damaged kernel was loaded all the same. */
static bool one_round(const struct recipe *r, const struct blob *good, struct kernel *kernel)
{
    struct initrd initrd;
    const char *path;
    int err;

    memcpy(bad.data, good->data, good->len);
    bad.len = good->len;
    damage(&bad, r);
    world.req.wish = next_random() % 4 ? BOOT_AUTO : (enum boot_protocol)(next_random() % 5);
    err = load_bytes(bad.data, bad.len, kernel);
    if (err) {
        ck_assert_int_lt(err, 0);
        expect_line("/proc/self/fd/", "");
        return false;
    }
    check_sound(kernel);
    path = "/proc/self/exe"; /* some megabytes, less than what there is or more */
    err = initrd_load(&world.req, kernel, &path, 1, &initrd);
    if (err)
        expect_line(path, "");
    else
        ck_assert(initrd.gpa >= MIB && initrd.gpa + initrd.size <= RAM_BYTES - 8192 &&
                  (initrd.gpa >= kernel->high || initrd.gpa + initrd.size <= kernel->low) &&
                  initrd.gpa + initrd.size - 1 <= kernel->initrd_max);
    return true;
}

START_TEST(damaged_headers_give_a_sound_kernel_or_one_line)
{
    uint64_t seed = from_env("HV_FUZZ_SEED", 20240607);
    uint64_t end = now_ms() + from_env("HV_FUZZ_MS", DEFAULT_MS);
    static struct blob good[ARRAY_SIZE(recipes)];
    unsigned rounds = 0, loaded = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(recipes); i++)
        recipes[i].build(&good[i]);
    rng = seed ? seed : 1;
    world_reset();
    world_ram(RAM_BYTES, 0);
    world.req.reserved = reserved;
    world.req.reserved_count = ARRAY_SIZE(reserved);
    do {
        const struct recipe *r = &recipes[rounds % ARRAY_SIZE(recipes)];
        struct kernel kernel;

        loaded += one_round(r, &good[rounds % ARRAY_SIZE(recipes)], &kernel);
        check_memory();
        rounds++;
    } while (now_ms() < end);
    printf("# %u rounds, %u loaded, seed %llu\n", rounds, loaded, (unsigned long long)seed);
    /* Damage that always or never shows would test little. */
    ck_assert_uint_gt(loaded, rounds / 50);
    ck_assert_uint_lt(loaded, rounds / 2);
}
END_TEST

/* Loads a kernel file of this machine's, if it is there. */
static bool load_real(const char *path, struct kernel *kernel)
{
    int err;

    if (access(path, R_OK) != 0) {
        printf("# %s is not there, not tested (make guests)\n", path);
        return false;
    }
    world_reset();
    world_ram(256 * MIB, 0);
    err = load_path(path, kernel);
    ck_assert_msg(err == 0, "%s", world.line);
    return true;
}

START_TEST(debian_bzimage_is_entered_in_64_bit_at_16_mib)
{
    struct kernel k;

    if (!load_real("build/guest/x86_64/vmlinuz", &k))
        return;
    ck_assert_int_eq(k.protocol, BOOT_LINUX64);
    ck_assert_uint_eq(k.entry, 16 * MIB + 0x200);
    ck_assert_uint_gt(k.high - k.low, 16 * MIB);
    ck_assert_uint_eq(k.cmdline_max, 2047);
}
END_TEST

START_TEST(debian_vmlinux_is_entered_by_pvh)
{
    struct kernel k;

    if (!load_real("build/guest/x86_64/vmlinux", &k))
        return;
    ck_assert_int_eq(k.protocol, BOOT_PVH);
    ck_assert_uint_eq(k.low, 16 * MIB);
    world.req.wish = BOOT_LINUX64;
    ck_assert_int_eq(load_path("build/guest/x86_64/vmlinux", &k), 0);
    ck_assert_uint_eq(k.entry, 16 * MIB);
}
END_TEST

START_TEST(debian_bzimage_truncated_at_every_512_bytes_is_refused)
{
    const char *original = "build/guest/x86_64/vmlinuz";
    const char *copy;
    struct kernel k;
    struct image img;
    uint64_t end = now_ms() + 1500;
    size_t len;
    void *map;

    if (!load_real(original, &k))
        return;
    ck_assert_int_eq(image_open(&img, original), 0);
    map = mmap(NULL, img.size, PROT_READ, MAP_PRIVATE, img.fd, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    copy = file_of(map, img.size);
    /* The setup header says how long the kernel is; a signature may follow it. */
    len = (*((uint8_t *)map + 0x1f1) + 1u) * 512 + 16 * (size_t)load_le32((uint8_t *)map + 0x1f4);
    for (len = (len - 1) / 512 * 512; len >= 512 && now_ms() < end; len -= 512) {
        ck_assert_int_eq(truncate(copy, (off_t)len), 0);
        ck_assert_int_eq(load_path(copy, &k), -ENOEXEC);
        expect_line(copy, "");
    }
    if (len >= 512) /* a slow machine or build; the synthetic kernels cover every step */
        printf("# time is up, not truncated below %zu bytes\n", len);
    munmap(map, img.size);
    image_close(&img);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(damaged_headers_give_a_sound_kernel_or_one_line),
        CASE(debian_bzimage_is_entered_in_64_bit_at_16_mib),
        CASE(debian_vmlinux_is_entered_by_pvh),
        CASE(debian_bzimage_truncated_at_every_512_bytes_is_refused),
    };

    return run_suite("loader-fuzz", cases, ARRAY_SIZE(cases));
}
