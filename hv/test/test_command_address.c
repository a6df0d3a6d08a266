/* The socket of a guest: who makes it, who may replace it, who finds it. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/command/address.h"
#include "hv/test/run_suite.h"

static char runtime[64], why[400];
static struct address address;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void begin(void)
{
    snprintf(runtime, sizeof(runtime), "/tmp/hv-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(runtime));
    setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static void end(void)
{
    nftw(runtime, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int listen_as(const char *name)
{
    return address_listen(&address, name, why, sizeof(why));
}

START_TEST(socket_is_private_and_removed)
{
    struct stat st;
    char path[200];
    int fd, client;

    begin();
    fd = listen_as("box");
    ck_assert_int_ge(fd, 0);
    snprintf(path, sizeof(path), "%s/hv/box/agent", runtime);
    ck_assert_str_eq(address.path, path);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    client = address_connect("box", why, sizeof(why));
    ck_assert_int_ge(client, 0);
    close(client);
    close(fd);
    address_remove(&address);
    ck_assert_int_eq(stat(path, &st), -1);
    ck_assert_int_eq(address_connect("box", why, sizeof(why)), -ENOENT);
    end();
}
END_TEST

START_TEST(stale_socket_is_replaced_and_a_live_one_is_not)
{
    struct address other;
    int first, second;

    begin();
    first = listen_as("box");
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(address_listen(&other, "box", why, sizeof(why)), -EADDRINUSE);
    ck_assert_str_eq(why, "a guest of that name is running");
    ck_assert_str_eq(other.path, "");
    address_remove(&other); /* must not remove what is not its own */
    close(first);
    ck_assert_int_eq(address_connect("box", why, sizeof(why)), -ECONNREFUSED);
    second = address_listen(&other, "box", why, sizeof(why));
    ck_assert_int_ge(second, 0);
    close(second);
    end();
}
END_TEST

START_TEST(directories_of_others_are_refused)
{
    char path[200];

    begin();
    snprintf(path, sizeof(path), "%s/hv", runtime);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
    ck_assert_int_eq(listen_as("box"), -EPERM);
    ck_assert_ptr_nonnull(strstr(why, "mode 0700"));
    rmdir(path);
    ck_assert_int_eq(symlink("/tmp", path), 0);
    ck_assert_int_eq(listen_as("box"), -EPERM);
    unlink(path);
    end();
}
END_TEST

START_TEST(names_and_long_paths_are_checked)
{
    char name[120];

    begin();
    ck_assert_int_eq(listen_as("../box"), -EINVAL);
    ck_assert_int_eq(listen_as(""), -EINVAL);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(listen_as(name), -ENAMETOOLONG);
    ck_assert_ptr_null(strchr(why, '\n'));
    end();
}
END_TEST

START_TEST(only_guests_that_run_are_listed)
{
    struct address dead;
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    int fd, gone;

    begin();
    ck_assert_uint_eq(address_list(f), 0);
    gone = address_listen(&dead, "dead", why, sizeof(why));
    close(gone);
    fd = listen_as("alive");
    ck_assert_uint_eq(address_list(f), 1);
    fclose(f);
    ck_assert_str_eq(text, "alive");
    free(text);
    close(fd);
    end();
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(socket_is_private_and_removed),
        CASE(stale_socket_is_replaced_and_a_live_one_is_not),
        CASE(directories_of_others_are_refused),
        CASE(names_and_long_paths_are_checked),
        CASE(only_guests_that_run_are_listed),
    };

    return run_suite("command address", cases, ARRAY_SIZE(cases));
}
