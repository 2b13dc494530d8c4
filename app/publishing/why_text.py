"""The proof of a number as text and as JSON, and the plain words for everything that a number may be waiting for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import orjson

from app.publishing.held import ByChance
from app.publishing.staleness import MEASURED_MIN, Delay
from app.publishing.why_tree import Explained, Part, Place, Supposed, Waiting, Why

# What stands between a number and its channel, and what ends it.
WAITING = {
    "channel_paused": "the channel is paused: nothing is written until it is resumed",
    "channel_shadow": "the channel is connected to look only: numbers are worked out, never written",
    "channel_disconnected": "the channel is disconnected",
    "listing_untracked": "the channel does not track stock for this product",
    "listing_bundle": "the channel works this number out itself from its bundle's parts",
    "listing_gone": "the channel has no such product any more",
    "listing_refused": "the channel refused the last number: see the case, then write again",
    "held_by_case": "the channel shows a number that nothing explains: nothing is written until the case is decided",
    "place_not_mapped": "the channel's location is not mapped to one of ours",
    "push_failing": "numbers can't be written there now and are tried again",
    "write_in_flight": "a write is on its way and was not answered yet",
    "unclear_write": "a write got no clear answer: the number is read back before anything else is sent",
    "awaiting_orders": "the channel's number had moved: its orders are read before the next write",
    "contradicted": "the channel showed another number than expected: its orders are read to explain it",
    "to_be_looked_at": "the channel's number will be read again",
    "unlocated_order": "an order here has no location yet: until it has, an hour at most, the number is only lowered",
    "never_seen": "the channel's number was not read yet",
}
# Of these, what ends by itself and needs nobody.
QUIET = frozenset({"write_in_flight", "to_be_looked_at", "never_seen", "channel_paused", "channel_shadow"})
STEPS = {
    "available": "available in the ledger",
    "not placed yet": "with what orders without a location took: the channel takes it off itself",
    "buffer": "left after the buffer",
    "chance": "left after the buffer for sales not yet known here",
    "at least": "shown at least",
    "at most": "shown at most",
    "below zero": "below zero already, which sells nothing either: it stays",
}
_INDENT = "  "


def as_json(explained: Explained) -> str:
    """The whole tree; instants are ISO 8601 in UTC."""
    return orjson.dumps(explained, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()


def as_text(explained: Explained) -> str:
    """The whole tree as indented text."""
    head = f"{explained.sku}  {explained.name}"
    if not explained.numbers:
        return f"{head}\n{_INDENT}no channel lists this item"
    trees = [render(number, ", ".join(explained.supposing)) for number in explained.numbers]
    return "\n".join([head, *map(_shift, trees)])


def render(number: Why, supposing: str = "") -> str:
    """One number as an indented tree; `supposing` names the rule that was asked about."""
    return "\n".join(_lines(number, supposing))


def _shift(text: str) -> str:
    return "\n".join(_INDENT + line for line in text.splitlines())


def _lines(number: Why, supposing: str) -> Iterator[str]:
    where = f" at {number.location_key}" if number.location_key else ""
    yield f"{number.channel} shows {_or_unknown(number.shown)}  ({number.stock_key}{where})"
    yield _INDENT + (
        f"should show {number.target}" if number.target is not None else "nothing to show: it can't be planned"
    )
    for what, units in number.steps:
        yield f"{_INDENT * 2}{STEPS.get(what, what)}: {units}"
        if what == "available":
            yield from _places(number.places)
    if number.by_chance is not None:
        yield from (_INDENT * 2 + line for line in _by_chance(number.by_chance))
    if number.supposed is not None:
        yield from (_INDENT + line for line in _supposed(number, number.supposed, supposing))
    yield from (_INDENT + line for line in _belief(number))
    for waiting in number.waiting:
        yield f"{_INDENT}waiting: {sentence(waiting)}{_since(waiting.since)}"
    for case in number.cases:
        yield f"{_INDENT}open case {case.case_id} ({case.kind}): {case.detail}{_since(case.opened_at)}"


def _supposed(number: Why, supposed: Supposed, supposing: str) -> Iterator[str]:
    if supposed.target is None:
        yield f"with {supposing}: nothing to show either"
        return
    yield f"with {supposing} it would show {supposed.target}"
    for what, units in supposed.steps:
        yield f"{_INDENT}{STEPS.get(what, what)}: {units}"
    if supposed.writes is not None:
        expected, target, relative = supposed.writes
        how = f"the difference of {target - expected:+d}" if relative else f"if it still shows {expected}"
        yield f"{_INDENT}would be written: {expected} → {target}, {how}"
    elif supposed.target == number.shown:
        yield f"{_INDENT}nothing would be written: it shows that already"
    else:
        yield f"{_INDENT}nothing would be written now: see what it waits for"


def sentence(waiting: Waiting) -> str:
    """What a number waits for, in words, with the channel's own word for it."""
    words = WAITING.get(waiting.reason, waiting.reason)
    return f"{words} ({waiting.detail})" if waiting.detail else words


