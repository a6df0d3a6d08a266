/* The network device: options, features, configuration, link, the control queue, saved state. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake_cable.h"
#include "devices/test/fake_net.h"
#include "devices/virtio/models.h"

#define RX       card_rx_queue(0)
#define d        card_driver

#define CTRL     (NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA | NET_F_CTRL_MAC_ADDR)
#define OFFLOADS (NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO)

enum { OK = 0, ERR = 1 };
enum { CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE, CLASS_MQ, CLASS_OFFLOADS };

static void set_up(void)
{
    log_set_level(LOG_ERROR);
}

static void tear_down(void)
{
    cable_close();
}

static void start(uint64_t features, unsigned pairs, unsigned offloads)
{
    cable_open(NULL, pairs, offloads);
    driver_start(&d, features, 64);
    driver_run(&d);
}

/* Whether a frame to the address that ends with `last` comes through. */
static bool hears_as(const uint8_t to[NET_MAC_BYTES])
{
    uint32_t len;
    uint16_t id;

    cable_add_buffer(1526);
    driver_kick(&d, RX);
    cable_feed(60, 0, NULL);
    memcpy(cable.rx[cable.rx_count - 1] + NET_HEADER_BYTES, to, NET_MAC_BYTES);
    ck_assert(cable_run());
    return driver_used(&d, RX, 0, &id, &len);
}

