/* Looks words up on the command line. Called by tests; declared in boot.h. */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/string.h"

/* Words are separated by blanks; there is no quoting, unlike in Linux. */
static const char *next_word(const char *at)
{
    while (*at && *at != ' ')
        at++;
    while (*at == ' ')
        at++;
    return at;
}

static bool is_end(char c)
{
    return c == '\0' || c == ' ';
}

bool cmdline_has(const char *word)
{
    for (const char *at = boot_info.cmdline; *at; at = next_word(at))
        if (string_starts_with(at, word) && is_end(at[strlen(word)]))
            return true;
    return false;
}

bool on_qemu(void)
{
    return cmdline_has("vmm=qemu");
}

const char *cmdline_nth(const char *name, unsigned nth)
{
    for (const char *at = boot_info.cmdline; *at; at = next_word(at))
        if (string_starts_with(at, name) && at[strlen(name)] == '=' && nth-- == 0)
            return at + strlen(name) + 1;
    return NULL;
}

const char *cmdline_text(const char *name)
{
    return cmdline_nth(name, 0);
}

uint64_t cmdline_number(const char *name, uint64_t otherwise)
{
    const char *text = cmdline_text(name);

    return text ? string_number(text, &text) : otherwise;
}