def _by_chance(held: ByChance) -> Iterator[str]:
    applied = f"while fewer than {held.low_below} are available" if held.units else "nothing is needed"
    yield f"buffer for a chance of overselling of {held.target:.3%}: {held.units}, {applied}"
    yield (
        f"{_INDENT}others sell {held.others_per_day:.2f} orders a day, this channel {held.own_per_day:.2f} "
        f"({held.orders} seen), {held.order_units:.1f} units each on average"
    )
    yield (
        f"{_INDENT}its number is up to {held.staleness_s:.1f} s old: a sale is known after "
        f"{_delay(held.arrival)}, shown after {_delay(held.push)} more (p99)"
    )
    before = ("none", "one", "several")[held.recent]
    yield f"{_INDENT}orders right before: {before}; {held.bursts:.4f} more are expected elsewhere in that time"
    if held.cap is not None:
        yield f"{_INDENT}bulk orders are why: with at most {held.cap.order_max} an order, {held.cap.units} would do"


def _delay(delay: Delay) -> str:
    measured = f"{delay.measured} measured" if delay.measured >= MEASURED_MIN else f"assumed, {delay.measured} measured"
    return f"{delay.p99_s:.1f} s ({measured})"


def _places(places: Sequence[Place]) -> Iterator[str]:
    for place in places:
        left_out = "" if place.counted else ", not counted by its rule"
        yield f"{_INDENT * 3}{place.name}: {place.units}{left_out}"
        for part in place.parts:
            yield from (_INDENT * 4 + line for line in _part(part))


def _part(part: Part) -> Iterator[str]:
    times = f", {part.per_unit} per unit" if part.per_unit != 1 else ""
    yield f"{part.sku}: {part.available} available{times}, {part.committed} committed"
    for touch in part.movements:
        yield (
            f"{_INDENT}movement {touch.movement_id}: {touch.change:+d} → {touch.after}  "
            f"({touch.source} {touch.source_key}, {_instant(touch.recorded_at)})"
        )
    if part.earlier:
        yield f"{_INDENT}earlier movements: {part.earlier:+d}"
    for order in part.orders:
        ids = ", ".join(map(str, order.movement_ids))
        by = f"  (movements {ids})" if ids else ""
        yield f"{_INDENT}order {order.number or order.order_id} on {order.channel} holds {order.units}{by}"
    if part.more_orders:
        yield f"{_INDENT}and {part.more_orders} more orders"


def _belief(number: Why) -> Iterator[str]:
    write = number.last_write
    if write is None:
        yield "last write: none"
    else:
        answer = "" if write.answer is None else f", it answered {write.answer}"
        yield f"last write: {write.expected} → {write.target} at {_instant(write.at)} under key {write.key}{answer}"
    if number.believed_at is not None:
        yield f"believed: {number.shown}{_since(number.believed_at)} (revision {number.belief_revision})"
    if number.observed_at is not None:
        yield f"last seen there: {_or_unknown(number.observed)} at {_instant(number.observed_at)}"
    yield f"due{_since(number.due_since)}" if number.due_since else "nothing due"


def _or_unknown(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _since(at: datetime | None) -> str:
    return "" if at is None else f" since {_instant(at)}"


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
