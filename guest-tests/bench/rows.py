"""The rows of the table that guest-tests/bench/run prints.

A row is a shell script, the place where it runs, and a function that makes lines of the table from the
times that stopwatch printed and the files that the script left. Targets stand here and nowhere else.
"""
import json
import os
import shlex
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

NAMES = ["first-byte", "first-byte-icount", "boot-icount", "boot", "exits", "memory", "memory-linux", "size",
         "disk", "net"]
# With an RTC: the kernel looks for one for 1.2 s where there is none.
QEMU = ("qemu-system-x86_64 -accel kvm -M microvm,acpi=on,rtc=on -cpu host -nodefaults -no-user-config"
        " -display none -no-reboot -serial stdio").split()
HV = "build/bench/hv"  # a copy: build/hv may be made anew meanwhile
KERNEL = "build/guest/x86_64/"
APPEND = "console=ttyS0"  # the same for every monitor
IDLE_SECONDS = 5
# From exec to the first byte on COM1. Elsewhere than on hardware only their ratio is judged.
FIRST_BYTE_MS, FLOOR_MS = 1.5, 0.9
SERIAL = range(0x3F8, 0x400)


@dataclass
class Line:
    row: str
    what: str
    unit: str
    values: list
    ratio: Optional[float] = None
    of: str = ""  # what the ratio is to
    target: Optional[float] = None
    target_is_ratio: bool = False

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    @property
    def behind(self):
        actual = self.ratio if self.target_is_ratio else self.median
        return self.target is not None and actual is not None and actual > self.target

    def target_text(self):
        if self.target is None:
            return f"x {self.of}" if self.of else ""
        return f"<= {self.target:.3g} x {self.of}" if self.target_is_ratio else f"<= {self.target:g} {self.unit}"

    def as_dict(self):
        spread = {"median": self.median, "min": min(self.values), "max": max(self.values)} if self.values else {}
        return {"row": self.row, "what": self.what, "unit": self.unit, "runs": self.values, **spread,
                "ratio": self.ratio, "of": self.of or None, "target": self.target,
                "target_is_ratio": self.target_is_ratio, "behind": self.behind}


@dataclass
class Row:
    name: str
    place: str  # direct, testbed, icount
    script: str
    report: Callable
    data: dict = field(default_factory=dict)


def stopwatch(name, runs, commands, *flags, settle_ms):
    """The script that times `commands`, {label: [word]}, one after the other."""
    words = ["build/bench/stopwatch", "-n", str(runs), "-w", "1", "-s", str(settle_ms), *flags, name]
    for label, command in commands.items():
        words += ["--", label, *command]
    return shlex.join(words)


def compare(row, times, scale, unit, pairs, target=None):
    """One line for each label. `pairs` says whose ratio to whom is shown; `target` limits those of hv."""
    medians = {label: statistics.median(values) for label, values in times.items()}
    for label in row.data["commands"]:
        line = Line(row.name, label, unit, [value * scale for value in times.get(label, [])])
        peer = pairs.get(label)
        if peer in medians and label in medians:
            line.ratio, line.of = medians[label] / medians[peer], peer
            if label.startswith("hv") and target:
                line.target, line.target_is_ratio = target, True
        yield line


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


def boot_script(name, runs, commands, out):
    # The logs stay beside the files under test, memory in the box, while time counts.
    watch = stopwatch(name, runs, commands, "-e", "-t", "300", "-o", "LOGS", settle_ms=100).replace("LOGS", '"$logs"', 1)
    return (f"logs=$(mktemp -d -p .)\n{watch}\n"
            f"for log in \"$logs\"/*; do cp \"$log\" {shlex.quote(str(out))}/\"{name}.${{log##*/}}\"; done\n"
            "rm -r \"$logs\"")


def uptimes(row, label, out):
    """The guest's clock when init started, of each run."""
    found = []
    for log in sorted(Path(out).glob(f"{row.name}.{label}.[0-9]*.log")):
        for text in log.read_text(errors="replace").splitlines():
            if text.startswith("hv-report: uptime-at-init "):
                found.append(float(text.split()[2]))
    return found


def report_boot(row, times):
    yield from compare(row, times, 1, "s", {"hv-bzImage": "qemu-bzImage"}, 0.6)
    for label in row.data["commands"]:
        yield Line(row.name, f"{label} init", "s", uptimes(row, label, row.data["out"]))


def report_boot_icount(row, times):
    pairs = {"hv-bzImage": "qemu-bzImage", "hv-vmlinux": "qemu-vmlinux"}
    for line in compare(row, times, 1, "s", pairs):
        line.target = 1.75 if line.what.startswith("hv") else None
        yield line
    for label in row.data["commands"]:
        line = Line(row.name, f"{label} init", "s", uptimes(row, label, row.data["out"]))
        line.target = 1.45 if label.startswith("hv") else None
        yield line


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


# disk, net: fio and iperf3 in the same guest on the same image or tap, each monitor in turn.

TOP = str(Path(__file__).resolve().parents[2])  # the tree itself: these files are too large for the stage
ROOT = "build/guest/x86_64/root.img"
INITRD = "build/guest/x86_64/initrd-virtio.cpio"
DISK_MIB = 64
JOBS = {"rand4k-32": 0.70, "rand4k-1": None, "seq128k-4": 0.90}  # the share of the host's figure that is asked for