static const uint8_t broadcast[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t group[] = {1, 0, 0x5e, 0, 0, 1}, other_group[] = {1, 0, 0x5e, 0, 0, 2};
static const uint8_t stranger[] = {2, 0, 0, 0, 0, 1};

static int mode(uint8_t command, uint8_t on)
{
    return cable_control(CLASS_RX, command, &on, 1);
}

/* Options. */

static void expect_refused(const char *text, const char *words)
{
    struct loop *loop = loop_create();
    struct virtio *v = NULL;

    fake_log_start();
    ck_assert_int_lt(virtio_net_create(text, loop, &v), 0);
    ck_assert_ptr_null(v);
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_msg(strstr(fake_log_line, words) != NULL, "%s", fake_log_line);
    loop_destroy(loop);
}

START_TEST(bad_options_are_refused_in_one_line)
{
    static const char *const macs[] = {
        "",  "52:54:00:12:34",    "52:54:00:12:34:5",  "52:54:00:12:34:567", "52-54-00-12-34-56",
        "x", "53:54:00:12:34:56", "00:00:00:00:00:00", "52:54:00:12:34:5g",  "52:54:00:12:34:56:",
    };
    char text[64];

    for (unsigned i = 1; i < ARRAY_SIZE(macs); i++) {
        snprintf(text, sizeof(text), "none,mac=%s", macs[i]);
        expect_refused(text, "like 52:54:00:12:34:56");
    }
    expect_refused("none,mtu=67", "at least 68");
    expect_refused("none,mtu=65536", "65535");
    expect_refused("nona", "none");
    expect_refused("none,speed=3", "unknown key");
    expect_refused("none,queues=17", "at most 16");
    expect_refused("none,queues=0", "at least 1");
    expect_refused("tap,ifname=hvnone0", "no such interface");
}
END_TEST

static void open_real(const char *text)
{
    struct loop *loop = driver_loop(&d);
    struct virtio *v = NULL;

    ck_assert_int_eq(virtio_net_create(text, loop, &v), 0);
    driver_create(&d, v);
}

START_TEST(options_show_in_the_configuration)
{
    static const uint8_t mac[] = {0x52, 0x54, 0, 0xab, 0xcd, 0xef};

    open_real("none,mac=52:54:00:AB:cd:eF,mtu=9000");
    driver_negotiate(&d, 0);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(driver_config(&d, i, 1), mac[i]);
    ck_assert_uint_eq(driver_config(&d, NET_CONFIG_MTU, 2), 9000);
    ck_assert_uint_eq(driver_config(&d, NET_CONFIG_STATUS, 2), 0);
    ck_assert(d.v->offered & NET_F_MTU);
}
END_TEST

START_TEST(random_addresses_are_local_unicast_and_differ)
{
    uint8_t mac[2][6];

    for (unsigned k = 0; k < 2; k++) {
        open_real("none");
        for (unsigned i = 0; i < 6; i++)
            mac[k][i] = (uint8_t)driver_config(&d, i, 1);
        ck_assert_uint_eq(mac[k][0] & 3, 2);
        cable_close();
    }
    ck_assert_mem_ne(mac[0], mac[1], 6);
}
END_TEST

/* Features and configuration. */

START_TEST(device_says_what_it_is)
{
    cable_open(NULL, 1, 0);
    ck_assert_uint_eq(driver_read(&d, 0x08), 1);
    ck_assert_uint_eq(d.v->queue_count, 3);
    ck_assert_uint_eq(driver_config(&d, NET_CONFIG_STATUS, 2), 1);
}
END_TEST

START_TEST(offers_follow_what_the_back_end_can_do)
{
    const uint64_t large = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 |
                           NET_F_HOST_ECN | NET_F_HOST_UFO | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 |
                           NET_F_GUEST_ECN | NET_F_GUEST_UFO | NET_F_CTRL_GUEST_OFFLOADS;

    cable_open(NULL, 1, 0);
    ck_assert_uint_eq(d.v->offered & (large | NET_F_MQ | NET_F_MTU), 0);
    cable_close();
    cable_open(NULL, 4, OFFLOADS);
    ck_assert_uint_eq(d.v->offered & large, large);
    ck_assert(d.v->offered & NET_F_MQ);
    ck_assert_uint_eq(driver_config(&d, NET_CONFIG_PAIRS, 2), 4);
    cable_close();
    cable_open(NULL, 1, NET_CSUM | NET_TSO4);
    ck_assert(!(d.v->offered & (NET_F_HOST_UFO | NET_F_GUEST_TSO6)));
}
END_TEST

/* 2., row 41: each combination. */
START_TEST(offloads_of_every_combination_reach_the_host_consistently)
{
    static const uint64_t bits[] = {NET_F_GUEST_CSUM, NET_F_GUEST_TSO4, NET_F_GUEST_TSO6,
                                    NET_F_GUEST_ECN, NET_F_GUEST_UFO};

    for (unsigned mask = 0; mask < 32; mask++) {
        uint64_t features = 0;

        for (unsigned i = 0; i < 5; i++)
            features |= mask & 1u << i ? bits[i] : 0;
        start(features, 1, OFFLOADS);
        if (!(mask & 1))
            ck_assert_uint_eq(cable.offloads_set, 0);
        else if (!(mask & 6))
            ck_assert_uint_eq(cable.offloads_set, mask & ~8u);
        else
            ck_assert_uint_eq(cable.offloads_set, mask);
        cable_close();
    }
}
END_TEST

START_TEST(configuration_is_read_only_and_ends_after_12_bytes)
{
    start(0, 1, 0);
    for (unsigned i = 0; i < NET_CONFIG_BYTES; i++)
        fake_write(d.dev, 0x100 + i, 1, 0xa5);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(driver_config(&d, i, 1), card_mac[i]);
    ck_assert_uint_eq(driver_config(&d, 11, 2), 0);
    ck_assert_uint_eq(driver_config(&d, 12, 4), 0);
    ck_assert_uint_eq(driver_config(&d, 252, 4), 0);
}
END_TEST

START_TEST(link_changes_show_in_status_with_a_configuration_interrupt)
{
    unsigned rises;

    start(NET_F_STATUS, 1, 0);
    rises = d.irq.rises;
    net_set_link(&cable.net, false);
    ck_assert_uint_eq(driver_config(&d, NET_CONFIG_STATUS, 2), 0);
    ck_assert_uint_eq(d.irq.rises, rises + 1);
    ck_assert_uint_eq(driver_read(&d, 0x60) & 2, 2);
    net_set_link(&cable.net, true);
    ck_assert_uint_eq(driver_config(&d, NET_CONFIG_STATUS, 2), 1);
    ck_assert_uint_eq(d.irq.rises, rises + 2);
}
END_TEST

START_TEST(link_change_without_the_feature_interrupts_nobody)
{
    start(0, 1, 0);
    net_set_link(&cable.net, false);
    ck_assert_uint_eq(d.irq.rises, 0);
}
END_TEST

/* Receive modes and filters. */

START_TEST(driver_without_control_queue_gets_all_frames)
{
    start(0, 1, 0);
    ck_assert(hears_as(card_mac));
    ck_assert(hears_as(stranger));
    ck_assert(hears_as(group));
    ck_assert(hears_as(broadcast));
}
END_TEST

START_TEST(only_own_and_broadcast_frames_come_after_promiscuous_off)
{
    start(CTRL, 1, 0);
    ck_assert_int_eq(mode(0, 0), OK);
    ck_assert(hears_as(card_mac));
    ck_assert(!hears_as(stranger));
    ck_assert(!hears_as(group));
    ck_assert(hears_as(broadcast));
    ck_assert_int_eq(mode(0, 1), OK);
    ck_assert(hears_as(stranger));
}
END_TEST

START_TEST(each_receive_mode_does_what_it_says)
{
    start(CTRL, 1, 0);
    mode(0, 0);
    ck_assert_int_eq(mode(1, 1), OK); /* all multicast */
    ck_assert(hears_as(group) && !hears_as(stranger));
    ck_assert_int_eq(mode(2, 1), OK); /* all unicast */
    ck_assert(hears_as(stranger));
    ck_assert_int_eq(mode(3, 1), OK); /* no multicast */
    ck_assert(!hears_as(group) && hears_as(broadcast));
    ck_assert_int_eq(mode(4, 1), OK); /* no unicast */
    ck_assert(!hears_as(stranger) && !hears_as(card_mac));
    ck_assert_int_eq(mode(5, 1), OK); /* no broadcast */
    ck_assert(!hears_as(broadcast));
    ck_assert_int_eq(mode(6, 1), ERR);
}
END_TEST

static size_t put_list(uint8_t *p, uint32_t count, const uint8_t *mac)
{
    store_le32(p, count);
    for (uint32_t i = 0; mac && i < count; i++)
        memcpy(p + 4 + 6 * i, mac, 6);
    return 4 + (mac ? 6 * (size_t)count : 0);
}

START_TEST(listed_addresses_come_through)
{
    uint8_t data[64];
    size_t len;

    start(CTRL, 1, 0);
    mode(0, 0);
    len = put_list(data, 1, stranger);
    len += put_list(data + len, 2, group);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), OK);
    ck_assert(hears_as(stranger));
    ck_assert(hears_as(group));
    ck_assert(!hears_as(other_group));
    len = put_list(data, 0, NULL);
    len += put_list(data + len, 0, NULL);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), OK);
    ck_assert(!hears_as(stranger) && !hears_as(group) && hears_as(card_mac));
}
END_TEST

