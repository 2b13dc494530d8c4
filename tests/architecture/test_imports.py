"""Who may pick a vendor, and who may run a pretend shop. The order of the folders is a contract in pyproject.toml."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Source, python_files

CONTRACT = {
    "connectors.addresses",
    "connectors.apps",
    "connectors.base",
    "connectors.errors",
    "connectors.export",
    "connectors.http",
    "connectors.join",
    "connectors.strict_json",
}  # what all of the app may know of a channel
PICKERS = ("app/wiring.py", "app/demo")


def imported(file: Source) -> Iterator[str]:
    """Every module that a file imports, as `package.module`."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from (".".join(alias.name.split(".")[:2]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if "." in node.module else [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (".".join(name.split(".")[:2]) for name in names)


def outsiders() -> list[Source]:
    return [file for file in python_files("app") if not file.path.startswith(PICKERS)]


def test_only_the_wiring_and_the_demo_pick_a_vendor() -> None:
    wrong = [
        (file.path, name)
        for file in outsiders()
        for name in imported(file)
        if name.startswith("connectors") and name not in CONTRACT
    ]
    assert wrong == []


def test_only_the_demo_and_the_simulator_run_pretend_shops() -> None:
    files = [file for file in outsiders() if not file.path.startswith(("app/demo", "app/simulation"))]
    assert [file.path for file in files if any(name.startswith("sandbox") for name in imported(file))] == []


@pytest.mark.parametrize("folder", ["app", "connectors", "sandbox"])
def test_the_product_never_imports_its_tests_or_benchmarks(folder: str) -> None:
    wrong = [
        (file.path, name)
        for file in python_files(folder)
        for name in imported(file)
        if name.startswith(("tests", "bench", "conftest")) and (file.path, name) != ("app/commands/proofs.py", "bench")
    ]
    assert wrong == []
