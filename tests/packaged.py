"""Installed packages as the import system sees them: a folder with `*.dist-info` and modules, put on the path."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest

TILL = Path(__file__).parent / "fixtures" / "till"  # the package that brings the till
_numbers = count(1)


def install(path: pytest.MonkeyPatch, folder: Path) -> None:
    """Have the packages in this folder installed while the test runs."""
    path.syspath_prepend(str(folder))


def make_package(folder: Path, code: str, entry_points: Mapping[str, str], name: str = "till-pack") -> Path:
    """A package of one module. `entry_points`: group and name, such as `perpetual.connectors till`, to what they lead
    to in the module."""
    module = f"made_{next(_numbers)}"
    (folder / f"{module}.py").write_text(code, "utf-8")
    told = folder / f"{name.replace('-', '_')}-2.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n", "utf-8")
    lines = []
    for where, what in entry_points.items():
        group, point = where.split(" ")
        lines.append(f"[{group}]\n{point} = {module}:{what}\n")
    (told / "entry_points.txt").write_text("".join(lines), "utf-8")
    return folder
