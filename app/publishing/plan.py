"""What number a channel should show for a stock owner, and why. Pure.

single-number channel   the sum over its locations of available, or of the kit's available
channel with locations  available, or the kit's available, at that location
then as if orders were not sold yet of which the channel has not said from where they go (`app.listings.unplaced`)
then less the buffer, clamped to [min, max], never below 0; but a number that is below 0 already is not raised to 0

A number below 0 sells nothing either way. Raised to 0 it would be on sale as soon as the channel puts a unit back by
itself, while others are still owed that unit (docs/decisions/013-below-zero-stays.md).


The buffer is a number and a percentage, or follows from a chance of overselling (`buffer.py`); the latter is applied
only while stock is low, that is below `HeldBack.low_below`: with more, what is shown after holding back could not be
sold by this channel before its number follows what the others sold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.publishing.buffer import HeldBack


@dataclass(frozen=True, slots=True)
class Rule:
    """How a listing shows stock: units and a percentage held back, bounds. `shown_max` None: no upper bound.
    `by_chance`: held back instead of those two, while stock is low."""

    buffer: int = 0
    buffer_percent: int = 0
    shown_min: int = 0
    shown_max: int | None = None
    by_chance: HeldBack | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The target and its reasons, in the order in which they were applied: (what, units after it)."""

    target: int
    reasons: tuple[tuple[str, int], ...]


def plan(available: Mapping[int, int], rule: Rule, shown: int | None = None, unplaced: int = 0) -> Plan:
    """`available`: units by location id (negative ones count: a unit owed is owed). `shown`: what the channel is
    believed to show. `unplaced`: units of orders without a place that `available` is without already."""
    total = sum(available.values())
    reasons = [("available", total)]
    if unplaced:
        total += unplaced
        reasons.append(("not placed yet", total))
    number = total
    reason, held_back = _held_back(total, rule)
    if held_back:
        number -= held_back
        reasons.append((reason, number))
    lowest = max(rule.shown_min, 0)
    if number < lowest:
        number = lowest
        reasons.append(("at least", number))
    if rule.shown_max is not None and number > rule.shown_max:
        number = rule.shown_max
        reasons.append(("at most", number))
    if number == 0 and shown is not None and shown < 0:
        number = shown
        reasons.append(("below zero", number))
    return Plan(number, tuple(reasons))


def _held_back(total: int, rule: Rule) -> tuple[str, int]:
    """(reason, units)."""
    if rule.by_chance is None:
        return "buffer", rule.buffer + (max(total, 0) * rule.buffer_percent + 99) // 100
    return "chance", rule.by_chance.units if total < rule.by_chance.low_below else 0
