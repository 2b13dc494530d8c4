"""Run the contract suite on the connector of an installed package: `python -m tests.contract NAME [pytest's options]`.

The package names its connector in the entry-point group `perpetual.connectors` and its rig in `perpetual.contract`,
both under the platform's name. Exit codes: 0 every promise is kept, 1 some are broken, 2 it could not be run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from app.core.errors import ConfigError
from app.core.packages import HOW, with_packages
from connectors.base import Connector
from tests.contract.rig import Clock, Rig

GROUP = "perpetual.contract"
ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(__file__).with_name("packaged.py")
MakeRig = Callable[[Clock], Iterator[Rig]]


class Package:
    """A pytest plugin: the package's rig and connector, and the promises that it breaks."""

    def __init__(self, connector: Connector, make_rig: MakeRig) -> None:
        self._connector, self._make_rig = connector, make_rig
        self.kept: set[str] = set()
        self.broken: dict[str, str] = {}  # promise → what was seen instead

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        yield from self._make_rig(Clock())

    @pytest.fixture
    def connector(self) -> Connector:
        return self._connector

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        promise = _promise(report.nodeid)
        if report.failed:
            self.broken.setdefault(promise, _seen(report.longreprtext))
        elif report.when == "call" and report.passed:
            self.kept.add(promise)


def _promise(nodeid: str) -> str:
    name, bracket, which = nodeid.rpartition("::")[2].removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f" ({which.rstrip(']')})" if bracket else "")


def _seen(text: str) -> str:
    """The first line that pytest marks as the error."""
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return (marked or text.strip().splitlines() or [""])[0][:300]


def main(argv: Sequence[str]) -> int:
    """Find the package, run the suite on it, and say in sentences what it breaks."""
    name, *options = argv or ("",)
    try:
        connector = with_packages({}).get(name)
    except ConfigError as error:
        return _refuse(str(error))
    rigs = [point for point in entry_points(group=GROUP) if point.name == name]
    if connector is None or len(rigs) != 1:
        missing = "perpetual.connectors" if connector is None else GROUP
        return _refuse(f"no installed package has one entry point {name!r} in the group {missing} ({HOW})")
    package = Package(connector, rigs[0].load())
    os.environ.pop("PYTEST_ADDOPTS", None)  # they are for another run: the package's fixtures live in this process
    quiet = ("-q", "--tb=no", "--no-header", "-rN")
    pytest.main(["-c", str(ROOT / "pyproject.toml"), *quiet, *options, str(SUITE)], plugins=[package])
    return _tell(name, package)


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


def _tell(name: str, package: Package) -> int:
    if not package.kept and not package.broken:
        return _refuse("nothing was run")
    for promise, seen in sorted(package.broken.items()):
        print(f"{name} breaks the promise: {promise}.\n    {seen}")
    print(f"{name}: {len(package.kept)} promises kept, {len(package.broken)} broken.")
    return 1 if package.broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
