/* The console: what the driver is told of ports, its configuration, and what the option says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/test/console_guest.h"
#include "devices/virtio/models.h"

/* Control messages. */

START_TEST(driver_is_told_of_ports_names_and_consoles)
{
    console_create_piped(",size=132x43");
    ck_assert_int_eq(console_add_status_port(), 2);
    console_start(F_MULTIPORT | F_SIZE);
    ck_assert_uint_eq(driver_config(&guest, 4, 4), 3);
    ck_assert_uint_eq(driver_config(&guest, 0, 4), 132 | 43 << 16);
    expect_silence();
    send_control(0xffffffff, READY, 1);
    for (unsigned i = 0; i < 3; i++)
        expect_message(i, ADD, "");
    expect_silence();
    send_control(2, PORT_READY, 1);
    expect_message(2, NAME, "org.hv.status");
    expect_message(2, OPEN, "");
    expect_silence();
    send_control(0, PORT_READY, 1);
    expect_message(0, CONSOLE, "");
    expect_message(0, OPEN, "");
    expect_message(0, RESIZE, "\x84"); /* 132, 0, 43, 0 */
    expect_silence();
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

START_TEST(port_is_added_once_however_often_the_driver_is_ready)
{
    console_create("");
    ck_assert_int_eq(console_add_status_port(), 1); /* 0 is for a console */
    console_start(F_MULTIPORT);
    send_control(0, READY, 0);
    expect_silence();
    for (unsigned i = 0; i < 100; i++)
        send_control(0, READY, 1);
    expect_message(1, ADD, "");
    expect_silence();
    driver_destroy(&guest);
}
END_TEST

START_TEST(messages_wait_for_buffers_and_do_not_pile_up)
{
    console_create("");
    console_add_status_port();
    driver_create(&guest, con);
    driver_start(&guest, F_MULTIPORT, 64);
    send_control(0, READY, 1);
    for (unsigned i = 0; i < 200; i++)
        send_control(1, PORT_READY, 1);
    console_give_control_bufs();
    expect_message(1, ADD, "");
    expect_message(1, NAME, "org.hv.status");
    expect_message(1, OPEN, "");
    expect_silence();
    driver_destroy(&guest);
}
END_TEST

START_TEST(bad_control_messages_are_passed_over)
{
    struct driver_buf shorts = {.len = 7};

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    shorts.gpa = driver_alloc(&guest, 8);
    driver_do(&guest, CONTROL_TX, &shorts, 1);
    shorts.len = 0;
    driver_do(&guest, CONTROL_TX, &shorts, 1);
    send_control(0, PORT_READY, 1); /* a port that is not there */
    send_control(2, PORT_READY, 1);
    send_control(0xffffffff, OPEN, 1);
    send_control(1, 0xffff, 1);
    send_control(1, ADD, 1);
    send_control(1, PORT_READY, 0); /* the driver could not use it */
    expect_silence();
    ck_assert(!driver_broken(&guest));
    driver_destroy(&guest);
}
END_TEST

START_TEST(small_control_buffer_gets_what_fits)
{
    struct driver_buf buf = {.len = 3, .writable = true};
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    driver_create(&guest, con);
    driver_start(&guest, F_MULTIPORT, 64);
    buf.gpa = driver_alloc(&guest, 8);
    driver_add(&guest, CONTROL_RX, &buf, 1);
    send_control(0, READY, 1);
    ck_assert(driver_used(&guest, CONTROL_RX, 0, &id, &len) && len == 3);
    driver_destroy(&guest);
}
END_TEST

/* Configuration. */

START_TEST(resize_is_told_by_configuration_and_message)
{
    console_create_piped("");
    console_start(F_MULTIPORT | F_SIZE);
    send_control(0, READY, 1);
    expect_message(0, ADD, "");
    expect_message(1, ADD, "");
    send_control(0, PORT_READY, 1);
    expect_message(0, CONSOLE, "");
    expect_message(0, OPEN, "");
    send_control(0, OPEN, 1);
    virtio_console_resize(con, 200, 50);
    ck_assert_uint_eq(driver_config(&guest, 0, 4), 200 | 50 << 16);
    ck_assert_uint_eq(driver_read(&guest, 0x60) & 2, 2);
    expect_message(0, RESIZE, "\xc8");
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

START_TEST(emergency_write_works_before_the_driver_is_ready)
{
    char got[10];

    console_create_piped("");
    driver_create(&guest, con);
    fake_write(guest.dev, 0x108, 4, 0x12345600 + '!');
    fake_write(guest.dev, 0x108, 1, '\n');
    fake_write(guest.dev, 0x104, 4, 99); /* read-only */
    ck_assert_uint_eq(host_read(got, sizeof(got)), 2);
    ck_assert_str_eq(got, "!\n");
    ck_assert_uint_eq(driver_config(&guest, 4, 4), 2);
    driver_write(&guest, 0x14, 0);
    ck_assert_uint_eq(driver_read(&guest, 0x10) & 7, F_SIZE | F_MULTIPORT | F_EMERG);
    ck_assert_uint_eq(driver_read(&guest, 0x08), 3);
    console_close_pipes();
    driver_destroy(&guest);
}
END_TEST

START_TEST(state_survives_a_transfer)
{
    static struct driver from;
    uint64_t gpa;
    uint16_t id;
    uint32_t len;

    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    send_control(1, OPEN, 1);
    virtio_console_send(con, 1, "on its way", 10);
    from = guest;
    console_create("");
    console_add_status_port();
    console_start(F_MULTIPORT);
    memcpy(guest.ram.host, from.ram.host, DRIVER_RAM);
    memcpy(guest.q, from.q, sizeof(guest.q));
    guest.brk = from.brk;
    ck_assert_int_eq(fake_transfer(from.dev, guest.dev), 0);
    gpa = guest_read_buf(1, 64);
    ck_assert(driver_used(&guest, rx_queue(1), 0, &id, &len) && len == 10);
    ck_assert_mem_eq(driver_ptr(&guest, gpa), "on its way", 10);
    driver_destroy(&guest);
    driver_destroy(&from);
}
END_TEST

START_TEST(seventeenth_port_is_refused)
{
    const struct virtio_console_port console = {.console = true};

    console_create("");
    ck_assert_int_eq(virtio_console_add(con, &(struct virtio_console_port){.name = ""}), -EINVAL);
    for (int i = 1; i < VIRTIO_CONSOLE_PORTS; i++)
        ck_assert_int_eq(console_add_status_port(), i);
    ck_assert_int_eq(console_add_status_port(), -ENOSPC);
    ck_assert_int_eq(virtio_console_add(con, &console), 0);
    ck_assert_int_eq(virtio_console_add(con, &console), -ENOSPC);
    console_start(F_MULTIPORT);
    guest_write(15, "last", 4);
    ck_assert_uint_eq(host.len, 4);
    driver_destroy(&guest);
}
END_TEST

/* The option. */

static char said[300];

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    ck_assert_str_eq(said, ""); /* one line */
    snprintf(said, sizeof(said), "%s", line);
}

static void refuse(const char *text, int err, const char *part)
{
    struct loop *loop = loop_create();

    said[0] = '\0';
    con = NULL;
    log_set_sink(keep_line, NULL);
    ck_assert_int_eq(virtio_console_create(text, loop, &con), err);
    log_set_sink(NULL, NULL);
    ck_assert_msg(strstr(said, part) != NULL, "%s", said);
    ck_assert_ptr_null(con);
    loop_destroy(loop);
}

START_TEST(bad_options_are_told_in_one_line)
{
    refuse("prot=a:b", -EINVAL, "unknown key \"prot\"; valid: port, console");
    refuse("port=a", -EINVAL, "not NAME:WHERE");
    refuse("port=a:", -EINVAL, "not NAME:WHERE");
    refuse("port=:b", -EINVAL, "not a name");
    refuse("port=a/b:fd:1", -EINVAL, "not a name");
    refuse("port=a:fd:1,port=a:fd:1", -EINVAL, "used twice");
    refuse("port=a:fd:999", -EBADF, "a: fd:999: Bad file descriptor");
    refuse("port=a:fd:x", -EBADF, "Bad file descriptor");
    refuse("port=a:/", -EISDIR, "a: /: Is a directory");
    refuse("console=/nowhere/at/all", -ENOENT, "No such file or directory");
    refuse("size=80", -EINVAL, "not COLUMNSxROWS");
    refuse("size=80x0", -EINVAL, "not COLUMNSxROWS");
    refuse("size=80x65536", -EINVAL, "not COLUMNSxROWS");
}
END_TEST

START_TEST(socket_is_connected_for_both_directions)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/hv-console-XXXXXX", text[120], got[20] = "";
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), peer;
    uint16_t id;
    uint32_t len;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    snprintf(text, sizeof(text), "port=s:%s", addr.sun_path);
    console_create(text);
    unlink(addr.sun_path);
    rmdir(dir);
    peer = accept(listener, NULL, NULL);
    console_start(F_MULTIPORT);
    send_control(1, OPEN, 1);
    guest_write(1, "up\n", 3);
    ck_assert_int_eq(recv(peer, got, sizeof(got), 0), 3);
    ck_assert_str_eq(got, "up\n");
    guest_read_buf(1, 10);
    ck_assert_int_eq(send(peer, "down", 4, 0), 4);
    ck_assert(driver_used(&guest, rx_queue(1), 100, &id, &len) && len == 4);
    close(peer);
    close(listener);
    driver_destroy(&guest);
}
END_TEST

