"""The command line as a stranger's shell runs it: each command a process of its own on a data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def app(data: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m app …` on the data folder, as a stranger's shell would run it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERPETUAL_")}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments, "--data", str(data)],
        cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
