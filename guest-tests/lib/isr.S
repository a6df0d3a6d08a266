/*
 * Interrupt and exception entry of 64-bit guests. The CPU does not tell a handler which vector it
 * was called for, so each vector has its own few bytes of code here, 16 apart, which push the
 * number and join the common part.
 *
 * Some exceptions push an error code; for all others the stub pushes 0, so that the frame always
 * looks like struct trap_frame (idt.h).
 */
#define VECTORS_WITH_ERROR_CODE 0x60227d00 /* 8, 10-14, 17, 21, 29, 30 (SDM volume 3, 6.15) */
#define STUB_SIZE               16

    .section .text
    .balign STUB_SIZE
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign STUB_SIZE
    .if vector >= 32
    pushq $0
    .elseif ((VECTORS_WITH_ERROR_CODE >> vector) & 1) == 0
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    call trap_dispatch
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp /* vector and error code */
    iretq

    .section .note.GNU-stack, "", @progbits
