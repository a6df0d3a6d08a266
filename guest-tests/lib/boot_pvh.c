/* struct hvm_start_info of Xen's PVH protocol (arch-x86/hvm/start_info.h). Called by guest_start.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/string.h"

#define START_INFO_MAGIC 0x336ec578u

static void read_modules(uintptr_t at, unsigned count)
{
    for (; count; count--, at += 32) {
        uintptr_t text = (uintptr_t)load64(at + 16);

        boot_add_module(load64(at), load64(at + 8), text ? (const char *)text : "");
    }
}

static void read_map(uintptr_t at, unsigned count)
{
    for (; count; count--, at += 24)
        boot_add_region(load64(at), load64(at + 8), load32(at + 16));
}

void boot_read_pvh(uintptr_t info)
{
    uintptr_t text;

    if (load32(info) != START_INFO_MAGIC)
        return;
    text = (uintptr_t)load64(info + 24);
    if (text)
        string_copy(boot_info.cmdline, (const char *)text, BOOT_TEXT_MAX);
    read_modules((uintptr_t)load64(info + 16), load32(info + 12));
    boot_info.rsdp = load64(info + 32);
    if (load32(info + 4) >= 1) /* the memory map came with version 1 */
        read_map((uintptr_t)load64(info + 40), load32(info + 48));
}
