"""What a step had claimed and could not give back: its worker died, or the database was not there when it wanted to.

Nobody has to wait for the deadline of such a claim.
"""

from __future__ import annotations

from app.core.db import Session
from app.core.log import get_logger
from app.core.runtime import Runtime

log = get_logger("worker")

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


def free_abandoned(runtime: Runtime) -> int:
    """Free what workers had claimed that live no longer; how much. A worker lives as long as it holds the lock named
    after it."""
    now = runtime.clock()
    with runtime.database.across(now) as session:
        freed: int = session.value("select free_abandoned(%(now)s)", now=now)
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
