/* A stream that carries messages, where every byte held back is time lost. */
#include <check.h>
#include <unistd.h>

#include "devices/core/chardev.h"
#include "devices/core/loop.h"
#include "devices/test/fake.h"

START_TEST(stream_that_is_prompt_holds_nothing_back)
{
    struct chardev_config config = {.in_fd = -1, .prompt = true};
    struct loop *loop = loop_create();
    char got[8];
    struct chardev *chr;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    config.out_fd = fds[1];
    chr = chardev_create(loop, &config);
    for (int i = 0; i < 3; i++) {
        chardev_write(chr, (const uint8_t *)"x", 1);
        ck_assert_int_eq(read(fds[0], got, sizeof(got)), 1);
    }
    chardev_destroy(chr);
    loop_destroy(loop);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("prompt chardev");

    tcase_add_test(tc, stream_that_is_prompt_holds_nothing_back);
    return fake_run(tc);
}
