/*
 * Prints what the boot loader handed over, for the runner to compare: the command line, and each
 * module's size, name and checksum.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "bootinfo";

/* Fletcher's checksum with 16-bit sums: notices bytes that changed places. */
static uint32_t checksum(const uint8_t *data, uint64_t size)
{
    uint32_t a = 0, b = 0;

    for (; size; size--) {
        a = (a + *data++) % 65535;
        b = (b + a) % 65535;
    }
    return b << 16 | a;
}

static bool in_ram(const struct boot_module *m)
{
    for (unsigned i = 0; i < boot_info.regions; i++) {
        const struct boot_region *r = &boot_info.region[i];

        if (r->type == REGION_RAM && m->start >= r->start &&
            m->start + m->size <= r->start + r->size)
            return true;
    }
    return false;
}

extern const char image_start[], image_end[];

static bool overlaps_image(const struct boot_module *m)
{
    return m->start < (uintptr_t)image_end && m->start + m->size > (uintptr_t)image_start;
}

void guest_main(void)
{
    printf("protocol: %s\n", boot_protocol());
    printf("command line: <%s> (%u bytes)\n", boot_info.cmdline,
           (unsigned)strlen(boot_info.cmdline));
    printf("modules: %u\n", boot_info.modules);
    for (unsigned i = 0; i < boot_info.modules; i++) {
        const struct boot_module *m = &boot_info.module[i];

        printf("module %u: %llu bytes, checksum %08x, name <%s>\n", i, (unsigned long long)m->size,
               checksum((const uint8_t *)(uintptr_t)m->start, m->size), m->name);
        check(in_ram(m), "module %u lies in RAM", i);
        check(!overlaps_image(m), "module %u lies clear of the kernel", i);
        if (strcmp(boot_protocol(), "multiboot") == 0)
            check(m->start % 4096 == 0, "module %u starts on a page, as the header asks", i);
    }
}
