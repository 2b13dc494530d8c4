"""What can go wrong between us and a shop, as rates between 0 and 1, and the one place that rolls the dice.

`mild` is a normal week; `wild` is worse than any day on record: at least 5 % of webhooks lost, 10 % doubled, delays
up to 30 s, 5 % of calls throttled, 3 % answered 5xx, 3 % timed out before and 3 % after their effect, and a search for
orders that is up to 8 s behind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

STRAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates (0 to 1) for deliveries and for calls; `delay_max_s` bounds a delayed delivery, `search_lag_s` how far a
    shop's index of what changed is behind (where it has one), `routing_lag_s` how long one with several places takes
    to say from which an order goes."""

    lose: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    delay_max_s: float = 30.0
    stray: float = 0.0  # of the deliveries: comes up to a day late
    reorder: float = 0.0
    throttle: float = 0.0
    error: float = 0.0
    timeout_before: float = 0.0
    timeout_after: float = 0.0
    search_lag_s: float = 0.0
    routing_lag_s: float = 0.0


NONE = Faults()
MILD = Faults(
    lose=0.005, duplicate=0.01, delay=0.02, delay_max_s=5.0, reorder=0.02, throttle=0.005, error=0.003,
    timeout_before=0.002, timeout_after=0.002, search_lag_s=1.0,
)  # fmt: skip
WILD = Faults(
    lose=0.06, duplicate=0.12, delay=0.20, delay_max_s=30.0, reorder=0.10, throttle=0.05, error=0.03,
    timeout_before=0.03, timeout_after=0.03, search_lag_s=8.0,
)  # fmt: skip
NAMED = {"none": NONE, "mild": MILD, "wild": WILD}


class CallFault(StrEnum):
    """What happens to one call to a shop."""

    NONE = "none"
    THROTTLE = "throttle"
    ERROR = "error"
    TIMEOUT_BEFORE = "timeout_before"  # the connection dies and nothing was done
    TIMEOUT_AFTER = "timeout_after"  # it was done, the answer is lost


def call_fault(faults: Faults, rng: Random) -> CallFault:
    """Roll for one call."""
    roll = rng.random()
    for fault, rate in (
        (CallFault.THROTTLE, faults.throttle),
        (CallFault.ERROR, faults.error),
        (CallFault.TIMEOUT_BEFORE, faults.timeout_before),
        (CallFault.TIMEOUT_AFTER, faults.timeout_after),
    ):
        if roll < rate:
            return fault
        roll -= rate
    return CallFault.NONE


def delivery_delays_s(faults: Faults, rng: Random) -> tuple[float, ...]:
    """Seconds until each copy of one delivery arrives: empty when lost, two entries when doubled."""
    if rng.random() < faults.lose:
        return ()
    copies = 2 if rng.random() < faults.duplicate else 1
    return tuple(_delay_s(faults, rng) for _ in range(copies))


def _delay_s(faults: Faults, rng: Random) -> float:
    if faults.stray and rng.random() < faults.stray:
        return rng.uniform(0, STRAY_S)
    if rng.random() < faults.delay:
        return rng.uniform(0, faults.delay_max_s)
    return rng.uniform(0.2, 2.0) if rng.random() < faults.reorder else 0.0


def quiet(faults: Faults) -> Faults:
    """The same shop once the faults stop (the demo settles, the simulator converges)."""
    return replace(NONE, delay_max_s=faults.delay_max_s)
