/* The processor's state at the first instruction is what the boot protocol promises. */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/entry.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "entrystate";

#define CR0_PE    (1u << 0)
#define CR0_PG    (1u << 31)
#define CR4_PAE   (1u << 5)
#define EFLAGS_TF (1u << 8)
#define EFLAGS_IF (1u << 9)
#define EFLAGS_VM (1u << 17)
#define PVH_MAGIC 0x336ec578

/* Multiboot 0.6.96, section 3.2. */
static void test_multiboot(void)
{
    check_equal(entry_state.eax, MULTIBOOT_BOOT_MAGIC, "EAX holds the magic number");
    check(entry_state.info % 4 == 0 && entry_state.info, "EBX holds an address");
    check(load32(entry_state.info) & 1u << 6, "the information has a memory map");
    check_equal(entry_state.cr0 & (CR0_PE | CR0_PG), CR0_PE, "CR0: protected, not paged");
}

/* docs/misc/pvh.pandoc: EBX, CR0 with PE alone, CR4 zero, flat segments, EFLAGS without VM, IF, TF.
 */
static void test_pvh(void)
{
    check_equal(load32(entry_state.info), PVH_MAGIC, "EBX points to hvm_start_info");
    check_equal(entry_state.cr0 & (CR0_PE | CR0_PG), CR0_PE, "CR0: protected, not paged");
    check_equal(entry_state.cr4, 0, "CR4 is zero");
}

/* boot.rst, "64-bit BOOT PROTOCOL": paging on, CS 0x10, data segments 0x18. */
static void test_linux64(void)
{
    check_equal(entry_state.cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG, "CR0: protected, paged");
    check(entry_state.cr4 & CR4_PAE, "CR4.PAE");
    check_equal(entry_state.cs, 0x10, "CS is __BOOT_CS");
    check(entry_state.ds == 0x18 && entry_state.es == 0x18 && entry_state.ss == 0x18,
          "DS, ES and SS are __BOOT_DS");
}

void guest_main(void)
{
    const char *want = cmdline_text("protocol");

    printf("protocol %s eax %08x info %08x cr0 %08x cr4 %08x eflags %08x\n", boot_protocol(),
           entry_state.eax, entry_state.info, entry_state.cr0, entry_state.cr4, entry_state.eflags);
    printf("cs %04x ds %04x es %04x ss %04x tr %04x\n", entry_state.cs, entry_state.ds,
           entry_state.es, entry_state.ss, entry_state.tr);
    if (want)
        check(string_starts_with(want, boot_protocol()), "entered by the protocol asked for");
    check((entry_state.eflags & (EFLAGS_TF | EFLAGS_IF | EFLAGS_VM)) == 0,
          "EFLAGS: TF, IF and VM are off");
    if (entry_state.protocol == PROTOCOL_MULTIBOOT)
        test_multiboot();
    else if (entry_state.protocol == PROTOCOL_PVH)
        test_pvh();
    else
        test_linux64();
}
