/* The device tree: that it is one, and that it says what is true of this machine. */
#include "guest-tests/arm64/lib/board.h"
#include "guest-tests/arm64/lib/dtb.h"
#include "guest-tests/arm64/lib/gic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "fdt";

void guest_main(void)
{
    uint32_t len;
    const char *text;

    check(dtb_size() >= 100 && dtb_size() <= 0x200000, "x0 points at a tree");
    check(cmdline_has("hello"), "the command line is in it");
    check_equal(dtb_count("cpu@"), cmdline_number("cpus", 1), "CPUs");
    check_equal(dtb_cell("memory@", "reg", 1), RAM_BASE, "where RAM begins");
    check_equal(((uint64_t)dtb_cell("memory@", "reg", 2) << 32 | dtb_cell("memory@", "reg", 3)) >>
                    20,
                cmdline_number("mib", 256), "MiB of RAM");
    text = dtb_property("psci", "method", &len);
    check(text && strcmp(text, "hvc") == 0, "PSCI by hvc");
    check_equal(read_sysreg("CurrentEL") >> 2, 1, "exception level");
    check_equal(read_sysreg("mpidr_el1") & 0xff00ffffff, 0, "affinity of the first CPU");
    check(gic_lines() >= 64, "%u lines of the GIC", gic_lines());
    printf("counter: %u Hz\n", (unsigned)read_sysreg("cntfrq_el0"));
}
