/* From options to the additions of a command's run: modules, shares, initramfs, command line. */
#include "hv/command/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysinfo.h>

#include "firmware/init/image.h"
#include "hv/command/share.h"
#include "hv/config.h"
#include "hv/test/command_world.h"
#include "hv/test/run_suite.h"

#define R "6.1.0-9-amd64"

/* What Debian's kernels have. */
#define DEP_COMMON                                                                                 \
    "k/virtio.ko: k/virtio_ring.ko\nk/virtio_ring.ko:\nk/overlay.ko:\n"                            \
    "k/virtio_mmio.ko: k/virtio.ko k/virtio_ring.ko\n"                                             \
    "k/virtio_pci.ko: k/virtio.ko k/virtio_ring.ko\n"                                              \
    "k/virtio_console.ko: k/virtio.ko k/virtio_ring.ko\n"                                          \
    "k/virtio_net.ko: k/virtio.ko k/virtio_ring.ko\nk/virtio-rng.ko: k/virtio.ko "                 \
    "k/virtio_ring.ko\n"
#define DEP_9P                                                                                     \
    "k/9pnet.ko:\nk/9pnet_virtio.ko: k/9pnet.ko k/virtio.ko k/virtio_ring.ko\nk/9p.ko: "           \
    "k/9pnet.ko\n"
#define DEP_FS "k/virtiofs.ko: k/virtio.ko k/virtio_ring.ko k/fuse.ko\nk/fuse.ko:\n"

static struct command_world w;
static struct vm_config config;
static int initrd;

static const char *const modules[] = {"virtio",     "virtio_ring",    "overlay",    "virtio_mmio",
                                      "virtio_pci", "virtio_console", "virtio_net", "virtio-rng",
                                      "9pnet",      "9pnet_virtio",   "9p",         "virtiofs",
                                      "fuse"};

/* A kernel with these modules beside it. */
static void start(const char *dep)
{
    char name[64];

    command_world_start(&w);
    config_init(&config);
    command_world_bzimage(&w, "k", R, 10, 0x400);
    command_world_text(&w, "modules/modules.dep", dep);
    command_world_text(&w, "modules/modules.builtin", "");
    for (unsigned i = 0; i < ARRAY_SIZE(modules); i++) {
        snprintf(name, sizeof(name), "modules/k/%s.ko", modules[i]);
        command_world_text(&w, name, modules[i]);
    }
    initrd = -1;
}

static void end(void)
{
    if (initrd >= 0)
        close(initrd);
    config_free(&config);
    command_world_end(&w);
}

/* `hv run -k KERNEL WORDS...`, planned. */
static int plan(const char *const *words)
{
    const char *argv[32] = {"run", "-k", command_world_path(&w, "k")};
    int argc = 3;

    while (*words)
        argv[argc++] = *words++;
    config_free(&config);
    config_init(&config);
    ck_assert_msg(config_parse_run(&config, argc, (char **)argv) == 0, "%s", w.message);
    ck_assert_msg(config_validate(&config) == 0, "%s", w.message);
    if (initrd >= 0)
        close(initrd);
    w.messages = 0;
    return command_plan(&config, &initrd);
}

#define PLAN(...) plan((const char *const[]){__VA_ARGS__, NULL})

/* The contents of a member of the archive, with NULs as spaces; NULL: it is not there. */
static const char *member(const char *name)
{
    static char archive[1 << 20], text[sizeof(archive)];
    ssize_t len = pread(initrd, archive, sizeof(archive), 0);

    ck_assert_int_gt(len, 0);
    ck_assert_int_lt(len, (ssize_t)sizeof(archive));
    for (ssize_t at = 0; at < len;) {
        char field[9] = "";
        size_t size, name_len;

        ck_assert_mem_eq(archive + at, "070701", 6);
        memcpy(field, archive + at + 54, 8);
        size = strtoul(field, NULL, 16);
        memcpy(field, archive + at + 94, 8);
        name_len = strtoul(field, NULL, 16);
        if (strcmp(archive + at + 110, name) == 0) {
            memcpy(text, archive + align_up((uint64_t)at + 110 + name_len, 4), size);
            for (size_t i = 0; i < size; i++)
                text[i] = (char)(text[i] ? text[i] : ' ');
            text[size] = '\0';
            return text;
        }
        at = (ssize_t)align_up(align_up((uint64_t)at + 110 + name_len, 4) + size, 4);
    }
    return NULL;
}