START_TEST(list_of_more_addresses_than_fit_lets_all_of_the_kind_through)
{
    static uint8_t data[2048];
    size_t len;

    start(CTRL, 1, 0);
    mode(0, 0);
    len = put_list(data, 1, stranger);
    len += put_list(data + len, 200, group);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), OK);
    ck_assert(hears_as(other_group) && hears_as(stranger));
    len = put_list(data, NET_TABLE_MAX, stranger);
    len += put_list(data + len, 1, group);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), OK);
    ck_assert(hears_as(other_group) && hears_as(stranger));
}
END_TEST

/* 2., row 41; table (a), row 70. */
START_TEST(address_list_with_count_4294967295_is_an_error_and_changes_nothing)
{
    static const uint32_t counts[] = {0xffffffff, 0x80000000, 0x2aaaaaab, 2};
    uint8_t data[64];
    size_t len;

    start(CTRL, 1, 0);
    mode(0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        len = put_list(data, 1, stranger);
        store_le32(data, counts[i]);
        len += put_list(data + len, 0, NULL);
        ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), ERR);
        len = put_list(data, 0, NULL);
        len += put_list(data + len, 1, group);
        store_le32(data + 4, counts[i]);
        ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), ERR);
    }
    ck_assert(!hears_as(stranger) && !hears_as(group) && hears_as(card_mac));
}
END_TEST

