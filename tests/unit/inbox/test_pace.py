"""How soon orders are read again, by how late deliveries come and how fast orders do."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inbox.pace import DELAY_MAX_S, MISSED_MIN, POLL_MIN_S, SHARE_MAX, learnt_missed, learnt_s, pause_s

USUAL_S = 300.0
seconds = st.floats(0, 1e6)


@pytest.mark.parametrize("gap_s", [0.04, 1.0, 60.0, 3_600.0])
def test_a_channel_that_tells_at_once_is_only_read_as_a_safety_net(gap_s: float) -> None:
    assert pause_s(1.0, gap_s, 0.2, USUAL_S) == USUAL_S


def test_a_shop_that_sells_and_tells_late_is_read_every_few_seconds() -> None:
    assert pause_s(60.0, 0.04, 0.5, USUAL_S) == POLL_MIN_S
    assert pause_s(60.0, 60.0, 0.5, USUAL_S) == pytest.approx(10.95, abs=0.01)
    assert pause_s(60.0, 600.0, 0.5, USUAL_S) == pytest.approx(34.6, abs=0.1)


def test_where_nobody_buys_reading_is_rare() -> None:
    assert pause_s(60.0, None, 0.5, USUAL_S) == USUAL_S
    assert pause_s(60.0, 3_600.0, 0.5, USUAL_S) == USUAL_S
    assert pause_s(inf, 86_400.0, 0.5, USUAL_S) == USUAL_S


def test_a_shop_that_tells_nothing_is_read_more_seldom_the_longer_nobody_buys() -> None:
    pauses = [pause_s(inf, gap_s, 0.5, USUAL_S) for gap_s in (1, 60, 600, 3_600, 40_000, 80_000)]
    assert pauses == sorted(pauses)
    assert pauses[0] == POLL_MIN_S
    assert pauses[3] == pytest.approx(84.9, abs=0.1)
    assert pauses[-1] == USUAL_S


def test_a_slow_shop_is_left_alone_most_of_the_time() -> None:
    assert pause_s(60.0, 0.04, 8.0, USUAL_S) == 8.0 / SHARE_MAX


def test_a_merchant_who_has_everything_read_more_often_than_that_still_gets_it() -> None:
    assert pause_s(60.0, 60.0, 0.5, 3.0) == 3.0


def test_a_shop_whose_deliveries_get_lost_is_read_the_sooner_the_more_of_them_do() -> None:
    assert pause_s(1.0, 4.0, 0.2, USUAL_S, missed=0.06) == pytest.approx(11.5, abs=0.1)
    assert pause_s(1.0, 60.0, 0.2, USUAL_S, missed=0.005) == pytest.approx(154.9, abs=0.1)
    assert pause_s(1.0, 3_600.0, 0.2, USUAL_S, missed=0.05) == USUAL_S
    assert pause_s(1.0, None, 0.2, USUAL_S, missed=1.0) == USUAL_S


def test_the_share_of_missed_orders_follows_new_ones_and_is_forgotten_when_all_are_told_of() -> None:
    share = learnt_missed(0.0, 2.0, [None, None, 40.0])
    assert share == pytest.approx(0.05)
    for _ in range(70):
        share = learnt_missed(share, 2.0, [None])
    assert share == 0.0
    assert learnt_missed(0.0, 2.0, [40.0] * 200) > 0.9


def test_what_a_reading_finds_before_a_delivery_could_have_told_of_it_says_nothing() -> None:
    assert learnt_missed(0.06, 60.0, [100.0, 3.0]) == 0.06
    assert learnt_missed(MISSED_MIN, 60.0, [130.0]) > MISSED_MIN


@given(
    told=seconds, gap=st.none() | seconds, took=st.floats(0, 500), usual=st.floats(1, 3_600), missed=st.floats(0, 1)
)  # fmt: skip
def test_a_pause_is_never_longer_than_the_usual_one_and_never_short_of_the_least(
    told: float, gap: float | None, took: float, usual: float, missed: float
) -> None:
    pause = pause_s(told, gap, took, usual, missed)
    assert min(POLL_MIN_S, usual) <= pause <= usual
    assert pause <= pause_s(told, gap, took, usual)
    if pause < usual:
        assert pause < told or missed > 0


def test_the_first_deliveries_tell_the_delay_and_later_ones_move_it() -> None:
    assert learnt_s(None, [62.0, 61.0, 400.0]) == 62.0
    assert learnt_s(62.0, [2.0]) == pytest.approx(44.0)
    assert learnt_s(62.0, []) == 62.0
    assert learnt_s(None, []) is None


def test_a_delay_that_says_the_same_is_not_written_again() -> None:
    assert learnt_s(62.0, [65.0]) == 62.0
    assert learnt_s(0.5, [1.2]) == 0.5


def test_a_clock_that_is_ahead_and_a_delivery_repeated_for_days_stay_within_bounds() -> None:
    assert learnt_s(None, [-40.0]) == 0.0
    assert learnt_s(None, [9e9]) == DELAY_MAX_S


def test_deliveries_that_became_prompt_are_believed_within_a_dozen_batches() -> None:
    delay: float | None = 60.0
    for _ in range(12):
        delay = learnt_s(delay, [0.0])
    assert delay is not None
    assert delay < POLL_MIN_S