static void check_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" lacks \"%s\"", text, part);
}

START_TEST(a_command_gets_its_root_and_modules_by_9p)
{
    char path[40];

    start(DEP_COMMON DEP_9P DEP_FS);
    ck_assert_int_eq(PLAN("--name=vm", "--", "ls"), 0);
    ck_assert_uint_eq(w.messages, 0);
    ck_assert_str_eq(member("hv/config"),
                     "module /hv/modules/virtio_ring.ko module /hv/modules/virtio.ko "
                     "module /hv/modules/virtio_mmio.ko module /hv/modules/virtio_console.ko "
                     "module /hv/modules/9pnet.ko module /hv/modules/9pnet_virtio.ko "
                     "module /hv/modules/9p.ko module /hv/modules/overlay.ko "
                     "root hv.root 9p hostname vm ");
    ck_assert_str_eq(member("hv/modules/9pnet_virtio.ko"), "9pnet_virtio");
    ck_assert_str_eq(member("hv/modules/overlay.ko"), "overlay");
    ck_assert_ptr_null(member("hv/modules/virtio_pci.ko"));
    ck_assert_uint_eq(strlen(member("init")), init_image_size);
    ck_assert_ptr_nonnull(member("dev/console"));
    ck_assert_uint_eq(config.share_count, 1);
    ck_assert_str_eq(config.share[0], "dir=\"/:hv.root\"");
    ck_assert_uint_eq(config.initrd_count, 1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", initrd);
    ck_assert_str_eq(config.initrd[0], path);
    ck_assert_str_eq(config.console, "none");
    ck_assert_str_eq(config.append, "loglevel=5 panic=-1");
    end();
}
END_TEST

START_TEST(a_kernel_with_virtiofs_only_gets_that)
{
    start(DEP_COMMON DEP_FS);
    ck_assert_int_eq(PLAN("--share=a:/b", "--share", "c:/d:rw", "--bus=pci", "--", "ls"), 0);
    check_has(member("hv/config"), "module /hv/modules/fuse.ko module /hv/modules/virtiofs.ko");
    check_has(member("hv/config"), "root hv.root virtiofs share hv.share0 virtiofs ro /b share "
                                   "hv.share1 virtiofs rw /d ");
    ck_assert_ptr_nonnull(member("hv/modules/virtio_pci.ko"));
    ck_assert_ptr_null(member("hv/modules/virtio_mmio.ko"));
    ck_assert_str_eq(config.share[0], "dir=\"/:hv.root\",via=virtiofs");
    ck_assert_str_eq(config.share[1], "dir=\"a:hv.share0\",via=virtiofs");
    ck_assert_str_eq(config.share[2], "dir=\"c:hv.share1:rw\",via=virtiofs");
    end();
}
END_TEST

START_TEST(of_a_kernel_without_known_modules_all_is_hoped)
{
    start("");
    ck_assert_int_eq(unlink(command_world_path(&w, "modules/modules.builtin")), 0);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(PLAN("--name=vm", "--", "ls"), 0);
        ck_assert_str_eq(member("hv/config"), "root hv.root 9p hostname vm ");
        unlink(command_world_path(&w, "modules/modules.dep"));
    }
    end();
}
END_TEST

START_TEST(what_is_built_in_is_not_loaded)
{
    start(DEP_COMMON);
    command_world_text(&w, "modules/modules.builtin",
                       "k/9p.ko\nk/9pnet.ko\nk/9pnet_virtio.ko\nk/virtio.ko\nk/virtio_ring.ko\n");
    ck_assert_int_eq(PLAN("--", "ls"), 0);
    check_has(member("hv/config"), "module /hv/modules/overlay.ko root hv.root 9p ");
    end();
}
END_TEST

static void lacks(const char *dep, const char *net, const char *part)
{
    command_world_text(&w, "modules/modules.dep", dep);
    ck_assert_int_eq(net ? PLAN("--net", net, "--", "ls") : PLAN("--", "ls"), -ENOEXEC);
    ck_assert_int_eq(initrd, -1);
    ck_assert_uint_eq(w.messages, 1);
    check_has(w.message, part);
}