START_TEST(address_lists_cut_at_each_length_are_errors)
{
    uint8_t data[64];
    uint32_t len;

    start(CTRL, 1, 0);
    len = (uint32_t)put_list(data, 1, stranger);
    len += (uint32_t)put_list(data + len, 1, group);
    for (uint32_t cut = 0; cut < len; cut++)
        ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, cut), ERR);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, len + 1), ERR);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, len), OK);
}
END_TEST

START_TEST(address_set_by_the_driver_is_used_and_forgotten_at_reset)
{
    start(CTRL, 1, 0);
    mode(0, 0);
    ck_assert_int_eq(cable_control(CLASS_MAC, 1, stranger, 5), ERR);
    ck_assert_int_eq(cable_control(CLASS_MAC, 1, stranger, 6), OK);
    ck_assert(hears_as(stranger) && !hears_as(card_mac));
    ck_assert_uint_eq(driver_config(&d, 5, 1), stranger[5]);
    driver_write(&d, 0x70, 0);
    ck_assert_uint_eq(driver_config(&d, 5, 1), card_mac[5]);
}
END_TEST

/* The queue itself. */

START_TEST(unknown_and_malformed_commands_are_errors)
{
    uint8_t data[16] = {1};

    start(CTRL, 1, 0);
    for (unsigned class = 0; class < 256; class ++)
        for (unsigned command = 6; command < 256; command += 83)
            ck_assert_int_eq(cable_control((uint8_t) class, (uint8_t)command, data, 1), ERR);
    ck_assert_int_eq(cable_control(CLASS_RX, 0, data, 0), ERR);
    ck_assert_int_eq(cable_control(CLASS_RX, 0, data, 2), ERR);
    /* What was not negotiated: */
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, data, 2), ERR);
    ck_assert_int_eq(cable_control(CLASS_OFFLOADS, 0, data, 8), ERR);
    ck_assert_int_eq(cable_control(CLASS_VLAN, 0, data, 2), ERR);
    ck_assert(!driver_broken(&d));
}
END_TEST

START_TEST(command_of_0_or_1_bytes_is_an_error)
{
    for (uint32_t len = 0; len < 2; len++) {
        struct driver_buf bufs[2];

        start(CTRL, 1, 0);
        bufs[0] = (struct driver_buf){driver_alloc(&d, 16), len, false};
        bufs[1] = (struct driver_buf){driver_alloc(&d, 16), 1, true};
        ck_assert_uint_eq(driver_do(&d, 2, bufs, 2), 1);
        ck_assert_uint_eq(*(uint8_t *)driver_ptr(&d, bufs[1].gpa), ERR);
        cable_close();
    }
}
END_TEST

START_TEST(command_without_room_for_an_answer_is_completed)
{
    struct driver_buf bufs[2];

    start(CTRL, 1, 0);
    bufs[0] = (struct driver_buf){driver_alloc(&d, 16), 3, false};
    bufs[1] = (struct driver_buf){driver_alloc(&d, 16), 0, true};
    ck_assert_uint_eq(driver_do(&d, 2, bufs, 1), 0);
    ck_assert_uint_eq(driver_do(&d, 2, bufs, 2), 0);
    bufs[0].writable = true;
    ck_assert_uint_eq(driver_do(&d, 2, bufs, 1), 1); /* all of it is for the answer: an error */
    ck_assert_uint_eq(*(uint8_t *)driver_ptr(&d, bufs[0].gpa), ERR);
}
END_TEST

START_TEST(command_of_gigabytes_is_an_error)
{
    struct driver_buf bufs[60];

    start(CTRL, 1, 0);
    for (unsigned i = 0; i < 59; i++)
        bufs[i] = (struct driver_buf){DRIVER_GPA, DRIVER_RAM, false};
    bufs[59] = (struct driver_buf){driver_alloc(&d, 16), 1, true};
    ck_assert_uint_eq(driver_do(&d, 2, bufs, 60), 1);
    ck_assert_uint_eq(*(uint8_t *)driver_ptr(&d, bufs[59].gpa), ERR);
}
END_TEST

/* Queue pairs and offloads. */

