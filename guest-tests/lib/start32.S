/*
 * The first instructions of a 32-bit guest: flat protected mode without paging, from the entry
 * that Multiboot and PVH loaders leave the CPU in. start64.S is the same for 64-bit guests.
 */
#include "guest-tests/lib/entry.h"
#include "guest-tests/lib/segments.h"

#define STACK_SIZE 16384

    .section .text
    .code32
    .globl guest_entry, pvh_entry
guest_entry:
    mov $PROTOCOL_MULTIBOOT, %edi
    jmp 1f
pvh_entry:
    mov $PROTOCOL_PVH, %edi
1:  cli
    mov %edi, entry_state + ENTRY_PROTOCOL
    mov %eax, entry_state + ENTRY_EAX
    mov %ebx, entry_state + ENTRY_INFO
    mov %cr0, %eax
    mov %eax, entry_state + ENTRY_CR0
    mov %cr4, %eax
    mov %eax, entry_state + ENTRY_CR4
    mov %cs, entry_state + ENTRY_CS
    mov %ds, entry_state + ENTRY_DS
    mov %es, entry_state + ENTRY_ES
    mov %ss, entry_state + ENTRY_SS
    str entry_state + ENTRY_TR
    mov $boot_stack_top, %esp
    pushf
    popl entry_state + ENTRY_EFLAGS

    /* From here on our own descriptor table. A segment register keeps its old descriptor until it
     * is loaded anew; CS is loaded by a far jump. */
    lgdt gdt_pointer
    ljmp $SEL_CODE32, $2f
2:  mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    xor %ebp, %ebp
    call guest_start
3:  hlt
    jmp 3b

    .section .bss
    .balign 16
    .skip STACK_SIZE
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
