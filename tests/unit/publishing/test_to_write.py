"""What is written of a planned number: differences down, compared numbers up, nothing while it is not understood."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.publishing.attempts import to_write
from app.publishing.due import CONFLICTS_MAX, Due
from app.publishing.plan import Plan
from connectors.base import StockKey, StockWrite, WriteMode

KEY = StockKey("item", "place")
AT = datetime(2026, 11, 30, tzinfo=UTC)


def due(
    target: int,
    believed: int | None = 10,
    *,
    contradicted: bool = False,
    conflicts: int = 0,
    only_lowered: bool = False,
) -> Due:
    return Due(1, KEY, believed, conflicts, contradicted, [1], AT, Plan(target, ()), only_lowered=only_lowered)


@pytest.mark.parametrize(
    ("mode", "target", "relative"),
    [
        (WriteMode.COMPARE_AND_SET, 7, True),
        (WriteMode.COMPARE_AND_SET, 12, False),
        (WriteMode.RELATIVE, 7, True),
        (WriteMode.RELATIVE, 12, True),
        (WriteMode.ABSOLUTE, 7, False),
        (WriteMode.ABSOLUTE, 12, False),
    ],
)
def test_a_reduction_goes_as_a_difference_wherever_the_channel_takes_one(
    mode: WriteMode, target: int, relative: bool
) -> None:
    assert to_write(due(target), mode) == StockWrite(KEY, 10, target, relative=relative)


@pytest.mark.parametrize("mode", list(WriteMode))
def test_what_is_equal_or_was_never_seen_is_not_written(mode: WriteMode) -> None:
    assert to_write(due(10), mode) is None
    assert to_write(due(10, believed=None), mode) is None


@pytest.mark.parametrize("mode", list(WriteMode))
def test_a_number_that_contradicts_is_not_written_before_it_is_understood(mode: WriteMode) -> None:
    for target in (7, 12):
        assert to_write(due(target, contradicted=True, conflicts=CONFLICTS_MAX - 1), mode) is None


def test_after_two_conflicts_a_reduction_goes_out_all_the_same_and_an_increase_still_waits() -> None:
    hot = {"contradicted": True, "conflicts": CONFLICTS_MAX}
    assert CONFLICTS_MAX == 2
    for mode in (WriteMode.COMPARE_AND_SET, WriteMode.RELATIVE):
        assert to_write(due(7, **hot), mode) == StockWrite(KEY, 10, 7, relative=True)
        assert to_write(due(12, **hot), mode) is None
    assert to_write(due(7, **hot), WriteMode.ABSOLUTE) is None  # the number would replace a sale


@pytest.mark.parametrize("contradicted", [False, True])
def test_what_is_only_lowered_for_now_is_lowered_whatever_was_seen_there(contradicted: bool) -> None:
    for mode in (WriteMode.COMPARE_AND_SET, WriteMode.RELATIVE):
        lowered = to_write(due(7, only_lowered=True, contradicted=contradicted), mode)
        assert lowered == StockWrite(KEY, 10, 7, relative=True)
    for mode in WriteMode:
        assert to_write(due(12, only_lowered=True, contradicted=contradicted), mode) is None
    assert to_write(due(7, only_lowered=True, contradicted=contradicted), WriteMode.ABSOLUTE) is None
