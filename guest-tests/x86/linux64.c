/*
 * A kernel without Multiboot header and PVH note: the loader has only the Linux 64-bit boot
 * protocol left. It checks what struct boot_params says.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/entry.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "linux64";

void guest_main(void)
{
    printf("entered by %s, boot_params at %08x\n", boot_protocol(), entry_state.info);
    printf("command line: %s\n", boot_info.cmdline);
    check_equal(entry_state.protocol, PROTOCOL_LINUX64, "entered in long mode");
    check(boot_info.regions > 0, "the E820 map has entries");
    check(boot_info.rsdp != 0, "the ACPI root pointer is told");
}
