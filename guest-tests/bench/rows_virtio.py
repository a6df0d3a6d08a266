"""Rows of disks and networks."""
import shlex
import statistics
from pathlib import Path

from table import APPEND, HV, KERNEL, QEMU, Line

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


def host_command(disk):
    """What fio gets on the host from the same file."""
    return ["sh", "-c", f"DIRECT=0 sh guest-tests/images/root-tests/disk-bench.sh {disk} --ioengine=io_uring"]


def with_disk(disk, script):
    return "\n".join([f"cd {shlex.quote(TOP)}", f"head -c {DISK_MIB}M /dev/urandom >{disk}", script, f"rm {disk}"])


def disk_script(runs, out):
    disk = "/dev/shm/hv-bench-disk"
    test = "sh /tests/disk-bench.sh /dev/vdb"
    commands = virtio_commands(test, ["-d", f"file={disk}"],
                               ["-object", "iothread,id=io", "-drive", f"file={disk},format=raw,if=none,id=disk,aio=threads",
                                "-device", "virtio-blk-device,drive=disk"])
    return with_disk(disk, virtio_script("disk", runs, {"host": host_command(disk), **commands}, out))


def disk_figures(row, label, figure="iops"):
    """{job: [reads a second, or another figure of disk-bench's lines]} of all runs."""
    found = {}
    for log in sorted(Path(row.data["out"]).glob(f"{row.name}.{label}.*.log")):
        for text in log.read_text(errors="replace").splitlines():
            words = text.split()
            if words[:1] == ["disk-bench:"]:
                found.setdefault(words[1], []).append(float(words[words.index(figure) + 1]))
    return found


def report_disk(row, _times):
    figures = {label: disk_figures(row, label) for label in ("host", "hv", "qemu")}
    for job in JOBS:
        for label in figures:
            line = Line(row.name, f"{job} {label}", "iops", figures[label].get(job, []))
            peer = {"hv": "qemu", "qemu": "host"}.get(label)
            if peer and line.values and figures[peer].get(job):
                line.ratio, line.of = line.median / statistics.median(figures[peer][job]), peer
            yield line


# ring: the same jobs by the guest of diskring.c, with neither kernel nor file system in between.

RING = "build/guest-tests/bench/diskring.elf"
PER_REQUEST = {"us": "us", "p99": "us p99", "kicks": "kicks a 1000", "irqs": "interrupts a 1000"}


def ring_script(runs, out):
    disk = "/dev/shm/hv-bench-ring"
    # Of microvm's two ways to say where devices are, the guest knows the command line.
    qemu = [word.replace("acpi=on,rtc=on", "acpi=off") for word in QEMU]
    commands = {
        "hv": [HV, "run", "-m", "64", "-k", RING, "-d", f"file={disk}", "--virtio", "cmdline"],
        "qemu": [*qemu, "-m", "64", "-kernel", RING, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                 "-append", "ms=2000", "-global", "virtio-mmio.force-legacy=off", "-object", "iothread,id=io",
                 "-drive", f"file={disk},format=raw,if=none,id=disk,aio=io_uring",
                 "-device", "virtio-blk-device,drive=disk,iothread=io"],
    }
    commands["hv-slow"] = [HV, "run", "-m", "64", "-k", RING, "-d", f"file={disk},readonly=on",
                           "-d", f"file={disk},readonly=on,iops=1", "--virtio", "cmdline"]
    return with_disk(disk, virtio_script("ring", runs, {"host": host_command(disk), **commands}, out))


def ring_line(row, job, label, figures):
    """hv is to be so much better than QEMU; how near to the host it comes, hardware alone can show."""
    line = Line(row.name, f"{job} {label}", "iops", figures[label].get(job, []))
    peer = "qemu" if label == "hv" else "host"
    if label != "host" and line.values and figures[peer].get(job):
        line.ratio, line.of = line.median / statistics.median(figures[peer][job]), peer
    if label == "hv" and job == "rand4k-32":
        line.target, line.target_is_ratio, line.at_least = 1.5, True, True
    return line


def report_ring(row, _times):
    figures = {label: disk_figures(row, label) for label in ("host", "hv", "qemu")}
    for job in [*JOBS, "rand4k-32-irq"]:
        for label in figures:
            if job in JOBS or label != "host":
                yield ring_line(row, job, label, figures)
        for figure, unit in PER_REQUEST.items():
            for label in "hv", "qemu":
                line = Line(row.name, f"  {label}", unit, disk_figures(row, label, figure).get(job, []))
                if label == "hv" and (job, figure) == ("rand4k-32-irq", "irqs"):
                    line.target = 200
                if (figure != "irqs") == (job != "rand4k-32-irq"):
                    yield line
    yield from report_slow(row)


def report_slow(row):
    """How long requests of a disk take beside another that does one a second."""
    alone, beside = disk_figures(row, "hv", "p99"), disk_figures(row, "hv-slow", "p99")
    for job in JOBS:
        line = Line(row.name, f"{job} slow disk", "us p99", beside.get(job, []))
        if line.values and alone.get(job):
            line.ratio, line.of = line.median / statistics.median(alone[job]), "hv alone"
            line.target, line.target_is_ratio = 2, True
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
