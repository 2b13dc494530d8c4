"""Where an order's units lie: the channel's own place as ours, the place chosen before, or one chosen now. Pure.

A channel that says no place leaves the choice to us: by priority and availability, and the choice sticks.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence


def choose_place(
    needs: Mapping[int, int], places: Sequence[int], available: MutableMapping[tuple[int, int], int]
) -> int:
    """The first place, by priority, that has enough of everything the line needs; else the one that can serve most of
    it, the earlier one at a tie. What is chosen is taken off `available`, so that one batch does not promise it twice.

    `needs`: component item id → units. `places`: in order of priority, at least one.
    """
    best = max(places, key=lambda place: (_served(needs, place, available), -places.index(place)))
    for item, units in needs.items():
        available[item, best] = available.get((item, best), 0) - units
    return best


def _served(needs: Mapping[int, int], place: int, available: Mapping[tuple[int, int], int]) -> int:
    """Units that the place can serve, capped at what is needed: places that have enough tie and priority decides."""
    return sum(min(units, max(available.get((item, place), 0), 0)) for item, units in needs.items())
