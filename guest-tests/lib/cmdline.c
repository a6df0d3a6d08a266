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

const char *cmdline_text(const char *name)
{
    for (const char *at = boot_info.cmdline; *at; at = next_word(at))
        if (string_starts_with(at, name) && at[strlen(name)] == '=')
            return at + strlen(name) + 1;
    return NULL;
}

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

uint64_t cmdline_number(const char *name, uint64_t otherwise)
{
    const char *text = cmdline_text(name);
    unsigned base = 10;
    uint64_t value = 0;

    if (!text)
        return otherwise;
    if (string_starts_with(text, "0x")) {
        base = 16;
        text += 2;
    }
    for (; digit(*text) < base; text++)
        value = value * base + digit(*text);
    return value;
}
