"""The rows of the table that guest-tests/bench/run prints.

A row is a shell script, the place where it runs, and a function that makes lines of the table from the
times that stopwatch printed and the files that the script left. Targets stand here and nowhere else.
"""
import json
import os
import shlex
from pathlib import Path

from rows_arm64 import boot_arm64
from rows_command import command_commands, command_script, report_share, share_script
from rows_exits import exit_cost_script, report_exit_cost, report_touch, touch_script
from rows_net import netring_script, report_netring
from rows_virtio import disk_script, net_script, report_disk, report_net, report_ring, ring_script
from table import APPEND, HV, KERNEL, QEMU, Line, Row, boot_script, compare, stopwatch, uptimes

NAMES = ["first-byte", "first-byte-icount", "boot-icount", "boot", "exits", "exit-cost", "touch", "memory",
         "memory-linux", "size", "disk", "ring", "net", "netring", "command", "share", "boot-arm64"]
IDLE_SECONDS = 5
# From exec to the first byte on COM1. Elsewhere than on hardware only their ratio is judged.
FIRST_BYTE_MS, FLOOR_MS = 1.5, 0.9
SERIAL = range(0x3F8, 0x400)


# first-byte: exec until the guest's first byte on COM1.

def first_byte_commands():
    guest = "build/bench/first.elf"
    return {
        "hv": [HV, "run", "-k", guest, "-m", "128"],
        "floor": ["build/bench/floor"],
        "qemu-microvm": [*QEMU, "-m", "128", "-kernel", guest],
    }


def report_first_byte(row, times):
    pairs = {"hv": "floor", "floor": "hv", "qemu-microvm": "hv"}
    for line in compare(row, times, 1000, "ms", pairs, FIRST_BYTE_MS / FLOOR_MS):
        if line.what == "hv" and row.data["hardware"]:
            line.target, line.target_is_ratio = FIRST_BYTE_MS, False
        yield line


# boot, boot-icount: Debian's kernel to its init and on to power-off.

def boot_commands(kernels):
    commands = {}
    for kernel, short in kernels.items():
        files = ["-i", KERNEL + "initrd.cpio"]
        commands[f"hv-{short}"] = [HV, "run", "-k", KERNEL + kernel, *files, "-m", "256", "--cmdline", APPEND]
        commands[f"qemu-{short}"] = [*QEMU, "-m", "256", "-kernel", KERNEL + kernel, "-initrd", KERNEL + "initrd.cpio",
                                     "-append", APPEND]
    return commands


def peer_commands(build):
    """kvmtool and Firecracker, where the environment names them."""
    commands = {}
    if os.environ.get("PEER_LKVM"):
        commands["kvmtool"] = [os.path.abspath(os.environ["PEER_LKVM"]), "run", "--name", "bench", "-k", KERNEL + "vmlinuz", "-i",
                               KERNEL + "initrd.cpio", "-m", "256", "-c", "1", "--console", "serial",
                               "--network", "mode=none", "-p", APPEND]
    if os.environ.get("PEER_FIRECRACKER"):
        # It has no power-off, only a reset by the keyboard controller, so its guest reboots instead.
        boot = {"kernel_image_path": KERNEL + "vmlinux", "initrd_path": KERNEL + "initrd.cpio",
                "boot_args": APPEND + ' reboot=k hv.cmd="echo hv-report: uptime-at-init $(cat /proc/uptime); reboot -f"'}
        config = {"boot-source": boot, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 256}}
        path = Path(build) / "firecracker.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        commands["firecracker"] = [os.path.abspath(os.environ["PEER_FIRECRACKER"]), "--no-api", "--config-file", str(path)]
    return commands


def report_boot(row, times):
    yield from compare(row, times, 1, "s", {"hv-bzImage": "qemu-bzImage"}, 0.6)
    for label in row.data["commands"]:
        yield Line(row.name, f"{label} init", "s", uptimes(row, label, row.data["out"]))


def report_command(row, times):
    yield from compare(row, times, 1, "s", {"hv": "qemu"}, 0.6)


def report_boot_icount(row, times):
    pairs = {"hv-bzImage": "qemu-bzImage", "hv-vmlinux": "qemu-vmlinux"}
    for line in compare(row, times, 1, "s", pairs):
        line.target = 1.75 if line.what.startswith("hv") else None
        yield line
        yield from repeats(row, line)
    for label in row.data["commands"]:
        line = Line(row.name, f"{label} init", "s", uptimes(row, label, row.data["out"]))
        line.target = 1.45 if label.startswith("hv") else None
        yield line


def repeats(row, line):
    """How far apart the runs are. By the counting clock they have to be the same but for 1 %."""
    if len(line.values) > 1 and line.what.startswith("hv"):
        apart = (max(line.values) - min(line.values)) / line.median * 100
        yield Line(row.name, f"{line.what} repeats", "%", [apart], target=1)


# exits: what leaves the guest for hv, of one boot, from --result.

def exits_script(out):
    hv = f"{HV} run -k {KERNEL}vmlinuz -i {KERNEL}initrd.cpio -m 256 --console none </dev/null"
    return "\n".join(f"{hv} --coalesce {mode} --result {out}/exits.{mode}.json" for mode in ("on", "off"))


def report_exits(row, _times):
    for mode in "on", "off":
        path = Path(row.data["out"]) / f"exits.{mode}.json"
        try:
            result = json.loads(path.read_text())
        except (OSError, ValueError):
            yield Line(row.name, f"a byte, coalesce {mode}", "exits", [])
            continue
        console = other = polls = 0
        for address, count in result["exits"]["by_address"].items():
            space, at = address.split()
            total = count["reads"] + count["writes"]
            if space == "port" and int(at, 16) in SERIAL:
                console += total
                polls += count["reads"] if int(at, 16) == 0x3FD else 0
            else:
                other += total
        size = result["console"]["bytes"]
        hv = mode == "on"  # the default
        yield Line(row.name, f"a byte, coalesce {mode}", "exits", [console / size], target=0.25 if hv else None)
        yield Line(row.name, "  LSR reads of these", "exits", [polls / size])
        yield Line(row.name, "  others, whole boot", "exits", [other], target=3000 if hv else None)


