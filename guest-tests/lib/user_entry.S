/*
 * Ring 0 to ring 3. There is no instruction for that but the return from an interrupt: so we push
 * what an interrupt from ring 3 would have pushed, and return to where none came from.
 */
#include "guest-tests/lib/segments.h"

    .section .text
    .globl user_enter, user_leave, user_resume
/* RDI: function, RSI: top of its stack */
user_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, user_saved_rsp
    pushq $SEL_USER_DATA
    push %rsi
    pushfq
    pushq $SEL_USER_CODE
    pushq $in_user
    iretq
in_user:
    call *%rdi
user_leave:
    ud2
user_resume: /* RSP is user_saved_rsp: on_invalid_opcode in user.c saw to it */
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .section .note.GNU-stack, "", @progbits
