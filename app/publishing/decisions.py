"""What was decided about cases of drift, done: the ledger's number is written again, or the ledger is adjusted.

An adjustment is posted and its case closed in one transaction, under a key that is the case's, so never twice. Levels
are locked before owners and owners before cases, as by everybody; a case that grew meanwhile is left for the next look.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from app.accounts import audit
from app.core.db import Row, Session
from app.core.errors import Conflict, NotFound, PerpetualError, Unavailable
from app.core.runtime import Runtime
from app.ledger.models import Movement, State
from app.ledger.post import post
from app.listings.queries import find_kits, read_available
from app.listings.routing import choose_place

SOURCE = "drift"
ADJUST_MAX = 200

_CASES = """
select c.case_id, c.difference, c.decision, c.state, o.owner_id, o.item_id, o.channel_id, o.location_key,
    o.location_ids, o.held
from case_file c left join stock_owner o on o.merchant_id = c.merchant_id and o.owner_id = c.owner_id
                                        and o.case_id = c.case_id
where c.merchant_id = %(merchant_id)s
"""
_PLACES = """
select c.location_id from channel_location c join location l using (merchant_id, location_id)
where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s and c.location_key = %(key)s and l.active
  and (%(only)s::bigint[] is null or c.location_id = any(%(only)s::bigint[]))
order by l.priority, l.location_id
"""
_RELEASE = """
with freed as (
    update stock_owner set held = false, case_id = case when %(over)s then null else case_id end
    where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s)
    returning channel_id, owner_id
)
insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
select %(merchant_id)s, channel_id, nextval('due_listing_seq'), owner_id, %(now)s from freed
"""
_DECIDED = """
update case_file set decision = %(decision)s, decided_at = %(now)s, decided_by = %(by)s
where merchant_id = %(merchant_id)s and case_id = %(id)s and state = 'open'
"""
_ADJUSTED = """
update case_file set state = 'corrected', closed_at = %(now)s, evidence = evidence || %(more)s::jsonb
where merchant_id = %(merchant_id)s and case_id = %(id)s and state = 'open' and difference = %(difference)s
"""


class CaseMoved(Conflict):
    """The case has changed while it was being decided."""

    def __init__(self, case_id: int) -> None:
        super().__init__("case_moved", f"case {case_id} has just changed: look at it again")


def adjust_decided(runtime: Runtime, merchant_id: int, channel_id: int) -> int:
    """Post the adjustments of a channel's cases that were decided for the channel; how many. What can't be adjusted
    waits for a person from now on."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        cases = session.rows(
            f"{_CASES} and c.channel_id = %(channel)s and c.state = 'open' and c.decision = 'channel' limit %(limit)s",
            channel=channel_id, limit=ADJUST_MAX,
        )  # fmt: skip
    adjusted = 0
    for case in cases:
        try:
            with runtime.begin(merchant_id, now) as session:
                _adjust(session, case)
            adjusted += 1
        except CaseMoved:
            continue
        except Unavailable:
            raise
        except PerpetualError as error:
            with runtime.begin(merchant_id, now) as session:
                _leave_to_person(session, case, error)
    return adjusted


def decide(session: Session, case_id: int, decision: str, by: str) -> None:
    """A person says which is right, `ledger` or `channel`, of an open case that holds a number back. Raises NotFound,
    and Conflict when it is closed, decided, has just changed, or there is nothing to adjust."""
    case = session.row(f"{_CASES} and c.case_id = %(id)s", id=case_id)
    if case is None:
        raise NotFound("unknown_case", "no such case")
    if case.state != "open" or case.owner_id is None or not case.held:
        raise Conflict("case_not_asking", "this case asks nobody, or not any more")
    if decision == "channel":
        _adjust(session, case)  # first: what it locks comes before owners and cases
        session.run(
            """update case_file set decision = 'channel', decided_at = %(now)s, decided_by = %(by)s
               where merchant_id = %(merchant_id)s and case_id = %(id)s""",
            id=case_id, now=session.now, by=by,
        )  # fmt: skip
    else:
        session.run(_RELEASE, owners=[case.owner_id], over=False, now=session.now)
        if not session.run(_DECIDED, id=case_id, decision=decision, by=by, now=session.now):
            raise CaseMoved(case_id)
    audit.note(session, by, "case.decided", f"case {case_id}", after={"right": decision})


def _adjust(session: Session, case: Row) -> None:
    """One movement of the difference at the place the number is of; the case is closed with it."""
    movement = _movement(session, case)
    posted = post(session, [movement])
    session.run(_RELEASE, owners=[case.owner_id], over=True, now=session.now)
    more = {"movement_id": posted.movement_ids.get((SOURCE, movement.source_key)), "adjusted": case.difference}
    if not session.run(
        _ADJUSTED, id=case.case_id, difference=case.difference, now=session.now, more=orjson.dumps(more).decode()
    ):
        raise CaseMoved(case.case_id)


def _movement(session: Session, case: Row) -> Movement:
    if case.item_id is None:
        raise Conflict("nothing_to_adjust", "the number is mapped to no item any more")
    if find_kits(session, [case.item_id]):
        raise Conflict("nothing_to_adjust", "a kit has no units of its own: adjust its components")
    place = _place(session, case, abs(case.difference))
    found = case.difference > 0
    return Movement(
        case.item_id, abs(case.difference),
        State.SHRINKAGE if found else State.AVAILABLE, State.AVAILABLE if found else State.SHRINKAGE,
        SOURCE, f"case {case.case_id}", session.now, reason="drift",
        from_location_id=None if found else place, to_location_id=place if found else None,
    )  # fmt: skip


def _place(session: Session, case: Row, units: int) -> int:
    """Where the channel's number is at home; of several places the one that an order for these units would be sent
    from."""
    only: Sequence[int] | None = case.location_ids
    rows = session.rows(_PLACES, channel=case.channel_id, key=case.location_key, only=only)
    places = [row.location_id for row in rows]
    if not places:
        raise Conflict("nothing_to_adjust", "no active location of ours stands behind the number")
    return choose_place({case.item_id: units}, places, read_available(session, [case.item_id], places))


def _leave_to_person(session: Session, case: Row, error: PerpetualError) -> None:
    session.run(
        """update case_file set decision = null, decided_at = null, decided_by = null,
               detail = detail || %(why)s
           where merchant_id = %(merchant_id)s and case_id = %(id)s and state = 'open'""",
        id=case.case_id, why=f" (not adjusted: {error.detail})",
    )  # fmt: skip
