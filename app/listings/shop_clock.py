"""How far a shop's clock is from ours. Its "updated at" is in its own time, and a window that is asked for in ours
would miss what a clock behind by ten minutes stamps, for good.

Every answer is stamped by the shop's web server (`Date`, whole seconds), which has the same machine's clock or one
beside it (`connectors.http` measures by it). The database's time is ours (`app.core.clock`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from app.core.db import Session
from connectors.base import Window

SAME = timedelta(seconds=3)  # a stamp has whole seconds and travels
MARGIN = timedelta(seconds=6)  # more than what is known of a clock may be wrong: that, the stamp's, the travelling
SKEW_MAX = timedelta(days=3_650)  # a clock that is wrong by more is no clock


def read_skew(session: Session, channel_id: int) -> timedelta:
    """How far the channel's clock is ahead of ours, as last measured."""
    seconds: float = session.value(
        "select clock_skew_s from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
        channel=channel_id,
    )
    return timedelta(seconds=seconds)


def read_connection(session: Session, channel_id: int) -> tuple[timedelta, datetime]:
    """The same, and when the channel was connected, by its own clock."""
    row = session.row(
        """select clock_skew_s, created_at from channel
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id,
    )
    assert row is not None  # noqa: S101  the caller holds the channel
    skew = timedelta(seconds=row.clock_skew_s)
    return skew, row.created_at + skew


def in_its_time(window: Window, skew: timedelta) -> Window:
    """A window of ours as the channel's clock has it, to be on the safe side: what happened inside is in it."""
    return Window(window.since + skew - MARGIN, window.until + skew + MARGIN)


def note_skew(session: Session, channel_id: int, known: timedelta, measured: timedelta | None) -> timedelta:
    """Remember what was measured if it is another than known, and can be meant; returns what holds from now on."""
    if measured is None or abs(measured) > SKEW_MAX or abs(measured - known) <= SAME:
        return known
    session.run(
        """update channel set clock_skew_s = %(skew)s
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id, skew=measured.total_seconds(),
    )  # fmt: skip
    return measured
