"""How long a channel is left alone after a call that looks or writes and was refused. Readings keep their own."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.db import Session
from app.core.runtime import Runtime
from connectors.errors import ChannelError

SENT_WITHIN_S = 10.0  # of when an attempt was claimed, or it is not sent at all

_PAUSE = """
update channel_poll set last_error = %(error)s, failures = failures + 1,
    due_at = %(now)s + make_interval(secs => greatest(%(asked)s, (%(pauses)s::int[])[least(failures + 1, %(steps)s)]))
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s
"""
_ANSWERED = """
update channel_poll set failures = 0, last_error = null
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and failures > 0
"""


def pause(runtime: Runtime, shop: tuple[int, int], kind: str, error: ChannelError, pauses_s: Sequence[int]) -> None:
    """The next call of that kind ("push", "look") to a merchant's channel is due after so many seconds (the first,
    second … failure in a row), or as many as it asked for."""
    (merchant_id, channel_id), now = shop, runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        session.run(
            _PAUSE, channel=channel_id, kind=kind, now=now, error=error.reason, asked=error.retry_after_s or 0,
            pauses=list(pauses_s), steps=len(pauses_s),
        )  # fmt: skip


def note_answer(session: Session, channel_id: int, kind: str) -> None:
    """The channel answered: its next failure is the first."""
    session.run(_ANSWERED, channel=channel_id, kind=kind)
