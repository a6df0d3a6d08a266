/* The ways in which a guest ends its run by PSCI: `how=off`, `how=reset`; and `how=hang`. */
#include "guest-tests/arm64/lib/psci.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "ending";

static bool how(const char *word)
{
    const char *text = cmdline_text("how");

    return text && string_starts_with(text, word);
}

void guest_main(void)
{
    test_print_marker();
    if (how("off"))
        psci(PSCI_SYSTEM_OFF, 0, 0, 0);
    if (how("reset"))
        psci(PSCI_SYSTEM_RESET, 0, 0, 0);
    while (how("hang"))
        halt();
    check(false, "the run ends");
}
