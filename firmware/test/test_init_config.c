/* What the guest's first program reads: hv's word list, and a DHCP server's answers. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/init/config.h"
#include "firmware/init/dhcp.h"
#include "firmware/init/image.h"
#include "firmware/test/guarded.h"

#define WORDS(text) text, sizeof(text)

/* In memory that ends where the words do, so that reading beyond them shows. */
static const char *parse(struct config *config, const char *text, size_t len)
{
    static char *copy;

    free(copy);
    copy = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    return config_parse(config, copy, len);
}

static const char full[] = "module\0/hv/a.ko\0module\0/hv/b.ko.xz\0root\0/hvroot\0"
                           "9p\0share\0/src\0virtiofs\0ro\0/src\0share\0/o\0"
                           "9p\0rw\0/a b\0net\0dhcp\0hostname\0guest";

START_TEST(all_keywords_are_understood)
{
    struct config c;

    ck_assert_ptr_null(parse(&c, full, sizeof(full)));
    ck_assert_uint_eq(c.module_count, 2);
    ck_assert_str_eq(c.modules[1], "/hv/b.ko.xz");
    ck_assert_str_eq(c.root.tag, "/hvroot");
    ck_assert_str_eq(c.root.type, "9p");
    ck_assert_uint_eq(c.share_count, 2);
    ck_assert_str_eq(c.shares[0].type, "virtiofs");
    ck_assert(!c.shares[0].writable);
    ck_assert_str_eq(c.shares[1].tag, "/o");
    ck_assert_str_eq(c.shares[1].path, "/a b");
    ck_assert(c.shares[1].writable);
    ck_assert(c.dhcp);
    ck_assert_str_eq(c.hostname, "guest");
}
END_TEST

START_TEST(nothing_is_a_configuration_too)
{
    struct config c;

    ck_assert_ptr_null(parse(&c, "", 0));
    ck_assert_ptr_null(c.root.tag);
    ck_assert_ptr_null(c.hostname);
    ck_assert(!c.dhcp);
}
END_TEST

/* Cut anywhere, it is refused, or is what stands before the cut. */
START_TEST(truncated_configurations_are_harmless)
{
    struct config c;

    for (size_t len = 1; len < sizeof(full); len++) {
        const char *problem = parse(&c, full, len);

        ck_assert_msg(problem || full[len - 1] == '\0', "%zu bytes are taken", len);
    }
    ck_assert_ptr_nonnull(parse(&c, full, sizeof("module")));
}
END_TEST

static const struct {
    const char *text;
    size_t len;
} malformed[] = {
    {WORDS("")},
    {WORDS("modules\0x")},
    {WORDS("module\0")},
    {WORDS("root\0tag")},
    {WORDS("root\0tag\0ext4")},
    {WORDS("root\0\0"
           "9p")},
    {WORDS("root\0a\0"
           "9p\0root\0b\0"
           "9p")},
    {WORDS("share\0a\0"
           "9p\0ro")},
    {WORDS("share\0a\0"
           "9p\0wo\0/a")},
    {WORDS("share\0a\0"
           "9p\0rw\0a")},
    {WORDS("net\0static")},
    {WORDS("net")},
    {WORDS("hostname\0")},
    {"hostname\0x", 10}, /* not terminated */
};

START_TEST(malformed_configurations_are_refused)
{
    struct config c;

    ck_assert_ptr_nonnull(parse(&c, malformed[_i].text, malformed[_i].len));
}
END_TEST

START_TEST(too_many_of_anything_are_refused)
{
    static char text[(CONFIG_MODULES + 1) * sizeof("module\0x")];
    struct config c;

    for (size_t i = 0; i <= CONFIG_MODULES; i++)
        memcpy(text + i * sizeof("module\0x"), "module\0x", sizeof("module\0x"));
    ck_assert_ptr_null(parse(&c, text, sizeof(text) - sizeof("module\0x")));
    ck_assert_ptr_nonnull(parse(&c, text, sizeof(text)));
}
END_TEST

static const uint8_t mac[DHCP_MAC] = {2, 0, 0, 0, 0, 1};
enum { START = 28, OPTIONS = START + 240, TRANSACTION = 0x12345678 };

