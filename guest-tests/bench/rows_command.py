"""Rows of commands in the guest, and of the files that they see."""
import os
import shlex
import statistics
from pathlib import Path

from table import HV, KERNEL, Line, stopwatch

# command: `hv run -- true` as a whole, beside the same kernel and initramfs in QEMU microvm.

TOP = str(Path(__file__).resolve().parents[2])
STANDARD = KERNEL + "standard/vmlinuz"
INITRAMFS = "build/bench/initramfs"  # with .9p and .virtiofs behind it
PEER = "guest-tests/bench/peer-command"
APPEND = "pci=noearly"  # the box's processor is one for which Linux looks for a bridge in 16,000 places
# 50,000 files and 1 GiB take an hour in the testbed.
FILES, MIB = int(os.environ.get("SHARE_FILES", 1000)), int(os.environ.get("SHARE_MIB", 64))
JOBS = {"git-status": "seconds", "tar": "seconds"}


def hv_command(*command):
    """By a shell: to stopwatch "--" ends the words of a command."""
    return ["sh", "-c", "exec " + shlex.join([HV, "run", "-k", STANDARD, "-m", "1G", "-a", APPEND, "--", *command])]


def peer_command(how, *command):
    return [PEER, how, STANDARD, f"{INITRAMFS}.{how}", *command]


def prepare():
    """The initramfs for each peer. Without 9p among the modules, hv chooses virtiofs."""
    modules = KERNEL + "standard/modules"
    without = "build/bench/modules"
    return "\n".join([
        f"cd {shlex.quote(TOP)}",
        f"rm -rf {without} && mkdir {without} && cp {modules}/modules.* {without} && sed -i /9p/d {without}/modules.*",
        f"ln -s \"$PWD\"/{modules}/kernel {without}/kernel",
        f"build/bench/make-initramfs {INITRAMFS}.9p -k {STANDARD} -- true",
        f"build/bench/make-initramfs {INITRAMFS}.virtiofs -k {STANDARD} --modules {without} -- true"])


def command_commands():
    return {"hv": hv_command("true"), "qemu": peer_command("9p", "true")}


def command_script(runs):
    return prepare() + "\n" + stopwatch("command", runs, command_commands(), "-e", "-t", "300", settle_ms=100)


# share: jobs on the host's files, timed inside the guest.

def share_script(runs, out):
    tree = "/var/tmp/hv-bench-tree"
    job = f"sh guest-tests/bench/share-jobs {tree}"
    commands = {"hv-9p": hv_command("sh", "-c", job), "qemu-virtiofs": peer_command("virtiofs", "sh", "-c", job),
                "qemu-9p": peer_command("9p", "sh", "-c", job)}
    lines = [prepare(), f"sh guest-tests/bench/share-jobs --make {tree} {FILES} {MIB}"]
    for run in range(runs):
        for label, command in commands.items():
            lines.append(f"timeout 300 {shlex.join(command)} </dev/null >{out}/share.{label}.{run}.log 2>&1")
    return "\n".join([*lines, f"rm -rf {tree}"])


def seconds(row, label):
    found = {}
    for log in sorted(Path(row.data["out"]).glob(f"share.{label}.*.log")):
        for text in log.read_text(errors="replace").splitlines():
            words = text.split()
            if words[:1] == ["share-bench:"]:
                found.setdefault(words[1], []).append(float(words[2]))
    return found


def report_share(row, _times):
    figures = {label: seconds(row, label) for label in ("hv-9p", "qemu-virtiofs", "qemu-9p")}
    for job in JOBS:
        for label, found in figures.items():
            line = Line(row.name, f"{job} {label}", "s", found.get(job, []))
            peer = {"hv-9p": "qemu-virtiofs", "qemu-9p": "hv-9p"}.get(label)
            if peer and line.values and figures[peer].get(job):
                line.ratio, line.of = line.median / statistics.median(figures[peer][job]), peer
                if label == "hv-9p":
                    line.target, line.target_is_ratio = 2, True
            yield line
