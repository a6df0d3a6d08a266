/* Which module files must be loaded in which order, from modules.dep and modules.builtin. */
#include <errno.h>

#include "hv/command/modules.h"
#include "hv/test/command_world.h"
#include "hv/test/run_suite.h"

static struct command_world w;

static struct modules *opened(const char *dep, const char *builtin)
{
    struct modules *m;

    command_world_text(&w, "modules.dep", dep);
    if (builtin)
        command_world_text(&w, "modules.builtin", builtin);
    ck_assert_int_eq(modules_open(&m, w.dir), 0);
    return m;
}

/* The list as one text. */
static void check_list(const struct modules *m, const char *wanted)
{
    char text[1024] = "";

    for (unsigned i = 0; i < modules_count(m); i++) {
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", modules_file(m, i));
    }
    ck_assert_str_eq(text, wanted);
}

START_TEST(dependencies_come_first_and_each_file_once)
{
    struct modules *m;

    command_world_start(&w);
    /* As depmod writes it: all of them, what is to be loaded first last. */
    m = opened("k/a.ko: k/b.ko k/c.ko k/d.ko\nk/b.ko: k/c.ko k/d.ko\nk/c.ko: k/d.ko\nk/d.ko:\n"
               "k/e.ko: k/d.ko\n",
               "");
    ck_assert_int_eq(modules_add(m, "e"), 0);
    check_list(m, "k/d.ko k/e.ko");
    ck_assert_int_eq(modules_add(m, "a"), 0);
    ck_assert_int_eq(modules_add(m, "a"), 0);
    ck_assert_int_eq(modules_add(m, "b"), 0);
    check_list(m, "k/d.ko k/e.ko k/c.ko k/b.ko k/a.ko");
    modules_close(m);
    /* And with the nearest only. */
    m = opened("k/a.ko: k/b.ko\nk/b.ko: k/c.ko\nk/c.ko:", "");
    ck_assert_int_eq(modules_add(m, "a"), 0);
    check_list(m, "k/c.ko k/b.ko k/a.ko");
    modules_close(m);
    command_world_end(&w);
}
END_TEST

START_TEST(names_are_the_same_with_either_dash_and_any_packing)
{
    struct modules *m;

    command_world_start(&w);
    m = opened("k/virtio-rng.ko.xz:\nk/virtio_blk.ko.zst:\nx.ko.gz:\nk/9pnet_virtio.ko:\n",
               "kernel/net/9p/9pnet.ko\nkernel/a-b.ko\n");
    ck_assert_int_eq(modules_state(m, "virtio_rng"), MODULE_FILE);
    ck_assert_int_eq(modules_state(m, "virtio-rng"), MODULE_FILE);
    ck_assert_int_eq(modules_state(m, "virtio_blk"), MODULE_FILE);
    ck_assert_int_eq(modules_state(m, "x"), MODULE_FILE);
    ck_assert_int_eq(modules_state(m, "9pnet"), MODULE_BUILTIN);
    ck_assert_int_eq(modules_state(m, "a_b"), MODULE_BUILTIN);
    ck_assert_int_eq(modules_state(m, "virtio"), MODULE_MISSING);
    ck_assert_int_eq(modules_state(m, "9p"), MODULE_MISSING);
    ck_assert_int_eq(modules_state(m, "virtio_rngs"), MODULE_MISSING);
    ck_assert_int_eq(modules_add(m, "9pnet"), 0);
    ck_assert_int_eq(modules_add(m, "nothing"), 0);
    check_list(m, "");
    modules_close(m);
    command_world_end(&w);
}
END_TEST