/* An answer as a server sends it: the request turned around, with other options. */
static void make_answer(uint8_t *packet, const char *options, size_t len)
{
    const uint8_t address[4] = {192, 0, 2, 5};

    dhcp_build(packet, DHCP_DISCOVER, TRANSACTION, mac, NULL);
    packet[23] = 68;   /* to the client's port */
    packet[START] = 2; /* BOOTREPLY */
    memcpy(packet + START + 16, address, sizeof(address));
    memset(packet + OPTIONS, 0, DHCP_PACKET - OPTIONS);
    memcpy(packet + OPTIONS, options, len);
}

START_TEST(dhcp_answer_is_read)
{
    static const char options[] = "\x35\1\5\0\0\1\4\xff\xff\xff\0\3\4\xc0\0\2\1"
                                  "\6\x0a\1\1\1\1\2\2\2\2\3\3\x36\4\xc0\0\2\2\xff";
    uint8_t packet[DHCP_PACKET];
    struct dhcp_answer a;

    make_answer(packet, options, sizeof(options));
    ck_assert_int_eq(dhcp_parse(&a, packet, sizeof(packet), TRANSACTION), 0);
    ck_assert_int_eq(a.type, DHCP_ACK);
    ck_assert_mem_eq(&a.address, "\xc0\0\2\5", 4);
    ck_assert_mem_eq(&a.mask, "\xff\xff\xff\0", 4);
    ck_assert_mem_eq(&a.router, "\xc0\0\2\1", 4);
    ck_assert_mem_eq(&a.server, "\xc0\0\2\2", 4);
    ck_assert_mem_eq(a.dns, "\1\1\1\1\2\2\2\2\0\0\0\0", 12);
    ck_assert_int_eq(dhcp_parse(&a, packet, sizeof(packet), TRANSACTION + 1), -EINVAL);
}
END_TEST

START_TEST(dhcp_answers_that_lie_are_harmless)
{
    static const char options[] = "\x35\1\5\1\xfa\xff";
    struct dhcp_answer a;

    for (size_t len = 0; len <= DHCP_PACKET; len++) {
        struct guarded g = guarded_new(len);
        uint8_t packet[DHCP_PACKET];

        make_answer(packet, options, sizeof(options));
        if (len > 0)
            memcpy(g.bytes, packet, len);
        /* With its type in place it is an answer, if a short one. */
        if (dhcp_parse(&a, g.bytes, len, TRANSACTION) == 0)
            ck_assert(len >= OPTIONS + 3 && len < OPTIONS + 5);
        if (len > 0) {
            g.bytes[0] = 0x4f; /* a header of 60 bytes */
            ck_assert_int_eq(dhcp_parse(&a, g.bytes, len, TRANSACTION), -EINVAL);
        }
        guarded_free(&g);
    }
}
END_TEST

START_TEST(dhcp_request_is_a_valid_packet)
{
    const struct dhcp_answer offer = {.address = 0x01020304, .server = 0x05060708};
    uint8_t packet[DHCP_PACKET];
    uint32_t sum = 0;

    dhcp_build(packet, DHCP_REQUEST, TRANSACTION, mac, &offer);
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)packet[i] << 8 | packet[i + 1];
    ck_assert_uint_eq((sum & 0xffff) + (sum >> 16), 0xffff);
    ck_assert_mem_eq(packet + OPTIONS, "\x35\1\3\x32\4\4\3\2\1\x36\4\x8\7\6\5\x37", 16);
}
END_TEST

START_TEST(embedded_program_is_a_small_executable)
{
    ck_assert_mem_eq(init_image,
                     "\x7f"
                     "ELF",
                     4);
    ck_assert_uint_le(init_image_size, 40960);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/init-config");
    TCase *t = tcase_create("config");

    tcase_add_test(t, all_keywords_are_understood);
    tcase_add_test(t, nothing_is_a_configuration_too);
    tcase_add_test(t, truncated_configurations_are_harmless);
    tcase_add_loop_test(t, malformed_configurations_are_refused, 0,
                        (int)(sizeof(malformed) / sizeof(*malformed)));
    tcase_add_test(t, too_many_of_anything_are_refused);
    tcase_add_test(t, dhcp_answer_is_read);
    tcase_add_test(t, dhcp_answers_that_lie_are_harmless);
    tcase_add_test(t, dhcp_request_is_a_valid_packet);
    tcase_add_test(t, embedded_program_is_a_small_executable);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
