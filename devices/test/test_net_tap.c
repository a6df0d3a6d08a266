/*
 * Tap devices and the table of back ends. What needs a real tap is skipped with a reason where
 * /dev/net/tun cannot be used; the errors are tested everywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/test/fake.h"
#include "devices/test/fake_net.h"

static struct loop *loop;
static struct fake_end end;
static char name[IFNAMSIZ];

static void set_up(void)
{
    loop = loop_create();
    memset(&end, 0, sizeof(end));
    snprintf(name, sizeof(name), "hvt%d", (int)getpid() % 100000);
    fake_log_start();
}

static void tear_down(void)
{
    fake_end_close(&end);
    loop_destroy(loop);
}

static void expect_refused(const char *text, const char *words)
{
    fake_log_start();
    ck_assert_int_lt(fake_end_open(&end, text, loop), 0);
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_msg(strstr(fake_log_line, words) != NULL, "%s", fake_log_line);
}

/* A descriptor of a tap of our own, or -1 after a line that says why not. */
static int make_tap(const char *test, short flags)
{
    struct ifreq req = {.ifr_flags = (short)(IFF_TAP | flags)};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &req) == 0)
        return fd;
    printf("# %s: skipped, no tap can be made: %s\n", test, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static void bring_up(void)
{
    struct ifreq req = {.ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
    ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &req), 0);
    close(fd);
}

static int open_fd(int fd)
{
    char text[32];

    snprintf(text, sizeof(text), "tap,fd=%d", fd);
    return fake_end_open(&end, text, loop);
}

START_TEST(unknown_type_lists_the_valid_ones)
{
    struct net_config config;
    char why[256];

    ck_assert_int_eq(params_parse(&net_params, "usr", &config, why, sizeof(why)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "user, tap, socket, none"));
    ck_assert_int_eq(params_parse(&net_params, "", &config, why, sizeof(why)), -EINVAL);
}
END_TEST

START_TEST(key_of_another_type_is_refused)
{
    expect_refused("user,ifname=tap0", "ifname= is not a key");
    expect_refused("tap,path=/x,ifname=tap0", "path= is not a key");
    expect_refused("socket,path=/x,hostfwd=tcp::1-:1", "hostfwd= is not a key");
    expect_refused("none,fd=3", "fd= is not a key");
    expect_refused("user,queues=2", "queues= is not a key");
}
END_TEST

START_TEST(none_has_no_link_and_takes_everything)
{
    ck_assert_int_eq(fake_end_open(&end, "none", loop), 0);
    ck_assert(!net_link_up(end.net));
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(fake_end_send(&end, 1514, 0), 0);
    ck_assert_uint_eq(net_queues(end.net), 1);
}
END_TEST

START_TEST(absent_interface_says_how_to_make_it)
{
    expect_refused("tap,ifname=hvnone0", "sudo ip tuntap add mode tap user $USER name hvnone0 &&");
    expect_refused("tap,ifname=hvnone0,queues=2", "name hvnone0 multi_queue");
}
END_TEST

START_TEST(interface_that_is_no_tap_is_refused)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        expect_refused("tap,ifname=lo", "/dev/net/tun");
        return;
    }
    close(fd);
    expect_refused("tap,ifname=lo", "sudo ip tuntap add");
}
END_TEST

START_TEST(long_name_is_refused)
{
    expect_refused("tap,ifname=abcdefghijklmnop", "at most 15");
}
END_TEST

START_TEST(neither_or_both_of_ifname_and_fd_are_refused)
{
    expect_refused("tap", "either ifname=NAME or fd=N");
    expect_refused("tap,ifname=tap0,fd=3", "either ifname=NAME or fd=N");
}
END_TEST

START_TEST(descriptor_that_is_no_tap_is_refused)
{
    expect_refused("tap,fd=0", "not a descriptor of a tap");
    expect_refused("tap,fd=999", "not a descriptor of a tap");
    expect_refused("tap,fd=99999999999", "not the number");
    expect_refused("tap,fd=3x", "not the number");
    expect_refused("tap,fd=3,queues=2", "there are 1 of fd=");
}
END_TEST

