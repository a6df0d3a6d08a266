/*
 * Writes the initramfs that `hv run OPTION... -- CMD` makes, for another monitor to boot: with it
 * the guest's part of a command's run is the same to the byte. usage: initramfs FILE OPTION... --
 * CMD      (options of hv run)
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/command/plan.h"
#include "hv/config.h"

static int copy(int from, const char *path)
{
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    struct stat st;
    off_t at = 0;

    if (to < 0 || fstat(from, &st) < 0)
        return -1;
    while (at < st.st_size)
        if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
            return -1;
    return close(to);
}

int main(int argc, char **argv)
{
    struct vm_config config;
    int fd;

    if (argc < 2)
        return 2;
    config_init(&config);
    if (config_parse_run(&config, argc - 1, argv + 1) || config_validate(&config) ||
        command_plan(&config, &fd))
        return 1;
    if (copy(fd, argv[1]) < 0) {
        perror(argv[1]);
        return 1;
    }
    config_free(&config);
    return 0;
}