START_TEST(first_pair_alone_is_used_until_the_driver_asks)
{
    uint8_t two[2] = {2, 0};

    start(CTRL | NET_F_MQ, 4, 0);
    ck_assert_uint_eq(cable.queues_set, 1);
    ck_assert(cable.want[0] && !cable.want[1]);
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, two, 2), OK);
    ck_assert_uint_eq(cable.queues_set, 2);
    ck_assert(cable.want[1] && !cable.want[2]);
    driver_write(&d, 0x70, 0);
    driver_start(&d, CTRL | NET_F_MQ, 64);
    driver_run(&d);
    ck_assert_uint_eq(cable.queues_set, 1);
}
END_TEST

START_TEST(pairs_0_or_above_the_offer_or_of_odd_length_are_errors)
{
    uint8_t data[4] = {0};

    start(CTRL | NET_F_MQ, 4, 0);
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, data, 2), ERR);
    data[0] = 5;
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, data, 2), ERR);
    store_le16(data, 0xffff);
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, data, 2), ERR);
    store_le16(data, 2);
    for (uint32_t len = 0; len < 4; len++)
        if (len != 2)
            ck_assert_int_eq(cable_control(CLASS_MQ, 0, data, len), ERR);
    ck_assert_int_eq(cable_control(CLASS_MQ, 1, data, 2), ERR);
    ck_assert_uint_eq(cable.queues_set, 1);
}
END_TEST

START_TEST(control_queue_is_the_third_without_multiqueue)
{
    uint8_t two[2] = {2, 0};

    start(CTRL, 4, 0);
    ck_assert_int_eq(mode(0, 0), OK);
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, two, 2), ERR);
    /* Queues behind it are nobody's. */
    driver_publish(&d, 5, 0);
    driver_kick(&d, 5);
    ck_assert(!driver_broken(&d));
    ck_assert_uint_eq(cable.sent, 0);
}
END_TEST

START_TEST(each_pair_sends_on_its_own_queue)
{
    start(CTRL | NET_F_MQ, 4, 0);
    for (unsigned i = 0; i < 4; i++) {
        struct driver_buf buf = {cable_compose(60, 0, NULL), 72, false};

        driver_do(&d, card_tx_queue(i), &buf, 1);
        ck_assert_uint_eq(cable.sent_on[i], 1);
    }
}
END_TEST

START_TEST(offloads_are_changed_within_what_was_negotiated)
{
    uint8_t data[8];

    start(CTRL | NET_F_CTRL_GUEST_OFFLOADS | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4, 1, OFFLOADS);
    ck_assert_uint_eq(cable.offloads_set, NET_CSUM | NET_TSO4);
    store_le64(data, NET_F_GUEST_CSUM);
    ck_assert_int_eq(cable_control(CLASS_OFFLOADS, 0, data, 8), OK);
    ck_assert_uint_eq(cable.offloads_set, NET_CSUM);
    store_le64(data, NET_F_GUEST_CSUM | NET_F_GUEST_TSO6);
    ck_assert_int_eq(cable_control(CLASS_OFFLOADS, 0, data, 8), ERR);
    store_le64(data, UINT64_MAX);
    ck_assert_int_eq(cable_control(CLASS_OFFLOADS, 0, data, 8), ERR);
    ck_assert_int_eq(cable_control(CLASS_OFFLOADS, 0, data, 7), ERR);
    ck_assert_uint_eq(cable.offloads_set, NET_CSUM);
}
END_TEST

/* Saved state. */

START_TEST(what_the_driver_set_survives_save_and_load)
{
    struct net_filter before;
    uint8_t data[64];
    size_t len;

    start(CTRL | NET_F_MQ, 4, 0);
    mode(0, 0);
    mode(5, 1);
    len = put_list(data, 1, stranger);
    len += put_list(data + len, 2, group);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), OK);
    ck_assert_int_eq(cable_control(CLASS_MAC, 1, other_group, 6), OK);
    store_le16(data, 3);
    ck_assert_int_eq(cable_control(CLASS_MQ, 0, data, 2), OK);
    before = cable_card()->filter;
    fake_transfer(d.dev, d.dev);
    driver_run(&d);
    ck_assert_mem_eq(&cable_card()->filter, &before, sizeof(before));
    ck_assert_uint_eq(cable_card()->active_pairs, 3);
    ck_assert_uint_eq(cable.queues_set, 3);
    ck_assert_uint_eq(driver_config(&d, 5, 1), other_group[5]);
    ck_assert(cable.want[2]);
}
END_TEST