# memory, memory-linux: what a monitor holds and uses while its guest idles.

def memory_commands(linux):
    if not linux:
        guest = ["build/bench/first.elf"]
        return {"hv": [HV, "run", "-m", "128", "-k", *guest],
                "qemu-microvm": [*QEMU, "-m", "128", "-kernel", *guest]}
    text = APPEND + ' hv.cmd="printf guest-%s idles; sleep 1000"'  # the log shows it, too
    return {"hv": [HV, "run", "-m", "128", "-k", KERNEL + "vmlinuz", "-i", KERNEL + "initrd.cpio",
                   "--cmdline", text],
            "qemu-microvm": [*QEMU, "-m", "128", "-kernel", KERNEL + "vmlinuz", "-initrd", KERNEL + "initrd.cpio",
                             "-append", text]}


def memory_script(name, commands, pattern, out):
    return "\n".join(shlex.join(["guest-tests/bench/idle", f"{out}/{name}.{label}", pattern,
                                 str(IDLE_SECONDS), *command]) for label, command in commands.items())


def rss_kib(path):
    """Rss of all mappings but the guest's RAM, which is by far the largest of them."""
    sizes = []
    for text in path.read_text().splitlines():
        word, _, rest = text.partition(":")
        if word == "Size":
            sizes.append([int(rest.split()[0]), 0])
        elif word == "Rss":
            sizes[-1][1] = int(rest.split()[0])
    sizes.remove(max(sizes))
    return sum(rss for _, rss in sizes)


def ticks(path):
    """utime and stime, after the name in parentheses: fields 14 and 15 of proc(5)."""
    fields = path.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def report_memory(row, _times):
    for label in row.data["commands"]:
        stem = Path(row.data["out"]) / f"{row.name}.{label}"
        hv = label == "hv"
        try:
            rss = [rss_kib(Path(f"{stem}.smaps")) / 1024]
            used = [ticks(Path(f"{stem}.after")) - ticks(Path(f"{stem}.before"))]
        except (OSError, ValueError):
            rss, used = [], []
        yield Line(row.name, f"{label} RSS", "MiB", rss, target=2 if hv else None)
        # Linux wakes up for its own timers, so that its guest's time is in there, too: no target.
        halted = row.name == "memory"
        yield Line(row.name, f"{label} CPU in {IDLE_SECONDS} s", "ticks", used, target=0 if hv and halted else None)


def report_size(row, _times):
    yield Line(row.name, "hv, stripped", "KiB", [row.data["binary"].stat().st_size / 1024], target=400)


def make(kind, quick, build, out):
    """All rows, for a machine whose /dev/kvm is of that kind (guest-tests/kvm-kind)."""
    small = "testbed" if kind == "none" else "direct"
    linux = "direct" if kind == "real" else "testbed"
    # With two processors the box is now and then wrong about code that a guest patches (guest-tests/linux-lib.sh): a program
    # that runs for long in a guest would die of it.
    command = "direct" if kind == "real" else "testbed-1cpu"
    first = first_byte_commands()
    boots = boot_commands({"vmlinuz": "bzImage"})
    every = {**boot_commands({"vmlinuz": "bzImage", "vmlinux": "vmlinux"}), **peer_commands(build)}
    idle, idle_linux = memory_commands(False), memory_commands(True)
    many = {"direct": 101, "testbed": 15}[small] // (5 if quick else 1)
    return [
        Row("first-byte", small, stopwatch("first-byte", many, first, settle_ms=20 if small == "direct" else 300), report_first_byte,
            {"commands": first, "hardware": kind == "real"}),
        Row("first-byte-icount", "icount", stopwatch("first-byte-icount", 3, first, settle_ms=100), report_first_byte,
            {"commands": first, "hardware": False}),
        Row("boot-icount", "icount", boot_script("boot-icount", 1 if quick else 2, every, out), report_boot_icount,
            {"commands": every, "out": out}),
        Row("boot", linux, boot_script("boot", 1 if quick else 3, boots, out), report_boot, {"commands": boots, "out": out}),
        Row("exits", linux, exits_script(shlex.quote(str(out))), report_exits, {"out": out}),
        Row("exit-cost", small, exit_cost_script(1 if quick else 5, out), report_exit_cost, {"out": out}),
        Row("touch", small, touch_script(1 if quick else 5, out), report_touch, {"out": out}),
        Row("memory", small, memory_script("memory", idle, "!", out), report_memory, {"commands": idle, "out": out}),
        Row("memory-linux", linux, memory_script("memory-linux", idle_linux, "guest-idles", out), report_memory,
            {"commands": idle_linux, "out": out}),
        Row("disk", linux, disk_script(1 if quick else 3, out), report_disk, {"out": out}),
        Row("ring", small, ring_script(1 if quick else 3, out), report_ring, {"out": out}),
        Row("net", linux, net_script(1 if quick else 3, out), report_net, {"out": out}),
        Row("netring", small, netring_script(1 if quick else 5, out), report_netring,
            {"out": out}),
        Row("command", command, command_script(2 if quick else 5), report_command, {"commands": command_commands()}),
        Row("share", command, share_script(1 if quick else 3, out), report_share, {"out": out}),
        boot_arm64(1 if quick else 5, build, out),
        Row("size", "direct", "", report_size, {"binary": Path(build) / "hv.stripped"}),
    ]