START_TEST(file_gets_the_output_up_to_its_limit)
{
    char path[] = "/tmp/hv-console-XXXXXX", text[120], got[20] = "";
    int fd = mkstemp(path);

    snprintf(text, sizeof(text), "console=%s,limit=6", path);
    console_create(text);
    console_start(0);
    guest_write(0, "12345\n789\n", 10);
    driver_run(&guest);
    ck_assert_int_eq(read(fd, got, sizeof(got)), 6);
    unlink(path);
    close(fd);
    driver_destroy(&guest);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-console-control");

    tcase_add_test(tc, driver_is_told_of_ports_names_and_consoles);
    tcase_add_test(tc, port_is_added_once_however_often_the_driver_is_ready);
    tcase_add_test(tc, messages_wait_for_buffers_and_do_not_pile_up);
    tcase_add_test(tc, bad_control_messages_are_passed_over);
    tcase_add_test(tc, small_control_buffer_gets_what_fits);
    tcase_add_test(tc, resize_is_told_by_configuration_and_message);
    tcase_add_test(tc, emergency_write_works_before_the_driver_is_ready);
    tcase_add_test(tc, state_survives_a_transfer);
    tcase_add_test(tc, seventeenth_port_is_refused);
    tcase_add_test(tc, bad_options_are_told_in_one_line);
    tcase_add_test(tc, socket_is_connected_for_both_directions);
    tcase_add_test(tc, file_gets_the_output_up_to_its_limit);
    return fake_run(tc);
}
