"""How long acts that found nothing to do are left alone: longer and longer, until something comes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

Key = tuple[int, int, str]  # merchant, channel, act
REST_MIN_S, REST_MAX_S = 0.05, 2.0
_WOKEN = ("process", "ring", "push", "shadow")  # acts that a doorbell may be about


@dataclass(slots=True)
class _Rest:
    """When an act may be tried again, and how long it rested last."""

    until: float = 0.0
    length: float = 0.0


@dataclass(slots=True)
class Rests:
    """Those of one worker process. Times are seconds of its own monotonic clock."""

    _of: dict[Key, _Rest] = field(default_factory=dict)

    def ended(self, key: Key, *, did: bool, at_s: float) -> None:
        """An act is over; it rests unless it did something."""
        rest = self._of.setdefault(key, _Rest())
        rest.length = 0.0 if did else min(max(rest.length * 2, REST_MIN_S), REST_MAX_S)
        rest.until = at_s + rest.length

    def resting(self, key: Key, at_s: float) -> bool:
        """Whether it is left alone at that moment."""
        rest = self._of.get(key)
        return rest is not None and rest.until > at_s

    def wake(self) -> None:
        """Something came: what rested for want of work need not."""
        for key, rest in self._of.items():
            if key[2].startswith(_WOKEN):
                rest.until = 0.0

    def left_s(self, at_s: float, *, but: Collection[Key]) -> list[float]:
        """How much longer each of them rests, but for those that are at work."""
        return [rest.until - at_s for key, rest in self._of.items() if rest.until > at_s and key not in but]
