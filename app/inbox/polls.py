"""What is read now and then: one row per channel and kind says when it is due, how far it got and who is at it.

A reading is claimed by a deadline: if its process dies, the next one takes it over, and what comes after that is fenced
off by the attempt's number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.core.runtime import Runtime
from connectors.errors import ChannelError, Throttled

CLOCK_MOVED = "clock_moved"
RESUMED_WITHIN = timedelta(hours=6)  # what broke off longer ago begins again
BACKOFF_S = (1, 2, 5, 15, 60, 300)  # after the first, second … failure in a row

# One that broke off lately began when it did: what is waited for has to have begun after that was asked for.
_CLAIM = """
update channel_poll set attempt = attempt + 1, owner = %(owner)s, deadline = %(deadline)s,
    started_at = case when resume_after is not null and started_at > %(lately)s then started_at else %(now)s end,
    resume_after = case when started_at > %(lately)s then resume_after end
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s
  and (due_at <= %(now)s or asked_at >= started_at) and (deadline is null or deadline < %(now)s)
returning attempt, read_through, resume_from, resume_after
"""
_HOLD = """
update channel_poll set deadline = %(deadline)s, resume_after = coalesce(%(after)s, resume_after)
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and attempt = %(attempt)s
"""
# While older orders are still being back-filled no reading is complete: nothing is concluded from it. Nor from one for
# whose window the shop's clock turned out to be another, which is read again at once; a shop whose servers disagree
# (the next one finds it moved again) is taken as it is.
_END = f"""
update channel_poll set deadline = null, owner = null, failures = 0, read_through = %(through)s, resume_from = null,
    resume_after = null,
    last_error = case when not %(whole)s and last_error is distinct from '{CLOCK_MOVED}' then '{CLOCK_MOVED}' end,
    due_at = case when not %(whole)s and last_error is distinct from '{CLOCK_MOVED}' then %(now)s else %(due)s end,
    took_s = extract(epoch from greatest(%(now)s, started_at) - started_at),
    completed_at = case when not %(whole)s and last_error is distinct from '{CLOCK_MOVED}'
        or kind = 'orders' and exists (
            select from channel_import i where i.merchant_id = %(merchant_id)s and i.channel_id = %(channel)s
            and i.what = 'orders' and i.completed_at is null) then completed_at else started_at end
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and attempt = %(attempt)s
"""  # noqa: S608  a constant only
_FAIL = """
update channel_poll set deadline = null, owner = null, failures = failures + 1, last_error = %(error)s,
    resume_from = greatest(resume_from, %(got_to)s),
    due_at = %(now)s + make_interval(secs => greatest(%(after)s, (%(backoff)s::int[])[least(failures + 1, %(steps)s)]))
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and attempt = %(attempt)s
"""


# Every reading that is due of a channel that nothing here speaks to is put off, so that diagnose tells of it and not of
# a worker that does nothing. Only a push that reaches the shop could take back a failure of its own.
_PUT_OFF = """
update channel_poll set failures = failures + 1, last_error = %(error)s,
    due_at = %(now)s + make_interval(secs => %(pause)s)
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind not in ('push', 'look') and due_at <= %(now)s
  and (deadline is null or deadline < %(now)s)
"""
PUT_OFF_S = 60


class Overtaken(Exception):
    """The claim ran out and another process took it over: stop, nothing of it is lost."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed poll: which one, and the number that fences it."""

    merchant_id: int
    channel_id: int
    kind: str
    attempt: int


def claim_poll(runtime: Runtime, session: Session, channel_id: int, kind: str) -> Row | None:
    """Take a due poll (attempt, read_through, resume_from, resume_after) until its deadline; None when it is not due or
    taken."""
    return session.row(
        _CLAIM,
        channel=channel_id,
        kind=kind,
        owner=runtime.worker,
        now=session.now,
        lately=session.now - RESUMED_WITHIN,
        deadline=_deadline(runtime, session),
    )


def hold_poll(runtime: Runtime, session: Session, claim: Claim, *, after: int | None = None) -> None:
    """Put the deadline off: a long reading goes on. `after`: up to there it need not begin again. Raises Overtaken."""
    held = session.run(
        _HOLD, channel=claim.channel_id, kind=claim.kind, attempt=claim.attempt, after=after,
        deadline=_deadline(runtime, session),
    )  # fmt: skip
    if not held:
        raise Overtaken


def end_poll(runtime: Runtime, claim: Claim, *, through: datetime, every_s: float, whole: bool = True) -> None:
    """A poll got through; the next is due after `every_s`. `whole` False: it may have missed something."""
    now = runtime.clock()
    with runtime.begin(claim.merchant_id, now) as session:
        session.run(
            _END, channel=claim.channel_id, kind=claim.kind, attempt=claim.attempt, through=through, now=now,
            whole=whole, due=now + timedelta(seconds=every_s),
        )  # fmt: skip


def fail_poll(runtime: Runtime, claim: Claim, error: ChannelError, *, got_to: datetime | None = None) -> None:
    """A poll failed: it is due again after the channel's own wish or ours, whichever is later. `got_to`: everything
    that was updated before is stored."""
    now, steps = runtime.clock(), backoff(error)
    with runtime.begin(claim.merchant_id, now) as session:
        session.run(
            _FAIL, channel=claim.channel_id, kind=claim.kind, attempt=claim.attempt, now=now, error=error.reason,
            got_to=got_to, after=error.retry_after_s or 0, backoff=list(steps), steps=len(steps),
        )  # fmt: skip


def put_off(runtime: Runtime, merchant_id: int, channel_id: int, reason: str) -> None:
    """Nothing of the channel can be read now, whatever it is: again in a minute."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        session.run(_PUT_OFF, channel=channel_id, now=now, error=reason, pause=PUT_OFF_S)


def backoff(error: ChannelError) -> tuple[int, ...]:
    """A channel that throttles says when to come back; only where nobody knows is the pause made longer each time."""
    return BACKOFF_S[:1] if isinstance(error, Throttled) else BACKOFF_S


def _deadline(runtime: Runtime, session: Session) -> datetime:
    return session.now + timedelta(seconds=runtime.settings.sync.attempt_deadline_s)
