"""Connectors that packages bring: a good one is there under its name, any other stops the start and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.config import load_settings
from app.core.errors import ConfigError, Unavailable
from app.core.packages import with_packages
from app.wiring import CONNECTORS, connectors_of
from connectors.base import Platform
from connectors.till import Till
from tests.packaged import TILL, install, make_package

ROOT = Path(__file__).resolve().parents[3]
GOOD = "from connectors.till import Till\nready = Till()\ndef make():\n    return Till()\n"


def refused(path: pytest.MonkeyPatch, folder: Path) -> tuple[str, str]:
    install(path, folder)
    with pytest.raises(ConfigError) as caught:
        with_packages(CONNECTORS)
    (fault,) = caught.value.faults
    return fault.reason, str(fault)


def test_without_packages_there_are_our_own_platforms_and_no_till() -> None:
    assert set(with_packages(CONNECTORS)) == {Platform.SHOPIFY, Platform.WOOCOMMERCE}


def test_the_till_is_there_once_its_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, TILL)
    found = with_packages(CONNECTORS)
    assert set(found) == {"shopify", "woocommerce", "till"}
    assert isinstance(found["till"], Till)


@pytest.mark.parametrize("what", ["Till", "make", "ready"])
def test_an_entry_point_is_a_class_or_a_function_that_makes_a_connector_or_the_connector_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    install(monkeypatch, make_package(tmp_path, GOOD, {"perpetual.connectors till": what}))
    assert with_packages(CONNECTORS)["till"] == Till()


def test_a_package_that_takes_a_name_of_ours_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = make_package(tmp_path, GOOD, {"perpetual.connectors shopify": "Till"})
    reason, told = refused(monkeypatch, folder)
    assert reason == "platform_taken"
    assert "package till-pack 2.1, entry point shopify" in told
    assert "Perpetual itself has a connector for shopify already: uninstall one of them" in told


def test_two_packages_of_one_name_are_both_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, TILL)
    reason, told = refused(monkeypatch, make_package(tmp_path, GOOD, {"perpetual.connectors till": "Till"}))
    assert reason == "platform_taken"
    assert "till-pack 2.1" in told
    assert "perpetual-till 1.0" in told


def test_a_package_that_raises_when_it_is_imported_is_named_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_package(tmp_path, "raise OSError('no licence')", {"perpetual.connectors till": "Till"})
    reason, told = refused(monkeypatch, folder)
    assert reason == "connector_broken"
    assert "OSError: no licence" in told
    assert "till-pack 2.1" in told


def test_an_entry_point_that_leads_nowhere_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reason, told = refused(monkeypatch, make_package(tmp_path, GOOD, {"perpetual.connectors till": "Tull"}))
    assert (reason, "Tull" in told) == ("connector_broken", True)


def test_what_is_no_connector_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "class Half:\n    platform = 'till'\n    def verify(self): ...\n"
    reason, told = refused(monkeypatch, make_package(tmp_path, code, {"perpetual.connectors till": "Half"}))
    assert reason == "not_a_connector"
    assert "write_stock" in told
    assert "verify" not in told
    assert "docs/writing-a-connector.md" in told


def test_abilities_of_another_kind_are_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "from connectors.till import Till\nclass Odd(Till):\n    def __init__(self): super().__init__(abilities={})\n"
    )
    reason, told = refused(monkeypatch, make_package(tmp_path, code, {"perpetual.connectors till": "Odd"}))
    assert (reason, "abilities" in told) == ("not_a_connector", True)


def test_a_connector_of_another_platform_than_its_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reason, told = refused(monkeypatch, make_package(tmp_path, GOOD, {"perpetual.connectors drawer": "Till"}))
    assert reason == "platform_differs"
    assert "'till'" in told


def test_a_name_that_could_be_no_part_of_an_address_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reason, _ = refused(monkeypatch, make_package(tmp_path, GOOD, {"perpetual.connectors The-Till": "Till"}))
    assert reason == "bad_platform_name"


def test_every_broken_package_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    points = {"perpetual.connectors drawer": "Till", "perpetual.connectors till": "Tull"}
    for number, (where, what) in enumerate(points.items()):
        make_package(tmp_path, GOOD, {where: what}, f"pack-{number}")
    install(monkeypatch, tmp_path)
    with pytest.raises(ConfigError) as caught:
        with_packages(CONNECTORS)
    assert [fault.reason for fault in caught.value.faults] == ["platform_differs", "connector_broken"]


def test_tills_are_left_out_where_points_of_sale_are_switched_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, TILL)
    settings = load_settings(config=None, data_dir=tmp_path, environ={"PERPETUAL_SHOPIFY__POINT_OF_SALE": "false"})
    found = connectors_of(settings, with_packages(CONNECTORS))
    assert set(found) == {"shopify", "woocommerce"}
    with pytest.raises(Unavailable) as caught:
        found["till"]
    assert caught.value.reason == "no_connector"


def test_a_command_does_not_begin_with_a_broken_package_and_says_what_to_do(tmp_path: Path) -> None:
    folder = make_package(tmp_path, "raise OSError('no licence')", {"perpetual.connectors till": "Till"})
    told = subprocess.run(
        [sys.executable, "-m", "app", "config", "check"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(folder), "PERPETUAL_DATA__DIR": str(tmp_path / "data")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert told.returncode == 2, told
    assert "package till-pack 2.1, entry point till" in told.stderr
    assert "repair or uninstall it" in told.stderr
