"""What running processes cost, read from /proc (Linux): memory, processor time, children."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children[int(_stat(int(folder.name))[1])].append(int(folder.name))
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def memory_mb(pid: int) -> float:
    """Proportional set size: a page that n processes share counts 1/n for each. 0 when it is gone."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def cpu_s(pid: int) -> float:
    """User and system time so far. 0 when it is gone."""
    try:
        return sum(int(ticks) for ticks in _stat(pid)[11:13]) * _TICK_S
    except OSError:
        return 0.0


def rest(seconds: float) -> None:
    """Let others run: a measurement waits for processes, not for data."""
    time.sleep(seconds)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def command(pid: int) -> list[str]:
    """The words of its command line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []
