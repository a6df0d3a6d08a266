"""Rows of what a guest pays for leaving, and for memory that it uses for the first time."""
import shlex
import statistics
from pathlib import Path

from rows_virtio import TOP, virtio_script
from table import HV, QEMU, Line

EXITS = "build/guest-tests/bench/exits.elf"
TOUCH = "build/guest-tests/bench/touch.elf"
KINDS = ["port", "port-read", "mmio", "notify", "wake", "ipi"]
MICROVM = [word.replace("acpi=on,rtc=on", "acpi=off") for word in QEMU]  # the guests know the command line only
END = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def script(name, runs, commands, out):
    """Each once more than is counted: the first finds everything cold. QEMU's debug exit cannot end with status 0, and
    what failed shows in the logs, hence the `:` at the end."""
    warm = "\n".join(f"timeout 200 {shlex.join(command)} </dev/null >/dev/null 2>&1" for command in commands.values())
    return f"cd {shlex.quote(TOP)}\n{warm}\n{virtio_script(name, runs, commands, out)}\n:"


def exit_cost_script(runs, out):
    commands = {
        "floor": ["build/bench/floor", "exits", "1000"],
        "hv": [HV, "run", "-m", "64", "-c", "2", "-k", EXITS, "--rng", "on", "--virtio", "cmdline"],
        "qemu": [*MICROVM, *END, "-m", "64", "-smp", "2", "-kernel", EXITS, "-append", "batch=1000",
                 "-global", "virtio-mmio.force-legacy=off", "-device", "virtio-rng-device"],
    }
    return script("exit-cost", runs, commands, out)


def touch_script(runs, out):
    commands = {"hv": [HV, "run", "-m", "512", "-k", TOUCH],
                "qemu": [*MICROVM, *END, "-m", "512", "-kernel", TOUCH]}
    return script("touch", runs, commands, out)


def figures(row, label, tag, name):
    """{kind: [figure]} of the lines `TAG: KIND NAME FIGURE` in all logs of that label."""
    found = {}
    for log in sorted(Path(row.data["out"]).glob(f"{row.name}.{label}.*.log")):
        for text in log.read_text(errors="replace").splitlines():
            words = text.split()
            if words[:1] == [f"{tag}:"] and name in words:
                found.setdefault(words[1], []).append(float(words[words.index(name) + 1]))
    return found


def beside(row, what, unit, kind, all_figures, label, peer):
    line = Line(row.name, f"{what} {label}", unit, all_figures[label].get(kind, []))
    if line.values and all_figures.get(peer, {}).get(kind):
        line.ratio, line.of = line.median / statistics.median(all_figures[peer][kind]), peer
    return line


def report_exit_cost(row, _times):
    """hv is not to be slower than QEMU at any kind. Beyond noise: the last three are KVM's own work, the same for both."""
    found = {label: figures(row, label, "exit-bench", "ns") for label in ("floor", "hv", "qemu")}
    yield beside(row, "port", "ns", "port", found, "floor", "hv")
    for kind in KINDS:
        line = beside(row, kind, "ns", kind, found, "hv", "qemu")
        line.target, line.target_is_ratio = 1.1, True
        yield line
        yield beside(row, kind, "ns", kind, found, "qemu", "floor" if kind == "port" else "")


def report_touch(row, _times):
    found = {label: figures(row, label, "touch-bench", "ns-per-page") for label in ("hv", "qemu")}
    for kind in "first", "again":
        line = beside(row, kind, "ns", kind, found, "hv", "qemu")
        line.target, line.target_is_ratio = 1.1, True
        yield line
        yield beside(row, kind, "ns", kind, found, "qemu", "")
