"""Steps of orders as movements: keyed by order, line and posting number, returns naming the issues they undo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from app.core.db import Session
from app.inbox.difference import Step, difference
from app.inbox.orders import Line, OrderRow, Positions, Seen
from app.inbox.resolve import line_targets
from app.ledger.models import Movement

SOURCE = "order"

_ISSUES = """
select k.line, m.movement_id, m.item_id,
       (m.quantity - coalesce((select sum(r.quantity) from movement r where r.merchant_id = m.merchant_id
                               and r.reverses_movement_id = m.movement_id), 0))::bigint as units
from unnest(%(lines)s::text[]) k(line) join movement m
     on m.merchant_id = %(merchant_id)s and m.source = 'order' and m.source_key >= k.line || '/' and m.source_key <
         k.line || '0'
where m.to_state = 'customer' order by m.movement_id desc
"""


def line_name(line: Line) -> str:
    """The part of a movement's key that names the order's line; `/` comes right before `0` in byte order."""
    return f"{line[0]}/{line[1]}"


def movements_of(
    session: Session, live: Sequence[tuple[OrderRow, Seen]], before: Positions, after: Positions
) -> list[Movement]:
    """The movements that lead all changed lines from what is posted to their targets."""
    orders = {order.order_id: (order, seen) for order, seen in live}
    steps = {
        line: difference(line_targets(before.get(line, {})), line_targets(places)) for line, places in after.items()
    }
    returning = [line for line, some in steps.items() if any(s.returns and not s.returns_now for s in some)]
    issues = _open_issues(session, returning) if returning else {}
    movements: list[Movement] = []
    for line in sorted(steps):
        order, seen = orders[line[0]]
        movements += _line_movements(line, order.posting_no + 1, seen, steps[line], issues)
    return movements


def _line_movements(
    line: Line, posting_no: int, seen: Seen, steps: Sequence[Step], issues: Mapping[tuple[str, int], list[list[int]]]
) -> Iterator[Movement]:
    number = 0
    last_key = ""
    for step in steps:
        for units, issue in _by_issue(step, issues.get((line_name(line), step.item_id), [])):
            number += 1
            key = f"{line_name(line)}/{posting_no}.{number}"
            at = seen.snapshot.placed_at if posting_no == 1 else seen.snapshot.version
            movement = Movement(
                step.item_id, units, step.from_state, step.to_state, SOURCE, key, at,
                from_location_id=step.from_location_id, to_location_id=step.to_location_id, reverses_movement_id=issue,
            )  # fmt: skip
            yield replace(movement, reverses_key=last_key) if step.returns_now else movement
            last_key = key


def _by_issue(step: Step, issues: list[list[int]]) -> Iterator[tuple[int, int | None]]:
    """A returning step split over the line's issues, latest first; without one left it names none."""
    left = step.quantity
    if step.returns and not step.returns_now:
        for issue in issues:
            units = min(left, issue[1])
            if units:
                issue[1] -= units
                left -= units
                yield units, issue[0]
    if left:
        yield left, None


def _open_issues(session: Session, lines: Sequence[Line]) -> dict[tuple[str, int], list[list[int]]]:
    """[movement id, units not yet returned] of the lines' issues, latest first, by (line, item)."""
    issues: defaultdict[tuple[str, int], list[list[int]]] = defaultdict(list)
    for row in session.rows(_ISSUES, lines=[line_name(line) for line in lines]):
        issues[row.line, row.item_id].append([row.movement_id, row.units])
    return issues
