"""What a row and a line of the table are; shared by the modules with rows in them."""
import shlex
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

# With an RTC: the kernel looks for one for 1.2 s where there is none.
QEMU = ("qemu-system-x86_64 -accel kvm -M microvm,acpi=on,rtc=on -cpu host -nodefaults -no-user-config"
        " -display none -no-reboot -serial stdio").split()
HV = "build/bench/hv"  # a copy: build/hv may be made anew meanwhile
KERNEL = "build/guest/x86_64/"
APPEND = "console=ttyS0"  # the same for every monitor


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
    at_least: bool = False  # the target is a floor, not a ceiling

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    @property
    def behind(self):
        actual = self.ratio if self.target_is_ratio else self.median
        if self.target is None or actual is None:
            return False
        return actual < self.target if self.at_least else actual > self.target

    def target_text(self):
        if self.target is None:
            return f"x {self.of}" if self.of else ""
        sign = ">=" if self.at_least else "<="
        return f"{sign} {self.target:.3g} x {self.of}" if self.target_is_ratio else f"{sign} {self.target:g} {self.unit}"

    def as_dict(self):
        spread = {"median": self.median, "min": min(self.values), "max": max(self.values)} if self.values else {}
        return {"row": self.row, "what": self.what, "unit": self.unit, "runs": self.values, **spread,
                "ratio": self.ratio, "of": self.of or None, "target": self.target,
                "target_is_ratio": self.target_is_ratio, "at_least": self.at_least, "behind": self.behind}


@dataclass
class Row:
    name: str
    place: str  # a key of PLACES in run
    script: str
    report: Callable
    data: dict = field(default_factory=dict)


def stopwatch(name, runs, commands, *flags, settle_ms):
    """The script that times `commands`, {label: [word]}, one after the other."""
    words = ["build/bench/stopwatch", "-n", str(runs), "-w", "1", "-s", str(settle_ms), *flags, name]
    for label, command in commands.items():
        words += ["--", label, *command]
    return shlex.join(words)


def boot_script(name, runs, commands, out, flags=("-e",)):
    """The script that times boots, and leaves their logs in `out`."""
    # The logs stay beside the files under test, memory in the box, while time counts.
    watch = stopwatch(name, runs, commands, *flags, "-t", "300", "-o", "LOGS", settle_ms=100).replace("LOGS", '"$logs"', 1)
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
