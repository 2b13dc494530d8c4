"""The only home of the wall clock. Steps read it once and hand `now` down; tests and the simulator bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, aware, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds for measuring durations; never goes back."""
    return time.monotonic()