def virtio_commands(text, hv, qemu):
    """hv and QEMU microvm with a root on disk, which runs `text`, and with what they get besides."""
    append = f'{APPEND} root=/dev/vda rw quiet hv.cmd="{text}"'
    return {
        "hv": [HV, "run", "-m", "256", "-k", KERNEL + "vmlinuz", "-i", INITRD, "-d", f"file={ROOT},snapshot=on",
               "--cmdline", append, *hv],
        "qemu": [*QEMU, "-m", "256", "-kernel", KERNEL + "vmlinuz", "-initrd", INITRD, "-append", append,
                 "-global", "virtio-mmio.force-legacy=false", "-drive",
                 f"file={ROOT},format=raw,snapshot=on,if=none,id=root", "-device", "virtio-blk-device,drive=root", *qemu],
    }


def virtio_script(name, runs, commands, out):
    lines = []
    for run in range(runs):
        for label, command in commands.items():
            lines.append(f"timeout 200 {shlex.join(command)} </dev/null >{out}/{name}.{label}.{run}.log 2>&1")
    return "\n".join(lines)


def disk_script(runs, out):
    disk = "/dev/shm/hv-bench-disk"
    test = "sh /tests/disk-bench.sh /dev/vdb"
    commands = virtio_commands(test, ["-d", f"file={disk}"],
                               ["-object", "iothread,id=io", "-drive", f"file={disk},format=raw,if=none,id=disk,aio=threads",
                                "-device", "virtio-blk-device,drive=disk"])
    host = f"DIRECT=0 sh guest-tests/images/root-tests/disk-bench.sh {disk} --ioengine=io_uring"
    return "\n".join([f"cd {shlex.quote(TOP)}", f"head -c {DISK_MIB}M /dev/urandom >{disk}",
                      virtio_script("disk", runs, {"host": ["sh", "-c", host], **commands}, out), f"rm {disk}"])


def disk_figures(out, label):
    """{job: [reads a second]} of all runs."""
    found = {}
    for log in sorted(Path(out).glob(f"disk.{label}.*.log")):
        for text in log.read_text(errors="replace").splitlines():
            words = text.split()
            if words[:1] == ["disk-bench:"]:
                found.setdefault(words[1], []).append(float(words[3]))
    return found


def report_disk(row, _times):
    figures = {label: disk_figures(row.data["out"], label) for label in ("host", "hv", "qemu")}
    for job in JOBS:
        for label in figures:
            line = Line(row.name, f"{job} {label}", "iops", figures[label].get(job, []))
            peer = {"hv": "qemu", "qemu": "host"}.get(label)
            if peer and line.values and figures[peer].get(job):
                line.ratio, line.of = line.median / statistics.median(figures[peer][job]), peer
            yield line


def net_script(runs, out):
    text = ("sh /tests/net-up.sh 10.8.0.2/24; iperf3 -c 10.8.0.1 -t 4 -f m | grep receiver; "
            "iperf3 -c 10.8.0.1 -t 4 -f m -R | grep receiver")
    tap = "hvbench0"
    commands = virtio_commands(text, ["-n", f"tap,ifname={tap}"],
                               ["-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no,vhost=off",
                                "-device", "virtio-net-device,netdev=n"])
    return "\n".join([f"cd {shlex.quote(TOP)}", f"ip tuntap add mode tap name {tap} && ip addr add 10.8.0.1/24 dev {tap} && ip link set {tap} up",
                      "iperf3 -s -B 10.8.0.1 >/dev/null 2>&1 & server=$!", virtio_script("net", runs, commands, out),
                      f"kill $server; ip link del {tap}"])


def report_net(row, _times):
    figures = {}
    for label in "hv", "qemu":
        for log in sorted(Path(row.data["out"]).glob(f"net.{label}.*.log")):
            rates = [text.split() for text in log.read_text(errors="replace").splitlines() if "receiver" in text]
            for way, words in zip(("out", "in"), rates):
                figures.setdefault((way, label), []).append(float(words[words.index("Mbits/sec") - 1]))
    for way in "out", "in":
        for label in "hv", "qemu":
            line = Line(row.name, f"{way} {label}", "Mbit/s", figures.get((way, label), []))
            if label == "hv" and line.values and figures.get((way, "qemu")):
                line.ratio, line.of = line.median / statistics.median(figures[way, "qemu"]), "qemu"
            yield line


def report_size(row, _times):
    yield Line(row.name, "hv, stripped", "KiB", [row.data["binary"].stat().st_size / 1024], target=400)


def make(kind, quick, build, out):
    """All rows, for a machine whose /dev/kvm is of that kind (guest-tests/kvm-kind)."""
    small = "testbed" if kind == "none" else "direct"
    linux = "direct" if kind == "real" else "testbed"
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
        Row("memory", small, memory_script("memory", idle, "!", out), report_memory, {"commands": idle, "out": out}),
        Row("memory-linux", linux, memory_script("memory-linux", idle_linux, "guest-idles", out), report_memory,
            {"commands": idle_linux, "out": out}),
        Row("disk", linux, disk_script(1 if quick else 3, out), report_disk, {"out": out}),
        Row("net", linux, net_script(1 if quick else 3, out), report_net, {"out": out}),
        Row("size", "direct", "", report_size, {"binary": Path(build) / "hv.stripped"}),
    ]