START_TEST(kernels_that_lack_something_are_refused_by_its_name)
{
    start("");
    lacks(DEP_COMMON, NULL, "lacks CONFIG_9P_FS and CONFIG_NET_9P_VIRTIO (or CONFIG_VIRTIO_FS)");
    lacks(DEP_COMMON "k/9p.ko:\n", NULL, "lacks CONFIG_NET_9P_VIRTIO (or CONFIG_VIRTIO_FS)");
    lacks(DEP_9P "k/virtio.ko:\nk/virtio_ring.ko:\nk/overlay.ko:\n", NULL,
          "lacks CONFIG_VIRTIO_MMIO, CONFIG_VIRTIO_CONSOLE");
    lacks(DEP_9P "k/virtio.ko:\nk/virtio_ring.ko:\nk/virtio_mmio.ko:\nk/virtio_console.ko:\n",
          "none", "lacks CONFIG_VIRTIO_NET, CONFIG_OVERLAY_FS");
    lacks("", "none",
          "CONFIG_VIRTIO_MMIO, CONFIG_VIRTIO_CONSOLE, CONFIG_VIRTIO_NET, CONFIG_9P_FS and "
          "CONFIG_NET_9P_VIRTIO (or CONFIG_VIRTIO_FS), CONFIG_OVERLAY_FS");
    end();
}
END_TEST

START_TEST(networks_and_other_devices_bring_their_modules)
{
    start(DEP_COMMON DEP_9P);
    ck_assert_int_eq(PLAN("--net=user", "--rng=on", "--balloon=on", "--", "ls"), 0);
    check_has(member("hv/config"), "module /hv/modules/virtio_net.ko");
    check_has(member("hv/config"), "module /hv/modules/virtio-rng.ko");
    check_has(member("hv/config"), " net dhcp ");
    ck_assert_int_eq(PLAN("--net=none", "--", "ls"), 0);
    ck_assert_ptr_null(strstr(member("hv/config"), "dhcp"));
    end();
}
END_TEST

START_TEST(roots_and_shares_may_have_any_name)
{
    static const char odd[] = "a,\"b\":c";
    char value[128];
    struct share_value share;
    char why[200];

    start(DEP_COMMON DEP_9P);
    command_world_text(&w, "a,\"b\":c/file", "");
    ck_assert_int_eq(PLAN("--rootfs", command_world_path(&w, odd), "--share",
                          "dir=\"x,y:/very/long/place:rw\"", "--", "ls"),
                     0);
    snprintf(value, sizeof(value), "dir=\"%s/a,\"\"b\"\":c:hv.root\"", w.dir);
    ck_assert_str_eq(config.share[0], value);
    ck_assert_int_eq(share_parse(config.share[0], &share, why, sizeof(why)), 0);
    ck_assert_str_eq(share.host, command_world_path(&w, odd));
    ck_assert_str_eq(share.guest, "hv.root");
    ck_assert(!share.writable);
    share_free(&share);
    end();
}
END_TEST

START_TEST(roots_that_are_no_directories_are_refused)
{
    start(DEP_COMMON DEP_9P);
    ck_assert_int_eq(PLAN("--rootfs", command_world_path(&w, "none"), "--", "ls"), -ENOENT);
    check_has(w.message, "No such file or directory (check the path)");
    ck_assert_int_eq(PLAN("--rootfs", command_world_path(&w, "k"), "--", "ls"), -ENOTDIR);
    check_has(w.message, "(unpack an archive");
    ck_assert_uint_eq(w.messages, 1);
    end();
}
END_TEST

START_TEST(what_the_user_says_of_the_machine_stands)
{
    struct sysinfo info;

    start(DEP_COMMON DEP_9P);
    ck_assert_int_eq(
        PLAN("-iusers", "--console=boot.log", "-m", "128", "-a", "a=b panic=5", "--", "ls"), 0);
    ck_assert_str_eq(config.append, "loglevel=5 a=b panic=5");
    ck_assert_str_eq(config.console, "boot.log");
    ck_assert_uint_eq(config.memory, 128 * MIB);
    ck_assert_uint_eq(config.initrd_count, 2);
    ck_assert_str_eq(config.initrd[0], "users");
    ck_assert_int_eq(PLAN("-a", "xpanic=1 quiet", "--", "ls"), 0);
    ck_assert_str_eq(config.append, "panic=-1 xpanic=1 quiet");
    ck_assert_int_eq(PLAN("-a", "panic=1 debug", "--", "ls"), 0);
    ck_assert_str_eq(config.append, "panic=1 debug");
    ck_assert_int_eq(PLAN("--cmdline=c", "--", "ls"), 0);
    ck_assert_ptr_null(config.append);
    ck_assert_int_eq(sysinfo(&info), 0);
    ck_assert_uint_eq(config.memory,
                      (uint64_t)info.totalram * info.mem_unit >= 2 * GIB ? GIB : 256 * MIB);
    end();
}
END_TEST

