/*
 * The head of an Image (Linux Documentation/arch/arm64/booting.rst), the way into C, and the
 * vectors. Memory is mapped as it is, so that it is cached: hv writes to it through its own caches.
 */
#include "guest-tests/arm64/lib/start.h"

    .section .head, "ax"
    .globl image_start
image_start:
    b       boot
    .long   0
    .quad   0                       /* text_offset: linked to where RAM starts */
    .quad   image_end - image_start
    .quad   2                       /* little-endian, 4 KiB pages, as low as possible */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    .text
/* x0: the device tree. */
boot:
    mov     x19, x0
    bl      prepare_cpu
    adrp    x1, boot_stack_end
    mov     sp, x1
    mov     x0, x19
    bl      guest_start
1:  wfi
    b       1b

/* Where PSCI starts another CPU; x0: its struct cpu_start. */
    .globl cpu_entry
cpu_entry:
    mov     x19, x0
    bl      prepare_cpu
    ldr     x1, [x19, #CPU_START_STACK]
    mov     sp, x1
    ldr     x1, [x19, #CPU_START_FUNCTION]
    ldr     x0, [x19, #CPU_START_ARGUMENT]
    blr     x1
1:  wfi
    b       1b

/* Vectors, then the identity map: the first GiB is devices, the next seven are RAM. */
prepare_cpu:
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    ldr     x1, =0xff00             /* MAIR: 0 is device-nGnRnE, 1 write-back */
    msr     mair_el1, x1
    ldr     x1, =0x200803519        /* TCR: 39 bits, 4 KiB, cached walks, no TTBR1, 40 bits out */
    msr     tcr_el1, x1
    adrp    x1, page_table
    msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    ldr     x1, =0x30d01805         /* SCTLR: what must be one, and MMU and caches on */
    msr     sctlr_el1, x1
    isb
    ret

#define FRAME_SIZE 272

/* Each of the 16 vectors has 128 bytes; the number tells which one it was. */
    .macro  vector number
    .balign 128
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       exception
    .endm

    .balign 2048
vectors:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vector  \n
    .endr

exception:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, elr_el1
    stp     x30, x2, [sp, #240]
    mrs     x2, spsr_el1
    str     x2, [sp, #256]
    mov     x1, sp
    bl      exception_taken
    ldr     x2, [sp, #256]
    msr     spsr_el1, x2
    ldp     x30, x2, [sp, #240]
    msr     elr_el1, x2
    ldp     x28, x29, [sp, #224]
    ldp     x26, x27, [sp, #208]
    ldp     x24, x25, [sp, #192]
    ldp     x22, x23, [sp, #176]
    ldp     x20, x21, [sp, #160]
    ldp     x18, x19, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #FRAME_SIZE
    eret

    .data
    .balign 4096
page_table:
    .quad   0x0060000000000401      /* a block of devices: not executable, accessed */
    .irp    gib, 1, 2, 3, 4, 5, 6, 7
    .quad   (\gib << 30) | 0x705    /* a block of RAM: accessed, shared, write-back */
    .endr
    .fill   504, 8, 0

    .bss
    .balign 4096
    .fill   16384
boot_stack_end:
    .section .note.GNU-stack, "", %progbits
