"""What a step had claimed and could not give back: its worker died, or the database was not there when it wanted to.

Nobody has to wait for the deadline of such a claim.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from app.core.db import Session
from app.core.log import get_logger
from app.core.runtime import Runtime

log = get_logger("worker")

GRACE_S = 3.0
_ABSENT = "select worker from absent_workers(%(now)s) worker"
_FREE = "select free_abandoned(%(now)s, %(workers)s::text[])"
_ATTEMPTS = """
update push_attempt set deadline = %(now)s - interval '1 microsecond'
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and state = 'open' and deadline >= %(now)s
  and split_part(owner, '/', 1) = %(worker)s and (%(lane)s::integer is null or lane = %(lane)s)
"""
_POLLS = """
update channel_poll set deadline = %(now)s - interval '1 microsecond'
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and deadline >= %(now)s
  and owner = %(worker)s
"""
_RINGS = """
update inbox set deadline = %(now)s - interval '1 microsecond', owner = null
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'doorbell' and state = 'reading'
  and deadline >= %(now)s and owner = %(worker)s
"""


@dataclass(slots=True)
class Absences:
    """Workers that somebody looked for in vain, and since when by his own monotonic clock. One whose connection broke,
    or whose server was started again, is back within a second or two, and may be at its work all the while: it is given
    `grace_s`."""

    grace_s: float = GRACE_S
    _since: dict[str, float] = field(default_factory=dict)

    def note(self, absent: Collection[str], at_s: float) -> list[str]:
        """Who of them is gone for good."""
        self._since = {worker: self._since.get(worker, at_s) for worker in absent}
        return [worker for worker, since in self._since.items() if at_s - since >= self.grace_s]


def free_abandoned(runtime: Runtime, absences: Absences, at_s: float) -> int:
    """Free what workers had claimed that live no longer; how much. A worker lives as long as it holds the lock named
    after it."""
    now = runtime.clock()
    with runtime.database.across(now) as session:
        gone = absences.note([row.worker for row in session.rows(_ABSENT, now=now)], at_s)
        freed: int = session.value(_FREE, now=now, workers=gone) if gone else 0
    if freed:
        log.warning("abandoned_work_freed", claims=freed)
    return freed


def free_own(runtime: Runtime, merchant_id: int, channel_id: int, act: str) -> int:
    """Free what this worker's own act had claimed and left when it failed; how much. Nobody is at the act now."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        return _free_own(session, runtime.worker, channel_id, act)


def _free_own(session: Session, worker: str, channel_id: int, act: str) -> int:
    what, _, which = act.partition("_")
    mine = {"worker": worker, "channel": channel_id, "now": session.now}
    if what in ("push", "shadow"):
        return session.run(_ATTEMPTS, lane=int(which) if which else None, **mine)
    if what == "poll":
        return session.run(_POLLS, kind=which, **mine)
    return session.run(_RINGS, **mine) if what == "ring" else 0
