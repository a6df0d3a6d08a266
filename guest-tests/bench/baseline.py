"""Comparing a table with one that was measured before: `--baseline FILE`."""
import json

MORE_IS_BETTER = ("iops", "Mbit/s", "kpps", "MB/s")
SMALL = 0.05  # changes below that are noise on any machine


class BadBaseline(Exception):
    """The file cannot be compared with; the text says why."""


def load(path, machine):
    """{key: line} of an earlier --json FILE. It has to come from the same kind of machine."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        before, lines = content["machine"], content["lines"]
        for name, what in ("kvm", "kind of KVM"), ("cpu", "processor"):
            if before[name] != machine[name]:
                raise BadBaseline(f"{path}: measured on another {what}: {before[name]}, not {machine[name]}")
        return dict(zip(keys(lines), lines))
    except OSError as error:
        raise BadBaseline(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadBaseline(f"{path}: not what --json writes") from error


def keys(lines):
    """Names each line: what it is about, and its number among those that are about the same."""
    seen = {}
    for line in lines:
        name = (line["row"], line["what"], line["unit"])
        seen[name] = seen.get(name, 0) + 1
        yield (*name, seen[name])


def spread(line):
    return line["max"] - line["min"]


def compare(now, before):
    """How much larger the median is, as a part of the old one, and whether that is worse than noise. None: nothing to
    compare with."""
    if before is None or not now.get("median") or not before.get("median"):
        return None
    change = now["median"] / before["median"] - 1
    noise = max(SMALL, spread(now) / before["median"], spread(before) / before["median"])
    worse = -change if now["unit"] in MORE_IS_BETTER else change
    return change, worse > noise
