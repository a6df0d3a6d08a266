"""The row of a network card at its ring: guest-tests/bench/netring.c on a tap, both ways."""
import shlex
import statistics
from pathlib import Path

from rows_exits import END, MICROVM
from rows_virtio import TOP
from table import HV, Line

GUEST = "build/guest-tests/bench/netring.elf"
TAP = "hvring0"
JOBS = {"tx64": "", "txtso": "", "rx64": "64", "rxtso": "tso"}  # what has to be sent to the guest meanwhile
FIGURES = {"tx64": ("pps", 1e-3, "kpps"), "txtso": ("KiB/s", 1.024e-3, "MB/s"),
           "rx64": ("pps", 1e-3, "kpps"), "rxtso": ("KiB/s", 1.024e-3, "MB/s")}


def commands(job):
    text = f"job={job} ms=1500"
    return {
        "hv": [HV, "run", "-m", "64", "-k", GUEST, "-a", text, "-n", f"tap,ifname={TAP}", "--virtio", "cmdline"],
        "qemu": [*MICROVM, *END, "-m", "64", "-kernel", GUEST, "-append", text,
                 "-global", "virtio-mmio.force-legacy=off",
                 "-netdev", f"tap,id=n,ifname={TAP},script=no,downscript=no,vhost=off",
                 "-device", "virtio-net-device,netdev=n"],
    }


def netring_script(runs, out):
    """A tap stays when nobody has it open, so both have the same one, one after the other."""
    lines = [f"cd {shlex.quote(TOP)}", f"ip tuntap add mode tap name {TAP} && ip addr add 10.8.0.1/24 dev {TAP}",
             f"ip link set {TAP} up"]
    for run in range(runs + 1):  # the first warms up
        for job, blast in JOBS.items():
            for label, command in commands(job).items():
                log = f"{out}/netring.{label}.{job}.{run}.log" if run else "/dev/null"
                if blast:
                    lines.append(f"build/bench/blast {TAP} {blast} & blast=$!")
                lines.append(f"timeout 60 {shlex.join(command)} </dev/null >{log} 2>&1")
                if blast:
                    lines.append("kill $blast; wait $blast 2>/dev/null")
    return "\n".join([*lines, f"ip link del {TAP}"])


def figures(row, label, job):
    name, scale, _ = FIGURES[job]
    found = []
    for log in sorted(Path(row.data["out"]).glob(f"netring.{label}.{job}.*.log")):
        for text in log.read_text(errors="replace").splitlines():
            words = text.split()
            if words[:2] == ["net-bench:", job]:
                found.append(float(words[words.index(name) + 1]) * scale)
    return found


def report_netring(row, _times):
    for job in JOBS:
        values = {label: figures(row, label, job) for label in ("hv", "qemu")}
        for label in values:
            line = Line(row.name, f"{job} {label}", FIGURES[job][2], values[label])
            if label == "hv" and all(values.values()):
                line.ratio, line.of = line.median / statistics.median(values["qemu"]), "qemu"
                line.target, line.target_is_ratio, line.at_least = 1.3, True, True
            yield line