/* The table in the saved state is found by its content; the two counts lie before it. */
START_TEST(saved_address_counts_beyond_the_table_are_refused)
{
    struct state_writer w = {0};
    struct state_reader r;
    uint8_t data[16];
    uint8_t *table;
    size_t len;

    start(CTRL, 1, 0);
    len = put_list(data, 1, stranger);
    len += put_list(data + len, 0, NULL);
    ck_assert_int_eq(cable_control(CLASS_MAC, 0, data, (uint32_t)len), OK);
    dev_save(d.dev, &w);
    table = memmem(w.data, w.len, stranger, sizeof(stranger));
    ck_assert_ptr_nonnull(table);
    ck_assert_uint_eq(table[-2], 1);
    for (unsigned uni = 0; uni <= 255; uni += 5) {
        table[-2] = (uint8_t)uni;
        table[-1] = 60;
        state_reader_init(&r, w.data, w.len);
        ck_assert_int_eq(dev_load(d.dev, &r), uni + 60 <= NET_TABLE_MAX ? 0 : -EINVAL);
    }
    state_writer_free(&w);
}
END_TEST

START_TEST(hostile_states_are_refused_or_leave_a_device_that_answers)
{
    start(CTRL, 1, 0);
    fake_hostile_states(d.dev, VIRTIO_MMIO_SIZE);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-net-ctrl");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, bad_options_are_refused_in_one_line);
    tcase_add_test(tc, options_show_in_the_configuration);
    tcase_add_test(tc, random_addresses_are_local_unicast_and_differ);
    tcase_add_test(tc, device_says_what_it_is);
    tcase_add_test(tc, offers_follow_what_the_back_end_can_do);
    tcase_add_test(tc, offloads_of_every_combination_reach_the_host_consistently);
    tcase_add_test(tc, configuration_is_read_only_and_ends_after_12_bytes);
    tcase_add_test(tc, link_changes_show_in_status_with_a_configuration_interrupt);
    tcase_add_test(tc, link_change_without_the_feature_interrupts_nobody);
    tcase_add_test(tc, driver_without_control_queue_gets_all_frames);
    tcase_add_test(tc, only_own_and_broadcast_frames_come_after_promiscuous_off);
    tcase_add_test(tc, each_receive_mode_does_what_it_says);
    tcase_add_test(tc, listed_addresses_come_through);
    tcase_add_test(tc, list_of_more_addresses_than_fit_lets_all_of_the_kind_through);
    tcase_add_test(tc, address_list_with_count_4294967295_is_an_error_and_changes_nothing);
    tcase_add_test(tc, address_lists_cut_at_each_length_are_errors);
    tcase_add_test(tc, address_set_by_the_driver_is_used_and_forgotten_at_reset);
    tcase_add_test(tc, unknown_and_malformed_commands_are_errors);
    tcase_add_test(tc, command_of_0_or_1_bytes_is_an_error);
    tcase_add_test(tc, command_without_room_for_an_answer_is_completed);
    tcase_add_test(tc, command_of_gigabytes_is_an_error);
    tcase_add_test(tc, first_pair_alone_is_used_until_the_driver_asks);
    tcase_add_test(tc, pairs_0_or_above_the_offer_or_of_odd_length_are_errors);
    tcase_add_test(tc, control_queue_is_the_third_without_multiqueue);
    tcase_add_test(tc, each_pair_sends_on_its_own_queue);
    tcase_add_test(tc, offloads_are_changed_within_what_was_negotiated);
    tcase_add_test(tc, what_the_driver_set_survives_save_and_load);
    tcase_add_test(tc, saved_address_counts_beyond_the_table_are_refused);
    tcase_add_test(tc, hostile_states_are_refused_or_leave_a_device_that_answers);
    return fake_run(tc);
}
