/*
 * Where an application processor starts: in real mode, at the start of a page below 1 MiB, with CS
 * = page / 16 and everything else cleared. smp.c copies these bytes there, so they may not name
 * addresses of their own; all they do is enter protected mode and jump to where we are linked.
 */
#include "guest-tests/lib/segments.h"

#define CR0_PE (1 << 0)

    .section .rodata
    .globl trampoline_start, trampoline_end
    .code16
trampoline_start:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline_start
    mov %cr0, %eax
    or $CR0_PE, %eax
    mov %eax, %cr0
    ljmpl $SEL_CODE32, $ap_protected

    .balign 4
trampoline_gdt_pointer:
    .word GDT_BYTES - 1
    .long gdt
trampoline_end:

    .section .text
    .code32
ap_protected:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov ap_stack, %esp
    mov $ap_long_mode, %ebx
    jmp enter_long_mode

    .code64
ap_long_mode:
    xor %ebp, %ebp
    call ap_start
1:  hlt
    jmp 1b

    .section .note.GNU-stack, "", @progbits
