"""The oversell benchmark counts from the shops' own books what nobody could have known, and draws what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.simulation.weather import CALM
from bench.oversell import grid
from bench.oversell.__main__ import MIXES, _given, _verdict
from bench.oversell.market import Conditions, Market
from bench.oversell.naive import Naive, Oracle, Overwrite, PushOnChange

FIGURES = ("oversold_units", "oversold_beyond_delay_units", "stranded_units", "writes", "lag_p99_s")


class Deaf(Oracle):
    """Is never told anything, so that each shop goes on selling what it had."""

    name = "deaf <&>"

    def delays_s(self, shop: object) -> Sequence[float]:
        return ()


def figures(adapter: Naive, mix: str = "wild", lag_s: float = 2.0, orders: int = 1_500) -> Mapping[str, float]:
    return Market(Conditions(orders, 1, 0.5, lag_s, MIXES[mix])).run(adapter)


@pytest.mark.parametrize("lag_s", [2.0, 60.0])
def test_who_is_told_exactly_after_the_lag_sells_twice_only_what_was_sold_inside_it(lag_s: float) -> None:
    told = figures(Oracle(), lag_s=lag_s)
    assert told["oversold_units"] > 0
    assert (told["oversold_beyond_delay_units"], told["stranded_units"]) == (0, 0)


def test_a_longer_lag_sells_more_units_twice() -> None:
    assert figures(Oracle(), lag_s=60.0)["oversold_units"] > figures(Oracle(), lag_s=2.0)["oversold_units"]


def test_who_is_never_told_sells_most_of_it_beyond_every_delay() -> None:
    told = figures(Deaf())
    assert told["oversold_units"] > told["oversold_beyond_delay_units"] > told["oversold_units"] / 2


@pytest.mark.parametrize("mix", MIXES)
def test_who_overwrites_sells_twice_what_could_have_been_known(mix: str) -> None:
    assert figures(Overwrite(), mix)["oversold_beyond_delay_units"] > 0


def test_the_same_seed_gives_the_same_figures() -> None:
    assert figures(PushOnChange()) == figures(PushOnChange())
    assert figures(PushOnChange()) != Market(Conditions(1_500, 2, 0.5, 2.0, MIXES["wild"])).run(PushOnChange())
    assert MIXES["none"].faults == CALM.faults


def test_the_grid_is_written_as_data_a_table_and_a_chart_of_all_conditions(tmp_path: Path) -> None:
    def run(demand: float, lag: float, mix: str) -> dict[str, Mapping[str, float]]:
        return {adapter.name: figures(adapter, mix, lag, 100) for adapter in (Overwrite(), Deaf())}

    grid.write(tmp_path, list(grid.results_of(run, list(MIXES))))
    results = json.loads((tmp_path / "oversell.json").read_text("utf-8"))
    conditions = len(grid.DEMANDS) * len(grid.LAGS_S) * len(MIXES)
    assert len(results) == 2 * conditions
    assert all(set(FIGURES) < set(result) for result in results)
    table = (tmp_path / "oversell.md").read_text("utf-8").splitlines()
    assert len(table) == 2 + len(results)
    assert {line.count("|") for line in table} == {len(results[0]) + 1}
    bars = [told for told in _titles(tmp_path / "oversell.svg") if told.startswith("deaf <&>: ")]
    assert bars.count(f"deaf <&>: {results[1]['oversold_units']:,}") >= 1
    assert len(bars) == 2 * conditions


@pytest.mark.parametrize("given", [("--orders", "0"), ("--demand", "0"), ("--lag", "-1"), ("--demand", "nan")])
def test_nothing_is_measured_of_no_orders_in_no_time(
    given: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["oversell", *given])
    with pytest.raises(SystemExit) as refused:
        _given()
    assert (refused.value.code, f"argument {given[0]}: a number above 0" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize(("beyond", "status"), [(0, 0), (167, 1)])
def test_it_fails_when_perpetual_sold_twice_what_could_have_been_known(
    capsys: pytest.CaptureFixture[str], beyond: int, status: int
) -> None:
    figures = {"faults": "mild", "adapter": "perpetual", "oversold_beyond_delay_units": beyond, "oversold_units": 9}
    assert _verdict([figures]) == status
    assert ("could have been known" in capsys.readouterr().err) is bool(status)


@pytest.mark.parametrize(
    ("ours", "theirs", "status"), [(3, {"mild": 4}, 0), (4, {"mild": 4}, 1), (0, {"mild": 0}, 0), (3, {"wild": 2}, 0)]
)
def test_it_fails_when_a_naive_tool_sold_no_more_twice_under_the_same_faults(
    capsys: pytest.CaptureFixture[str], ours: int, theirs: Mapping[str, int], status: int
) -> None:
    found = [{"faults": "mild", "adapter": "perpetual", "oversold_beyond_delay_units": 0, "oversold_units": ours}]
    found += [
        {"faults": mix, "adapter": PushOnChange.name, "oversold_beyond_delay_units": 1, "oversold_units": units}
        for mix, units in theirs.items()
    ]
    found += [{"faults": "mild", "adapter": Oracle.name, "oversold_beyond_delay_units": 0, "oversold_units": 1}]
    assert _verdict(found) == status
    assert ("a naive tool" in capsys.readouterr().err) is bool(status)


def _titles(chart: Path) -> Iterator[str]:
    for element in ElementTree.parse(chart).iter("{http://www.w3.org/2000/svg}title"):
        yield element.text or ""
