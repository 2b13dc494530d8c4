"""What goes wrong between us and the shops, as rates, and the dice that decide about one call.

Beyond what the demo's pretend shops do (`sandbox.faults`): an answer that is no answer, an effect that comes after the
connection was given up, deliveries that come a day late, clocks that differ, numbers and orders changed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from sandbox.faults import NONE, WILD, Faults

# What only that healing loop would find is left out of the weather when it is switched off.
LOOPS: Mapping[str, Sequence[str]] = {
    "sweep": ("poll_sweep",), "known": ("poll_known",), "audit": ("poll_stock",), "webhooks": ("poll_webhooks",),
    "products": ("poll_products",),
}  # fmt: skip


class Fate(StrEnum):
    """What becomes of one call."""

    GOOD = "good"
    THROTTLED = "throttled"
    REFUSED = "refused"  # or not reached; nothing was done
    BROKEN = "broken"  # 502 or 503, it was done all the same
    LOST_BEFORE = "lost_before"  # no answer, nothing was done
    LOST_AFTER = "lost_after"  # no answer, it was done
    LATE = "late"  # no answer, it is done a while after the caller gave up
    GARBLED = "garbled"  # it was done, and the answer can't be read or breaks off


@dataclass(frozen=True, slots=True)
class Weather:
    """Rates from 0 to 1. `crash_after`: a process dies after up to so many statements and calls, None: never. `stall`:
    that it stands still for minutes before or after a transaction, so that others take over what it was at. `missed`:
    that others can't see for a while that it lives. `edits`, `deletions`: that something people do is one that nobody
    tells of; `whims`: that meanwhile a shop begins to refuse a product for a while. `skew_s`: by how much clocks may
    differ. `adding_s`: between WooCommerce's reading of a number and its writing of the sum at most."""

    faults: Faults = NONE
    late: float = 0.0
    garbled: float = 0.0
    bell_lost: float = 0.0
    switch: float = 0.3  # that another process runs between two transactions
    crash_after: int | None = None
    stall: float = 0.0
    missed: float = 0.0
    edits: float = 0.0
    deletions: float = 0.0
    whims: float = 0.0
    skew_s: float = 600.0
    adding_s: float = 0.3


CALM = Weather()
STORM = Weather(
    faults=replace(WILD, stray=0.02, routing_lag_s=8.0), late=0.02, garbled=0.03, bell_lost=0.1, crash_after=600,
    stall=0.0004, missed=0.002, edits=0.04, deletions=0.04, whims=0.02,
)  # fmt: skip
NAMED = {"calm": CALM, "storm": STORM}


def fate_of(weather: Weather, dice: Random) -> Fate:
    """Roll for one call."""
    faults, roll = weather.faults, dice.random()
    for fate, rate in (
        (Fate.THROTTLED, faults.throttle),
        (Fate.REFUSED, faults.error / 2),
        (Fate.BROKEN, faults.error / 2),
        (Fate.LOST_BEFORE, faults.timeout_before),
        (Fate.LOST_AFTER, faults.timeout_after),
        (Fate.LATE, weather.late),
        (Fate.GARBLED, weather.garbled),
    ):
        if roll < rate:
            return fate
        roll -= rate
    return Fate.GOOD