START_TEST(user_without_rights_is_told_so)
{
    if (getuid() != 0) {
        printf("# user_without_rights: skipped, needs root to give its rights up\n");
        return;
    }
    ck_assert_int_eq(setegid(65534), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_lt(fake_end_open(&end, "tap,ifname=lo", loop), 0);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_uint_eq(fake_log_count, 1);
    /* One or the other, by the mode of /dev/net/tun. */
    ck_assert(strstr(fake_log_line, "permission") || strstr(fake_log_line, "/dev/net/tun is not"));
}
END_TEST

START_TEST(busy_tap_is_refused)
{
    int fd = make_tap("busy_tap", IFF_NO_PI | IFF_VNET_HDR);
    char text[64];

    if (fd < 0)
        return;
    snprintf(text, sizeof(text), "tap,ifname=%s", name);
    expect_refused(text, "in use by another process");
    close(fd);
}
END_TEST

START_TEST(inherited_tap_without_headers_is_refused)
{
    int fd = make_tap("inherited_tap_without_headers", IFF_NO_PI);

    if (fd < 0)
        return;
    ck_assert_int_lt(open_fd(fd), 0);
    ck_assert_ptr_nonnull(strstr(fake_log_line, "IFF_VNET_HDR"));
    close(fd);
}
END_TEST

START_TEST(inherited_tap_carries_frames_both_ways)
{
    int fd = make_tap("inherited_tap", IFF_NO_PI | IFF_VNET_HDR);

    if (fd < 0)
        return;
    ck_assert_int_eq(open_fd(fd), 0);
    close(fd); /* hv has its own */
    ck_assert(net_link_up(end.net));
    ck_assert_uint_ne(net_offloads(end.net) & NET_CSUM, 0);
    net_set_offloads(end.net, NET_CSUM | NET_TSO4);
    ck_assert_uint_eq(fake_log_count, 0);
    ck_assert_int_eq(fake_end_send(&end, 60, 1), 0); /* the interface is down: lost */
    bring_up();
    /* The host speaks first: IPv6 has to find its neighbours and routers. */
    ck_assert(fake_until(loop, &end.got, 1, 5000));
    ck_assert_uint_ge(end.last_len, NET_HEADER_BYTES + 14);
    ck_assert_int_eq(fake_end_send(&end, 60, 1), 0);
}
END_TEST

START_TEST(frame_longer_than_the_buffers_is_told_and_dropped)
{
    int fd = make_tap("frame_longer_than_the_buffers", IFF_NO_PI | IFF_VNET_HDR);
    uint8_t buf[NET_HEADER_BYTES + 20];
    struct iovec iov = {buf, sizeof(buf)};
    ssize_t n = -EAGAIN;

    if (fd < 0)
        return;
    ck_assert_int_eq(open_fd(fd), 0);
    close(fd);
    end.take = false;
    bring_up();
    for (int i = 0; i < 2000 && n == -EAGAIN; i++) {
        n = net_recv(end.net, 0, &iov, 1);
        usleep(1000);
    }
    ck_assert_int_eq(n, -EMSGSIZE);
}
END_TEST

START_TEST(deleted_interface_takes_the_link_down)
{
    int fd = make_tap("deleted_interface", IFF_NO_PI | IFF_VNET_HDR);
    char command[64];

    if (fd < 0)
        return;
    ck_assert_int_eq(open_fd(fd), 0);
    close(fd);
    snprintf(command, sizeof(command), "ip link del %s 2>/dev/null", name);
    if (system(command) != 0) {
        printf("# deleted_interface: skipped, `ip link del` does not work here\n");
        return;
    }
    ck_assert(fake_until_link(loop, &end, false, 2000));
    ck_assert_int_eq(fake_end_send(&end, 60, 1), 0);
    fake_run_ms(loop, 10); /* no busy loop of errors */
    ck_assert_int_eq(loop_step(loop), 0);
    ck_assert_uint_eq(fake_log_count, 1);
}
END_TEST

START_TEST(interface_by_name_opens_with_as_many_queues_as_asked)
{
    char command[128], text[64];

    snprintf(command, sizeof(command), "ip tuntap add mode tap name %s multi_queue 2>/dev/null",
             name);
    if (system(command) != 0) {
        printf("# interface_by_name: skipped, `ip tuntap add` does not work here\n");
        return;
    }
    snprintf(text, sizeof(text), "tap,ifname=%s,queues=4", name);
    ck_assert_int_eq(fake_end_open(&end, text, loop), 0);
    ck_assert_uint_eq(net_queues(end.net), 4);
    net_set_queues(end.net, 1);
    net_set_queues(end.net, 3);
    net_set_queues(end.net, 4);
    ck_assert_uint_eq(fake_log_count, 0);
    fake_end_close(&end);
    snprintf(command, sizeof(command), "ip link del %s", name);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("tap");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, unknown_type_lists_the_valid_ones);
    tcase_add_test(tc, key_of_another_type_is_refused);
    tcase_add_test(tc, none_has_no_link_and_takes_everything);
    tcase_add_test(tc, absent_interface_says_how_to_make_it);
    tcase_add_test(tc, interface_that_is_no_tap_is_refused);
    tcase_add_test(tc, long_name_is_refused);
    tcase_add_test(tc, neither_or_both_of_ifname_and_fd_are_refused);
    tcase_add_test(tc, descriptor_that_is_no_tap_is_refused);
    tcase_add_test(tc, user_without_rights_is_told_so);
    tcase_add_test(tc, busy_tap_is_refused);
    tcase_add_test(tc, inherited_tap_without_headers_is_refused);
    tcase_add_test(tc, inherited_tap_carries_frames_both_ways);
    tcase_add_test(tc, frame_longer_than_the_buffers_is_told_and_dropped);
    tcase_add_test(tc, deleted_interface_takes_the_link_down);
    tcase_add_test(tc, interface_by_name_opens_with_as_many_queues_as_asked);
    return fake_run(tc);
}
