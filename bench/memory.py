"""Whether memory grows: `python -m bench.memory [--minutes 10] [--rate 5] [--json]` lets the demo sell and looks at its
processes twice a minute.

The demo's own process holds the pretend shops, whose order books grow with every order; those of the service must not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import process

LOOK_EVERY_S = 30.0
WARM_S = 120.0  # pools fill, plans are made, code is loaded
END_S = 60.0
ROLES = ("web", "worker", "demo")


def by_role(root: int, folder: Path) -> dict[str, float]:
    """Megabytes (a page that n processes share counts 1/n for each) of the demo's processes, by what they are; the
    database's server in `folder` is a process of its own."""
    found: defaultdict[str, float] = defaultdict(float)
    for pid in process.tree(root):
        words = process.command(pid)
        found[next((role for role in ROLES if role in words), "other")] += process.memory_mb(pid)
    for written in folder.glob("*/postmaster.pid"):
        server = int(written.read_text().split("\n", 1)[0])
        found["postgres"] += sum(map(process.memory_mb, process.tree(server)))
    return dict(found)


def summary(samples: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Of each role: megabytes in the first and in the last quarter of the looks, their means, and the difference."""
    quarter = max(1, len(samples) // 4)
    told = {}
    for role in sorted({role for sample in samples for role in sample}):
        first, last = (
            sum(sample.get(role, 0.0) for sample in part) / quarter for part in (samples[:quarter], samples[-quarter:])
        )
        told[role] = {"first_mb": round(first, 1), "last_mb": round(last, 1), "grown_mb": round(last - first, 1)}
    return told


def run(minutes: float, rate: float) -> dict[str, Any]:
    """Let a demo of its own sell for that long after it is warm; what its processes held."""
    with tempfile.TemporaryDirectory(prefix="perpetual-memory-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as another user
        words = ["demo", "--port", "0", "--rate", str(rate), "--data", folder]
        demo = subprocess.Popen(
            [sys.executable, "-m", "app", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        )  # fmt: skip
        try:
            process.rest(WARM_S)
            samples = []
            for _ in range(max(4, round(minutes * 60 / LOOK_EVERY_S))):
                samples.append(by_role(demo.pid, Path(folder)))
                process.rest(LOOK_EVERY_S)
            if demo.poll() is not None:
                raise SystemExit(f"the demo ended with {demo.returncode}")
            return summary(samples)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(END_S)


def main() -> int:
    """Print what each kind of process held at first and at last."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=5.0, help="orders a second")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told = run(given.minutes, given.rate)
    if given.json:
        print(json.dumps(told))
        return 0
    for role, held in told.items():
        print(f"{role:10}" + "  ".join(f"{name} {value:>7}" for name, value in held.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
