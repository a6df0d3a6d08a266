/* Console lines. See say.h. */
#include "firmware/init/say.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "firmware/init/format.h"
#include "firmware/init/wire.h"

enum {
    LINE_MAX_BYTES = 900, /* the kernel refuses lines that do not fit in its own buffer of 1 KiB */
    KMSG_MAJOR = 1,       /* Documentation/admin-guide/devices.txt of Linux */
    KMSG_MINOR = 11
};

static int kernel_log = -1;

void say_to_kernel_log(void)
{
    const char *path = "/dev/kmsg";

    if (access(path, F_OK) < 0) {
        path = "/hv-kmsg";
        (void)mknod(path, S_IFCHR | 0600, makedev(KMSG_MAJOR, KMSG_MINOR));
    }
    kernel_log = open(path, O_WRONLY | O_CLOEXEC);
}

void say(const char *format, ...)
{
    static const char level[] = "<3>"; /* KERN_ERR */
    char line[sizeof(level) + sizeof(WIRE_SAYS) + LINE_MAX_BYTES + 1];
    size_t len = text_print(line, sizeof(line), "%s%s", kernel_log >= 0 ? level : "", WIRE_SAYS);
    va_list args;

    va_start(args, format);
    len += text_format(line + len, LINE_MAX_BYTES, format, args);
    va_end(args);
    line[len++] = '\n';
    /* There is nobody to tell that this failed. */
    if (write(kernel_log >= 0 ? kernel_log : STDERR_FILENO, line, len) < 0)
        return;
}
