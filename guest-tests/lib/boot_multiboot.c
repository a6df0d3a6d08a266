/* The information structure of Multiboot 0.6.96, section 3.3. Called by guest_start. */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/string.h"

#define FLAG_CMDLINE (1u << 2)
#define FLAG_MODULES (1u << 3)
#define FLAG_MAP     (1u << 6)

static void read_map(uintptr_t at, uintptr_t len)
{
    uintptr_t end = at + len;

    /* An entry's size field does not count itself, and tells where the next entry is. */
    for (; at + 24 <= end; at += 4 + load32(at))
        boot_add_region(load64(at + 4), load64(at + 12), load32(at + 20));
}

static void read_modules(uintptr_t at, unsigned count)
{
    for (; count; count--, at += 16) {
        uint32_t start = load32(at), end = load32(at + 4);
        uintptr_t text = load32(at + 8);

        boot_add_module(start, end - start, text ? (const char *)text : "");
    }
}

void boot_read_multiboot(uintptr_t info)
{
    uint32_t flags = load32(info);

    if (flags & FLAG_CMDLINE)
        string_copy(boot_info.cmdline, (const char *)(uintptr_t)load32(info + 16), BOOT_TEXT_MAX);
    if (flags & FLAG_MODULES)
        read_modules(load32(info + 24), load32(info + 20));
    if (flags & FLAG_MAP)
        read_map(load32(info + 48), load32(info + 44));
}
