"""When a share that was counted says that a target was missed, and that the benchmark says so by its exit code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import comb
from pathlib import Path

import pytest

from bench.buffers import chance_of_so_many, judge, main

START = datetime(2010, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("broken", "moments", "target"), [(1, 10, 0.1), (3, 40, 0.01), (7, 60, 0.05), (60, 60, 0.5)])
def test_the_chance_of_so_many_is_that_of_the_binomial_to_its_last_term(
    broken: int, moments: int, target: float
) -> None:
    exact = sum(comb(moments, n) * target**n * (1 - target) ** (moments - n) for n in range(broken, moments + 1))
    assert chance_of_so_many(broken, moments, target) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("broken", "verdict"),
    [(0, "kept"), (21, "kept"), (22, "within_sampling_error"), (33, "within_sampling_error"), (34, "missed")],
)
def test_more_than_the_target_is_missed_only_where_so_many_come_by_chance_in_less_than_one_run_of_a_hundred(
    broken: int, verdict: str
) -> None:
    assert judge(broken, 21_819, 0.001) == verdict


def test_nothing_to_count_keeps_every_target() -> None:
    assert judge(0, 0, 0.001) == "kept"


def orders(path: Path, *, sudden: int) -> Path:
    """A mug is sold once a day for two years; in the second, so many others buy one within minutes of each sale."""
    lines = ["order_id,occurred_at,sku,quantity,unit_price"]
    for day in range(730):
        for number in range(1 + (sudden if day > 365 else 0)):
            at = START + timedelta(days=day, minutes=number)
            lines.append(f"{day}-{number},{at:%Y-%m-%dT%H:%M:%SZ},mug,1,1.00")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_missed_target_is_named_and_ends_with_1_and_kept_ones_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--orders", str(orders(tmp_path / "calm.csv", sudden=0))]) == 0
    assert capsys.readouterr().err == ""
    assert main(["--orders", str(orders(tmp_path / "rush.csv", sudden=12)), "--json"]) == 1
    assert "missed: staleness_3600_s_target_0.001" in capsys.readouterr().err
