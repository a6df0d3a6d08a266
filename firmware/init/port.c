/* Finds the port to hv. See port.h. */
#include "firmware/init/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "firmware/init/format.h"
#include "firmware/init/power.h"
#include "firmware/init/session.h"
#include "firmware/init/wire.h"

#define PORTS   "/sys/class/virtio-ports"
#define DEVICES "/sys/bus/virtio/devices"

enum { WAIT_MS = 5000, PAUSE_NS = 1000000 };

static void pause_shortly(void)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};

    (void)nanosleep(&pause, NULL);
}

/* The port `entry` of PORTS has our name. */
static bool is_ours(const char *entry)
{
    char path[sizeof(PORTS) + 256 + sizeof("//name")], name[64];
    ssize_t n;
    int fd;

    (void)text_print(path, sizeof(path), PORTS "/%s/name", entry);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, name, sizeof(name));
    (void)close(fd);
    return n == (ssize_t)sizeof(WIRE_PORT) && memcmp(name, WIRE_PORT "\n", sizeof(WIRE_PORT)) == 0;
}

/* Looks once; writes the device's path. */
static bool find(char *path, size_t size)
{
    DIR *dir = opendir(PORTS);
    const struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir))) {
        found = is_ours(entry->d_name);
        if (found)
            (void)text_print(path, size, "/dev/%s", entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool empty = true;

    while (dir && (entry = readdir(dir)))
        empty = empty && entry->d_name[0] == '.';
    if (dir)
        (void)closedir(dir);
    return empty;
}

static void explain(void)
{
    if (is_empty(DEVICES))
        give_up("the kernel finds no virtio device: it needs CONFIG_VIRTIO_MMIO (with --bus pci: "
                "CONFIG_VIRTIO_PCI) and CONFIG_ACPI; build them in, or give hv its modules "
                "(--modules)");
    if (access(PORTS, F_OK) < 0)
        give_up("the kernel has no virtio console: build CONFIG_VIRTIO_CONSOLE=y into it, or give "
                "hv its modules (--modules)");
    give_up("the machine has no port " WIRE_PORT ": the kernel and this initramfs were not started "
            "by hv run -- COMMAND");
}

int port_open(void)
{
    int64_t until = session_clock() + WAIT_MS;
    struct pollfd port = {.fd = -1};
    char path[300];

    /* The driver makes the class when it is loaded, the port when hv has told it the name. */
    while (!find(path, sizeof(path))) {
        if (access(PORTS, F_OK) < 0 || session_clock() >= until)
            explain();
        pause_shortly();
    }
    port.fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (port.fd < 0)
        give_up("cannot open %s: %s", path, strerror(errno));
    /* Until the driver knows that hv has its end open, reading looks like the end of the file. */
    while (poll(&port, 1, 0) >= 0 && port.revents & POLLHUP) {
        if (session_clock() >= until)
            give_up("hv does not listen at the port " WIRE_PORT);
        pause_shortly();
    }
    return port.fd;
}
