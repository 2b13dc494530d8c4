"""The suite on an installed package: who keeps the contract passes, who does not is told which promise is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.packaged import TILL, make_package

ROOT = Path(__file__).resolve().parents[2]
POINTS = {"perpetual.connectors till": "Wrong", "perpetual.contract till": "running"}
# A rig of its own around a connector that differs in one thing.
RIG = """
from dataclasses import dataclass, replace
from connectors.base import Units
from connectors.till import Till
from tests.contract.till_rig import TillRig

def running(clock):
    made = TillRig(clock)
    made.connector = Wrong()
    with made.front:
        yield made
    made.http.session.close()
"""
KEEPS_CANCELLED = """
class Wrong(Till):
    def parse_order(self, body):
        found = super().parse_order(body)
        if found.status != "cancelled":
            return found
        lines = tuple(replace(line, units=(Units(committed=line.ordered),)) for line in found.lines)
        return replace(found, lines=lines)
"""
TRIES_AGAIN = """
class Wrong(Till):
    def write_stock(self, http, shop, rows, key):
        try:
            return super().write_stock(http, shop, rows, key)
        except Exception:
            return super().write_stock(http, shop, rows, key)

    def verify(self, secrets, headers, body):
        pass
"""


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.contract", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "-n 2"},  # which are not for this run
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def test_the_till_keeps_every_promise_as_an_installed_package() -> None:
    told = ran(TILL, "till")
    assert told.returncode == 0, told.stdout
    assert "till: " in told.stdout
    assert told.stdout.rstrip().endswith("promises kept, 0 broken.")


def test_a_wrong_connector_is_told_the_promise_that_it_breaks_and_what_was_seen(tmp_path: Path) -> None:
    told = ran(make_package(tmp_path, RIG + KEEPS_CANCELLED, POINTS), "till", "-k", "cancelled or belief or catalogue")
    assert told.returncode == 1
    assert "till breaks the promise: a cancelled order holds nothing.\n    " in told.stdout
    assert "'committed': 3" in told.stdout
    assert told.stdout.count("breaks the promise") == 1


def test_a_connector_that_believes_every_delivery_and_repeats_writes_is_found_out(tmp_path: Path) -> None:
    told = ran(make_package(tmp_path, RIG + TRIES_AGAIN, POINTS), "till", "-k", "delivery_is_verified or sent_once")
    assert told.returncode == 1
    assert "till breaks the promise: a delivery is verified and says the same as a read." in told.stdout
    assert "till breaks the promise: a write that was not answered is unknown and was sent once." in told.stdout


def test_without_a_package_of_that_name_it_says_what_is_missing(tmp_path: Path) -> None:
    nothing = ran(tmp_path, "drawer")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "no installed package has one entry point 'drawer' in the group perpetual.connectors" in nothing.stderr
    without_rig = ran(make_package(tmp_path, RIG + KEEPS_CANCELLED, {"perpetual.connectors till": "Wrong"}), "till")
    assert without_rig.returncode == 2
    assert "in the group perpetual.contract" in without_rig.stderr
