/*
 * Real mode, the mode of the 8086 in which a PC starts: from protected mode down to it, and back.
 * hv enters guests in protected mode, so getting there is part of the test.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/x86/real.h"

const char guest_name[] = "realmode";

extern const char real_start[], real_end[];
void real_call(void);

void guest_main(void)
{
    printf("going to real mode, from %s\n", boot_protocol());
    memset((void *)REAL_RESULT, 0, 16);
    memcpy((void *)REAL_BASE, real_start, (size_t)(real_end - real_start));
    real_call();
    check_equal(load32(REAL_RESULT), REAL_MAGIC, "a software interrupt ran its handler");
    check_equal(load32(REAL_RESULT + 4), REAL_MAGIC, "FS:offset reads segment * 16 + offset");
    check_equal(load32(REAL_RESULT + 8), 0x1234fffe, "the stack pointer wraps at 64 KiB");
}
