"""The row of arm64: a boot in its box, beside Debian's own QEMU of that architecture."""
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from table import HV, Line, Row, boot_script, uptimes

TOP = Path(__file__).resolve().parents[2]
QEMU_PACKAGE = TOP / "build/cache/qemu-arm64"  # make build/cache/qemu-arm64/fetched
GUEST = "build/guest/arm64/"
LOADER = "ld-linux-aarch64.so.1"
# From exec to the guest's init, as a part of what the peer takes.
INIT_RATIO = 0.7
MARKER = "hv-report:"  # with which the guest's init begins
# An exit costs up to a millisecond there, so a console with all messages is a row of its own.
CONSOLES = {"": "console=ttyAMA0 quiet", "-log": "console=ttyAMA0"}


# boot-arm64: Debian's cloud kernel to its init and on to power-off.

def commands_of(peer):
    """The same kernel, initramfs, memory, command line and serial port (a PL011) for each."""
    commands = {}
    for suffix, append in CONSOLES.items():
        commands["hv" + suffix] = [HV, "run", "-k", GUEST + "vmlinuz", "-i", GUEST + "initrd.cpio", "-m", "256",
                                   "--cmdline", append]
        if peer:
            # The box has no libraries, hence the loader. Without ACPI, which its guest does not get, QEMU starts sooner.
            commands["qemu" + suffix] = [
                f"qemu/{LOADER}", "--library-path", "qemu", "qemu/qemu-system-aarch64", "-accel", "kvm",
                "-M", "virt,gic-version=3,acpi=off", "-cpu", "host", "-smp", "1", "-m", "256", "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", GUEST + "vmlinuz",
                "-initrd", GUEST + "initrd.cpio", "-append", append]
    return commands


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def prepare(row, cflags):
    """Fills the folder that the box takes into its memory: its view of the checkout would be measured, too."""
    for file in "build/arm64/hv", GUEST + "vmlinuz", GUEST + "initrd.cpio", "build/testbed/arm64/vmlinuz":
        if not (TOP / file).exists():
            sys.exit(f"bench: {row.name}: there is no {file} (try: make guests-arm64 testbed-arm64; make ARCH=arm64)")
    stage = row.data["stage"]
    shutil.rmtree(stage, ignore_errors=True)
    for file in GUEST + "vmlinuz", GUEST + "initrd.cpio":
        copy(TOP / file, stage / file)
    (stage / HV).parent.mkdir(parents=True)
    subprocess.run(["aarch64-linux-gnu-strip", "-o", stage / HV, TOP / "build/arm64/hv"], check=True)
    subprocess.run(["aarch64-linux-gnu-gcc", *cflags, "-static", "-o", stage / "build/bench/stopwatch",
                    TOP / "guest-tests/bench/stopwatch.c"], check=True)
    if row.data["peer"]:
        copy(QEMU_PACKAGE / "usr/bin/qemu-system-aarch64", stage / "qemu/qemu-system-aarch64")
        for folder in "lib", "usr/lib":
            for library in (QEMU_PACKAGE / folder / "aarch64-linux-gnu").iterdir():
                if re.search(r"\.so\.\d+$", library.name):  # the name that programs ask for
                    copy(library, stage / "qemu" / library.name)


def report(row, times):
    for suffix in CONSOLES:
        labels = [label for label in ("hv" + suffix, "qemu" + suffix) if label in row.data["commands"]]
        for what, key in ("to init", ".marker"), ("to end", ""):
            lines = [Line(row.name, f"{label} {what}", "s", times.get(label + key, [])) for label in labels]
            if len(lines) == 2 and all(line.values for line in lines):
                lines[0].ratio, lines[0].of = lines[0].median / lines[1].median, labels[1]
                if key:
                    lines[0].target, lines[0].target_is_ratio = INIT_RATIO, True
            yield from lines
        for label in labels:
            yield Line(row.name, f"{label} guest clock", "s", uptimes(row, label, row.data["out"]))
    if not row.data["peer"]:
        yield Line(row.name, "qemu: not fetched", "s", [])


def boot_arm64(runs, build, out):
    peer = (QEMU_PACKAGE / "fetched").exists()
    commands = commands_of(peer)
    quiet = {label: words for label, words in commands.items() if not label.endswith("-log")}
    log = {label: words for label, words in commands.items() if label not in quiet}
    # The log takes minutes, and all that a run opens is in memory by then.
    script = "\n".join([boot_script("boot-arm64", runs, quiet, out, ("-m", MARKER)),
                        boot_script("boot-arm64", (runs + 1) // 2, log, out, ("-m", MARKER, "-w", "0"))])
    # Where the time goes: which exits the monitor handled.
    script += "\n" + shlex.join([*commands["hv"], "--result", f"{out}/boot-arm64.json"]) + " </dev/null >/dev/null"
    return Row("boot-arm64", "arm64", script, report,
               {"commands": commands, "out": out, "peer": peer, "stage": Path(build) / "arm64"})
