/*
 * The real-mode part of realmode.c, which copies these bytes to REAL_BASE: in real mode addresses
 * are 16-bit offsets into segments of 64 KiB, so code above 1 MiB cannot be reached.
 */
#include "guest-tests/lib/segments.h"
#include "guest-tests/x86/real.h"

#define CR0_PE         1
#define VECTOR_TEST    0x40
#define PORT_DATA      0x3f8
#define PORT_STATUS    0x3fd
#define STATUS_TX_IDLE 0x20

/* Where a label lies after the copy. */
#define AT(label) ((label) - real_start + REAL_BASE)

    .section .rodata
    .globl real_start, real_end
    .code16
real_start:
/* Entered with CS = SEL_CODE16: 16-bit code, but still protected mode. */
    mov $SEL_DATA16, %ax /* real mode keeps the limits that are loaded now: 64 KiB */
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %cr0, %eax
    and $~CR0_PE, %eax
    mov %eax, %cr0
    ljmp $0, $AT(in_real_mode)

in_real_mode:
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $REAL_STACK, %sp
    lidtl AT(real_idt)

    /* Message: wait for the transmitter, then all of it with one instruction. */
    cld
    mov $AT(message), %si
    mov $message_end - message, %cx
    mov $PORT_STATUS, %dx
1:  in %dx, %al
    test $STATUS_TX_IDLE, %al
    jz 1b
    mov $PORT_DATA, %dx
    rep outsb

    /* A software interrupt through the table at address 0: four bytes a vector, offset, segment. */
    movw $AT(on_interrupt), VECTOR_TEST * 4
    movw $0, VECTOR_TEST * 4 + 2
    int $VECTOR_TEST

    /* Segments: the address is segment * 16 + offset. */
    mov $(REAL_BASE >> 4), %ax
    mov %ax, %fs
    mov %fs:AT(signature) - REAL_BASE, %eax
    mov %eax, REAL_RESULT + 4

    /* Offsets wrap at 64 KiB, here of the stack: 0 - 2 = 0xfffe in segment 0x0500. */
    mov $0x0500, %ax
    mov %ax, %ss
    xor %sp, %sp
    push $0x1234
    mov %sp, %bx
    mov %ss:(%bx), %cx
    mov %bx, REAL_RESULT + 8
    mov %cx, REAL_RESULT + 10

    mov %cr0, %eax
    or $CR0_PE, %eax
    mov %eax, %cr0
    ljmpl $SEL_CODE32, $real_return

on_interrupt:
    movl $REAL_MAGIC, REAL_RESULT
    iret

message:
    .ascii "hello from real mode\n"
message_end:
    .balign 4
signature:
    .long REAL_MAGIC
real_idt:
    .word 0x3ff
    .long 0
real_end:

    .section .text
    .code32
    .globl real_call
real_call:
    pusha
    mov %esp, saved_esp
    lgdt gdt_pointer
    ljmp $SEL_CODE16, $REAL_BASE
real_return:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov saved_esp, %esp
    popa
    ret

    .section .bss
    .balign 4
saved_esp:
    .skip 4

    .section .note.GNU-stack, "", @progbits