START_TEST(without_a_directory_or_list_nothing_is_known)
{
    struct modules *m;

    command_world_start(&w);
    ck_assert_int_eq(modules_open(&m, NULL), 0);
    ck_assert_int_eq(modules_state(m, "9p"), MODULE_UNKNOWN);
    ck_assert_int_eq(modules_add(m, "9p"), 0);
    ck_assert_uint_eq(modules_count(m), 0);
    modules_close(m);
    m = opened("k/9p.ko:\n", NULL);
    ck_assert_int_eq(modules_state(m, "9p"), MODULE_FILE);
    ck_assert_int_eq(modules_state(m, "overlay"), MODULE_UNKNOWN);
    modules_close(m);
    m = opened("", "");
    ck_assert_int_eq(modules_state(m, "overlay"), MODULE_MISSING);
    modules_close(m);
    modules_close(NULL);
    ck_assert_int_eq(modules_open(&m, command_world_path(&w, "none")), -ENOENT);
    ck_assert_ptr_null(m);
    ck_assert_uint_eq(w.messages, 1);
    command_world_end(&w);
}
END_TEST

static void damaged(const char *dep, int err, const char *part)
{
    struct modules *m = opened(dep, "");

    w.messages = 0;
    ck_assert_int_eq(modules_add(m, "a"), err);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_msg(strstr(w.message, part) != NULL, "\"%s\" lacks \"%s\"", w.message, part);
    modules_close(m);
}

START_TEST(damaged_dependencies_are_refused)
{
    static char chain[64 * 64], many[80 * 16];
    struct modules *m;
    size_t len;

    command_world_start(&w);
    damaged("a.ko: b.ko\n", -ENOENT, "a.ko depends on b.ko, which is not there");
    damaged("a.ko: ../b.ko\n../b.ko:\n", -ENOENT, "../b.ko");
    damaged("a.ko: /b.ko\n/b.ko:\n", -ENOENT, "/b.ko");
    len = (size_t)snprintf(chain, sizeof(chain), "a.ko: 0.ko\n");
    for (unsigned i = 0; i < 60; i++)
        len += (size_t)snprintf(chain + len, sizeof(chain) - len, "%u.ko: %u.ko\n", i, i + 1);
    damaged(chain, -ELOOP, "depends on too many others");
    len = (size_t)snprintf(many, sizeof(many), "a.ko:");
    for (unsigned i = 0; i < 70; i++)
        len += (size_t)snprintf(many + len, sizeof(many) - len, " %u.ko", i);
    for (unsigned i = 0; i < 70; i++)
        len += (size_t)snprintf(many + len, sizeof(many) - len, "\n%u.ko:", i);
    damaged(many, -E2BIG, "more than 64 files");
    /* A ring has an end all the same. */
    m = opened("a.ko: b.ko\nb.ko: a.ko\n", "");
    ck_assert_int_eq(modules_add(m, "a"), 0);
    check_list(m, "b.ko a.ko");
    modules_close(m);
    command_world_end(&w);
}
END_TEST

START_TEST(any_bytes_are_read_without_harm)
{
    static const char spice[] = "ab/.:- \n\n\nko\0\xff";
    unsigned seed = 5;

    command_world_start(&w);
    for (unsigned i = 0; i < 200; i++) {
        char text[200];
        struct modules *m;

        for (unsigned j = 0; j < sizeof(text); j++)
            text[j] = spice[(unsigned)rand_r(&seed) % (sizeof(spice) - 1)];
        memcpy(text + (unsigned)rand_r(&seed) % 100, "\na.ko: b.ko  b.ko \nb.ko:", 24);
        command_world_file(&w, "modules.dep", text, sizeof(text));
        command_world_file(&w, "modules.builtin", text, sizeof(text));
        ck_assert_int_eq(modules_open(&m, w.dir), 0);
        modules_add(m, "a");
        modules_state(m, "b");
        modules_close(m);
    }
    command_world_end(&w);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(dependencies_come_first_and_each_file_once),
        CASE(names_are_the_same_with_either_dash_and_any_packing),
        CASE(without_a_directory_or_list_nothing_is_known),
        CASE(damaged_dependencies_are_refused),
        CASE(any_bytes_are_read_without_harm),
    };

    return run_suite("command_modules", cases, ARRAY_SIZE(cases));
}
