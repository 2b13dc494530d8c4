"""What a run came to: each cause alone makes it bad, and both forms tell it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from app.demo import per_second, span_s
from app.demo.report import SETTLE_MAX_S, WORST_SHOWN, Report, as_json, as_text

LAG = {"p50": 0.5, "p95": 1.0, "p99": 1.5, "max": 2.0}
GOOD = Report(
    orders=7, lines=9, movements=30, pushes=12, lag_s=LAG, settle_s=1.25, oversold_units=0, lost_units=0,
    double_units=0, parked=0, mismatches=0, verify="ok",
)  # fmt: skip
CAUSES: list[dict[str, Any]] = [
    {"lost_units": 1},
    {"double_units": 1},
    {"mismatches": 1},
    {"verify": "levels"},
    {"settle_s": None},
    {"settle_s": SETTLE_MAX_S + 0.01},
]


def test_a_run_without_a_fault_is_good_whatever_was_oversold_parked_or_killed() -> None:
    assert GOOD.is_good
    assert replace(GOOD, oversold_units=3, parked=2, kills=4, restarts=4).is_good


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: next(iter(cause)))
def test_each_fault_alone_makes_a_run_bad_and_the_text_says_so(cause: dict[str, Any]) -> None:
    bad = replace(GOOD, **cause)
    assert not bad.is_good
    assert as_text(bad).endswith("NOT EQUAL.")
    assert as_text(GOOD).endswith("All equal.")


def test_the_json_is_one_line_with_every_figure_under_its_own_name() -> None:
    told = as_json(replace(GOOD, findings=["mug: A +1"], months=[{"month": "2011-01"}]))
    assert "\n" not in told
    assert json.loads(told).keys() == {field.name for field in fields(Report)}
    assert json.loads(told)["lag_s"] == LAG
    assert json.loads(as_json(replace(GOOD, settle_s=None)))["settle_s"] is None


def test_a_person_reads_every_figure_and_the_worst_of_what_was_found() -> None:
    text = as_text(replace(GOOD, kills=5, restarts=6, findings=[f"finding {n}" for n in range(WORST_SHOWN + 5)]))
    for figure in ("7 orders", "9 lines", "30 movements", "12 writes", "0.50 s", "1.00 s", "2.00 s", "1.2 s"):
        assert figure in text
    assert "Killed 5 times; 6 processes" in text
    assert text.count("finding ") == WORST_SHOWN


def test_a_replay_tells_its_months_and_its_lags_in_the_datas_own_time() -> None:
    month = {"month": "2011-01", "inventory_value": "1234.5000", "cogs": "99.0000"}
    text = as_text(replace(GOOD, replay_s=12.5, months=[month], lag_s=dict.fromkeys(LAG, 600.0)))
    assert "10 min (median)" in text
    assert "2011-01" in text
    assert "1234.5000" in text
    assert "9 lines in 12.5 s" in text


@pytest.mark.parametrize("replay_s", [None, 1_500.0], ids=["for", "replay"])
def test_a_run_has_sixty_seconds_of_ours_to_come_to_rest_a_replay_too(replay_s: float | None) -> None:
    in_time, late = (replace(GOOD, settle_s=seconds, replay_s=replay_s) for seconds in (60.0, 60.5))
    assert in_time.is_good
    assert "at rest after 60.0 s:" in as_text(in_time)
    assert not late.is_good
    assert "at rest after 60.5 s, later than 60 s" in as_text(late)


def test_a_run_that_never_came_to_rest_says_so_in_place_of_a_time() -> None:
    assert "did not come to rest" in as_text(replace(GOOD, settle_s=None))


@pytest.mark.parametrize(("text", "seconds"), [("20s", 20), ("5m", 300), ("1.5h", 5400), ("7", 7), ("0.5s", 0.5)])
def test_a_time_is_read_with_or_without_its_unit(text: str, seconds: float) -> None:
    assert span_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 s", "5d", "1e3s", "five", "5s\n"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="a time like 20s"):
        span_s(text)


@pytest.mark.parametrize("text", ["0", "-1", "201", "nan", "inf", "many", ""])
def test_a_rate_that_nobody_can_sell_at_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="above 0"):
        per_second(text)
    assert per_second("200") == 200
