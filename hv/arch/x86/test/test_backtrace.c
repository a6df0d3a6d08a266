/* What is taken for a call, and the walk over stacks that are good, odd or hostile. */
#include <stdlib.h>
#include <string.h>

#include "hv/arch/arch.h"
#include "hv/arch/x86/x86.h"
#include "hv/test/run_suite.h"

#define TEXT  UINT64_C(0xffffffff81000000)
#define STACK UINT64_C(0xffffc90000010000)
#define SLOTS 64

static uint64_t slot[SLOTS];
static struct arch_frame frame[16];
static unsigned asked;

/* Of the addresses near TEXT every 16th follows a call. */
static bool follows_call(void *opaque, uint64_t address)
{
    (void)opaque;
    asked++;
    return address % 16 == 5 && address > TEXT && address < TEXT + 0x10000;
}

static struct x86_stack start(void)
{
    memset(slot, 0, sizeof(slot));
    asked = 0;
    return (struct x86_stack){.rip = TEXT + 0x100,
                              .rsp = STACK,
                              .width = 8,
                              .bytes = (const uint8_t *)slot,
                              .len = sizeof(slot),
                              .follows_call = follows_call};
}

START_TEST(calls_are_told_from_what_is_none)
{
    static const struct {
        uint8_t code[X86_CALL_MAX];
        bool call;
    } rows[] = {
        {{0x90, 0x90, 0xe8, 1, 2, 3, 4}, true},              /* call rel32 */
        {{0x90, 0x90, 0xe9, 1, 2, 3, 4}, false},             /* jmp rel32 */
        {{0x90, 0xe8, 1, 2, 3, 4, 0x90}, false},             /* a nop behind it */
        {{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0}, true},  /* call *%rax */
        {{0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd3}, true},  /* call *%r11 */
        {{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0}, false}, /* jmp *%rax */
        {{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x10}, true},  /* call *(%rax) */
        {{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x14}, false}, /* a SIB byte is missing */
        {{0x90, 0x90, 0x90, 0x90, 0xff, 0x14, 0x24}, true},  /* call *(%rsp) */
        {{0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18}, true},  /* call *0x18(%rax) */
        {{0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 0x08}, true},  /* call *8(%rsp) */
        {{0x90, 0xff, 0x15, 1, 2, 3, 4}, true},              /* call *x(%rip) */
        {{0x90, 0xff, 0x90, 1, 2, 3, 4}, true},              /* call *x(%rax) */
        {{0xff, 0x14, 0xc5, 1, 2, 3, 4}, true},              /* call *table(,%rax,8) */
        {{0xff, 0x94, 0x24, 1, 2, 3, 4}, true},              /* call *x(%rsp) */
        {{0xff, 0x34, 0xc5, 1, 2, 3, 4}, false},             /* push table(,%rax,8) */
        {{0, 0, 0, 0, 0, 0, 0}, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(x86_ends_in_call(rows[i].code) == rows[i].call, "row %u", i);
}
END_TEST

START_TEST(chain_of_frame_pointers_is_followed_and_nothing_guessed)
{
    struct x86_stack s = start();

    slot[1] = TEXT + 0x95; /* left over from an earlier call */
    s.rbp = STACK + 4 * 8;
    slot[4] = STACK + 10 * 8;
    slot[5] = TEXT + 0x15;
    slot[10] = 0;
    slot[11] = TEXT + 0x25;
    slot[20] = TEXT + 0x35;
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 2);
    ck_assert_uint_eq(frame[0].address, TEXT + 0x15);
    ck_assert_uint_eq(frame[1].address, TEXT + 0x25);
    ck_assert(!frame[0].guessed && !frame[1].guessed);
}
END_TEST

START_TEST(broken_chain_goes_on_by_guessing)
{
    struct x86_stack s = start();

    s.rbp = STACK;
    slot[0] = STACK + 2 * 8;
    slot[1] = TEXT + 0x15;
    slot[2] = 7;
    slot[3] = TEXT + 0x25;
    slot[20] = TEXT + 0x35;
    slot[21] = TEXT + 0x36;               /* no call in front of it */
    slot[22] = TEXT + 0x5 + (1ull << 40); /* no call reaches it */
    slot[SLOTS - 1] = TEXT + 0x45;
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 4);
    ck_assert(!frame[1].guessed);
    ck_assert(frame[2].guessed && frame[3].guessed);
    ck_assert_uint_eq(frame[2].address, TEXT + 0x35);
    ck_assert_uint_eq(frame[3].address, TEXT + 0x45);
}
END_TEST

/* ORC kernels use rbp for anything. */
START_TEST(rbp_that_is_no_frame_pointer_hides_nothing)
{
    struct x86_stack s = start();

    s.rbp = STACK + 8 * 8; /* one frame fits by chance */
    slot[2] = TEXT + 0x15;
    slot[9] = TEXT + 0x25;
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 2);
    ck_assert(frame[0].guessed && frame[1].guessed);
    ck_assert_uint_eq(frame[0].address, TEXT + 0x15);
}
END_TEST

START_TEST(chains_that_loop_or_leave_the_stack_end)
{
    static const uint64_t bad[] = {STACK, STACK - 8,  STACK + 4,     STACK + sizeof(slot) - 8,
                                   1,     UINT64_MAX, UINT64_MAX - 7};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct x86_stack s = start();

        s.rbp = STACK;
        slot[0] = STACK + 16;
        slot[1] = TEXT + 0x15;
        slot[2] = bad[i];
        slot[3] = TEXT + 0x25;
        ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 2);
        s.rbp = bad[i];
        x86_walk_stack(&s, frame, 16);
    }
}
END_TEST

START_TEST(what_is_asked_for_bounds_the_answer)
{
    struct x86_stack s = start();

    for (unsigned i = 0; i < SLOTS; i++)
        slot[i] = TEXT + 16 * i + 5;
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 16);
    ck_assert_uint_eq(asked, 16);
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 0), 0);
    /* The unreadable rest, and a stack that ends within a slot. */
    s.len = 0;
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 0);
    s.len = 15;
    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 1);
}
END_TEST

START_TEST(slots_of_32_bit_code_are_four_bytes)
{
    uint32_t narrow[] = {0x90000, 0x100015, 0, 0x100025};
    struct x86_stack s = {.rip = 0x100000,
                          .rsp = 0x90000 - 16,
                          .width = 4,
                          .bytes = (const uint8_t *)narrow,
                          .len = sizeof(narrow),
                          .follows_call = follows_call};

    ck_assert_uint_eq(x86_walk_stack(&s, frame, 16), 0); /* TEXT is elsewhere */
    ck_assert_uint_eq(asked, 4);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(calls_are_told_from_what_is_none),
        CASE(chain_of_frame_pointers_is_followed_and_nothing_guessed),
        CASE(broken_chain_goes_on_by_guessing),
        CASE(rbp_that_is_no_frame_pointer_hides_nothing),
        CASE(chains_that_loop_or_leave_the_stack_end),
        CASE(what_is_asked_for_bounds_the_answer),
        CASE(slots_of_32_bit_code_are_four_bytes),
    };

    return run_suite("backtrace", cases, ARRAY_SIZE(cases));
}