START_TEST(as_many_initrds_and_shares_as_without_a_command)
{
    const char *argv[4 * CONFIG_MAX_INITRDS + 6] = {"run", "-k"};
    int n = 3;

    start(DEP_COMMON DEP_9P);
    argv[2] = command_world_path(&w, "k");
    for (unsigned i = 0; i < CONFIG_MAX_INITRDS; i++) {
        argv[n++] = "-ix";
        argv[n++] = "--share=a:/b";
    }
    argv[n++] = "--";
    argv[n++] = "ls";
    ck_assert_int_eq(config_parse_run(&config, n, (char **)argv), 0);
    ck_assert_int_eq(command_plan(&config, &initrd), 0);
    ck_assert_uint_eq(config.initrd_count, CONFIG_MAX_INITRDS + 1);
    ck_assert_uint_eq(config.share_count, CONFIG_MAX_VIRTIO + 1);
    check_has(config.share[CONFIG_MAX_VIRTIO], "hv.share15");
    end();
}
END_TEST

START_TEST(modules_that_are_no_files_are_refused)
{
    start(DEP_COMMON DEP_9P);
    ck_assert_int_eq(unlink(command_world_path(&w, "modules/k/9p.ko")), 0);
    ck_assert_int_eq(PLAN("--", "ls"), -ENOENT);
    check_has(w.message, "k/9p.ko: cannot take this module for the guest: No such file");
    ck_assert_int_eq(mkfifo(command_world_path(&w, "modules/k/9p.ko"), 0600), 0);
    ck_assert_int_eq(PLAN("--", "ls"), -EINVAL);
    ck_assert_uint_eq(w.messages, 1);
    end();
}
END_TEST

START_TEST(the_port_joins_what_the_user_has)
{
    start("");
    ck_assert_int_eq(command_plan_add_port(&config, 7), 0);
    ck_assert_str_eq(config.virtio_console[0], "port=hv.agent:fd:7");
    ck_assert_int_eq(command_plan_add_port(&config, 8), 0);
    ck_assert_str_eq(config.virtio_console[0], "port=hv.agent:fd:7,port=hv.agent:fd:8");
    ck_assert_uint_eq(config.virtio_console_count, 1);
    end();
}
END_TEST

START_TEST(what_a_command_changes_is_not_written_down)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    const char *argv[] = {"run", "-k", "k", "--", "ls"};

    start("");
    ck_assert_int_eq(config_parse_run(&config, 5, (char **)argv), 0);
    ck_assert_int_eq(config_write_json(&config, out), 0);
    fclose(out);
    ck_assert_ptr_null(strstr(text, "\"memory\""));
    ck_assert_ptr_null(strstr(text, "\"console\""));
    ck_assert_ptr_nonnull(strstr(text, "\"command\""));
    free(text);
    end();
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_command_gets_its_root_and_modules_by_9p),
        CASE(a_kernel_with_virtiofs_only_gets_that),
        CASE(of_a_kernel_without_known_modules_all_is_hoped),
        CASE(what_is_built_in_is_not_loaded),
        CASE(kernels_that_lack_something_are_refused_by_its_name),
        CASE(networks_and_other_devices_bring_their_modules),
        CASE(roots_and_shares_may_have_any_name),
        CASE(roots_that_are_no_directories_are_refused),
        CASE(what_the_user_says_of_the_machine_stands),
        CASE(as_many_initrds_and_shares_as_without_a_command),
        CASE(modules_that_are_no_files_are_refused),
        CASE(the_port_joins_what_the_user_has),
        CASE(what_a_command_changes_is_not_written_down),
    };

    return run_suite("command_plan", cases, ARRAY_SIZE(cases));
}
