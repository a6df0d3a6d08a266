/*
 * The first instructions of a 64-bit guest, and the way to long mode, which application processors
 * take too (smp.c).
 *
 * Multiboot and PVH loaders enter in 32-bit protected mode with paging off; a loader that follows
 * the Linux 64-bit boot protocol enters in long mode with paging on. Multiboot and Linux both come
 * to the ELF entry point, so that code must find out the mode it runs in.
 */
#include "guest-tests/lib/entry.h"
#include "guest-tests/lib/segments.h"

#define CR0_PE     (1 << 0)
#define CR0_NW_CD  (3 << 29)
#define CR0_PG     (1 << 31)
#define CR4_PAE    (1 << 5)
#define MSR_EFER   0xc0000080
#define EFER_LME   (1 << 8)
#define EFER_LMA   (1 << 10)
#define STACK_SIZE 16384

    .section .text
    .code32
    .globl guest_entry, pvh_entry
guest_entry:
    /* Up to the jump each instruction has the same bytes and meaning in 32-bit and 64-bit code. */
    cli
    mov %eax, %edi
    mov $MSR_EFER, %ecx
    rdmsr
    test $EFER_LMA, %eax
    jnz linux64_entry
    /* From here on 32-bit code. EAX back, for it tells whether the loader was a Multiboot one. */
    mov %edi, %eax
    mov $PROTOCOL_MULTIBOOT, %edi
    jmp entry32

pvh_entry:
    cli
    mov $PROTOCOL_PVH, %edi

/* EDI: protocol. EAX, EBX: as the loader left them. */
entry32:
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
    /* Neither protocol gives us a stack. Only now is one needed: EFLAGS can be read no other way. */
    mov $boot_stack_top, %esp
    pushf
    popl entry_state + ENTRY_EFLAGS
    mov $boot_continue, %ebx
    /* falls through */

/*
 * 32-bit protected mode -> long mode, on the processor that runs it (SDM volume 3, 10.8.5). EBX:
 * address of the 64-bit code to go on with; EDI and ESP are kept.
 */
    .globl enter_long_mode
enter_long_mode:
    lgdt gdt_pointer /* segments of our own; nothing changes until a register is loaded */
    mov %cr4, %eax
    or $CR4_PAE, %eax /* page table entries of 8 bytes, which long mode demands */
    mov %eax, %cr4
    mov $page_map, %eax
    mov %eax, %cr3 /* where the page tables are; not used before paging is on */
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax /* "long mode, as soon as paging is switched on" */
    wrmsr
    mov %cr0, %eax
    and $~CR0_NW_CD, %eax
    or $(CR0_PG | CR0_PE), %eax
    mov %eax, %cr0 /* long mode is active now, but this is still 32-bit code ... */
    ljmp $SEL_CODE64, $long_mode /* ... until CS names a 64-bit segment */

    .code64
long_mode:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov %ebx, %ebx /* the upper halves hold nothing defined after the switch */
    mov %edi, %edi
    mov %esp, %esp
    jmp *%rbx

boot_continue:
    mov $boot_stack_top, %esp
    xor %ebp, %ebp /* ends a walk along the frame pointers */
    call guest_start
1:  hlt
    jmp 1b

/* RSI: struct boot_params (boot.rst, "64-bit BOOT PROTOCOL"). */
linux64_entry:
    mov %rsi, entry_state + ENTRY_INFO
    movl $PROTOCOL_LINUX64, entry_state + ENTRY_PROTOCOL
    mov %cr0, %rax
    mov %eax, entry_state + ENTRY_CR0
    mov %cr4, %rax
    mov %eax, entry_state + ENTRY_CR4
    mov %cs, entry_state + ENTRY_CS
    mov %ds, entry_state + ENTRY_DS
    mov %es, entry_state + ENTRY_ES
    mov %ss, entry_state + ENTRY_SS
    str entry_state + ENTRY_TR
    mov $boot_stack_top, %esp
    pushfq
    popq %rax
    mov %eax, entry_state + ENTRY_EFLAGS
    /* The loader's tables lie in memory that we may want for something else: use our own. */
    lgdt gdt_pointer
    mov $page_map, %eax
    mov %rax, %cr3
    mov $boot_continue, %ebx
    pushq $SEL_CODE64
    pushq $long_mode
    lretq

    .section .bss
    .balign 16
    .skip STACK_SIZE
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
