"""The repository as these tests read it: its own text files and functions, without what is installed or generated."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("app", "connectors", "sandbox", "bench")
_GENERATED = {"var", "build", "dist", "__pycache__", "node_modules"}
_TEXT = {".py", ".md", ".toml", ".txt", ".sql", ".html", ".css", ".js", ".sh", ".cfg", ".ini", ".mako", ".po", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its path from the root, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return ast.parse(self.text, self.path)


@cache
def text_files() -> tuple[Source, ...]:
    """Every text file of ours, hidden folders other than .ci aside."""
    return tuple(_walk())


def python_files(*folders: str) -> list[Source]:
    """The Python files under top folders."""
    return [file for file in text_files() if file.path.endswith(".py") and file.path.split("/")[0] in folders]


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _walk() -> Iterator[Source]:
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = sorted(
            name for name in subfolders if name == ".ci" or not (name.startswith(".") or name in _GENERATED)
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in _TEXT and not name.startswith(".") and name != "config.toml":
                yield Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
