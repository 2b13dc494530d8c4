"""Counting tries of passwords, per process: after a few within a window whoever tries has to wait."""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.core.errors import RateLimited

FAILURES_MAX = 5  # from one address
USER_FAILURES_MAX = 20  # for one user, from wherever
FAILURES_WINDOW = timedelta(minutes=15)
COUNTED_MAX = 10_000


def network(address: str) -> str:
    """What counts as one address: an IPv6 client owns its whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


@dataclass(slots=True)
class Failures:
    """Tries per address or user within a window. A try counts when it begins, so that tries at the same time count as
    well. A good login forgets those for the user; of the address only itself, which says nothing of whom else somebody
    tried from there."""

    _tries: OrderedDict[str, tuple[int, datetime]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, who: str, now: datetime, tries_max: int = FAILURES_MAX) -> None:
        """Count a try; raises RateLimited over the bound."""
        with self._lock:
            count, since = self._tries.pop(who, (0, now))
            if now - since >= FAILURES_WINDOW:
                count, since = 0, now
            self._tries[who] = (count + 1, since)
            while len(self._tries) > COUNTED_MAX:
                self._tries.popitem(last=False)
        if count >= tries_max:
            wait = math.ceil((since + FAILURES_WINDOW - now).total_seconds())
            raise RateLimited("too_many_logins", "too many wrong passwords: wait a while", retry_after_s=wait)

    def forget(self, who: str) -> None:
        """All of them."""
        with self._lock:
            self._tries.pop(who, None)

    def take_back(self, who: str) -> None:
        """One of them."""
        with self._lock:
            if who in self._tries:
                count, since = self._tries[who]
                self._tries[who] = (count - 1, since)
