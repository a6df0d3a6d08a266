/* From the boot loader's registers to guest_main. Called by start32.S and start64.S. */
#include "guest-tests/lib/boot.h"

#include "guest-tests/lib/console.h"
#include "guest-tests/lib/entry.h"
#include "guest-tests/lib/start.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

/*
 * start32.S and start64.S store what the boot loader left in the registers before C code runs; the
 * assembler knows the structure by these offsets only.
 */
_Static_assert(offsetof(struct entry_state, eax) == ENTRY_EAX &&
                   offsetof(struct entry_state, info) == ENTRY_INFO &&
                   offsetof(struct entry_state, cr0) == ENTRY_CR0 &&
                   offsetof(struct entry_state, cr4) == ENTRY_CR4 &&
                   offsetof(struct entry_state, eflags) == ENTRY_EFLAGS &&
                   offsetof(struct entry_state, cs) == ENTRY_CS &&
                   offsetof(struct entry_state, tr) == ENTRY_TR,
               "entry.h: offsets for the assembler");

struct entry_state entry_state;
struct boot_info boot_info;

const char *boot_protocol(void)
{
    static const char *const names[] = {
        [PROTOCOL_MULTIBOOT] = "multiboot", [PROTOCOL_PVH] = "pvh", [PROTOCOL_LINUX64] = "linux64"};

    return names[entry_state.protocol];
}

/* Through memcpy, because a plain load through a cast pointer would be undefined behaviour. */
uint32_t load32(uintptr_t at)
{
    uint32_t value;

    memcpy(&value, (const void *)at, sizeof(value));
    return value;
}

uint64_t load64(uintptr_t at)
{
    return load32(at) | (uint64_t)load32(at + 4) << 32;
}

void boot_add_region(uint64_t start, uint64_t size, uint32_t type)
{
    if (boot_info.regions < BOOT_MAX_REGIONS)
        boot_info.region[boot_info.regions++] = (struct boot_region){start, size, type};
}

void boot_add_module(uint64_t start, uint64_t size, const char *name)
{
    struct boot_module *m = &boot_info.module[boot_info.modules];

    if (boot_info.modules == BOOT_MAX_MODULES)
        return;
    boot_info.modules++;
    m->start = start;
    m->size = size;
    string_copy(m->name, name, sizeof(m->name));
}

/*
 * The first C function. There is no C library that would have called main: what main could rely on
 * (a stack, cleared bss, a console) was set up just before or is set up here.
 */
void guest_start(void)
{
    uintptr_t info = entry_state.info;

    console_init();
    switch (entry_state.protocol) {
    case PROTOCOL_MULTIBOOT:
        boot_read_multiboot(info);
        break;
    case PROTOCOL_PVH:
        boot_read_pvh(info);
        break;
    default:
        boot_read_linux64(info);
        break;
    }
    arch_init();
    guest_main();
    test_finish();
}
