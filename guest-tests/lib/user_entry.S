/*
 * Ring 0 to ring 3. There is no instruction for that but the return from an interrupt: so we push
 * what an interrupt from ring 3 would have pushed, and return to where none came from.
 */
#include "guest-tests/lib/segments.h"

#define RFLAGS_IOPL3 0x3000
#define VECTOR_LEAVE 0x44 /* idt.h */

    .section .text
    .globl user_enter, user_resume
/* RDI: function, RSI: top of its stack */
user_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, user_saved_rsp
    pushfq
    pop %rax
    or $RFLAGS_IOPL3, %rax
    pushq $SEL_USER_DATA
    push %rsi
    push %rax
    pushq $SEL_USER_CODE
    pushq $in_user
    iretq
in_user:
    call *%rdi
    int $VECTOR_LEAVE
user_resume: /* RSP is user_saved_rsp: on_leave in user.c saw to it */
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .section .note.GNU-stack, "", @progbits
