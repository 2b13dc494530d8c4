"""The only home of the wall clock. Steps read it once and hand `now` down; tests and the simulator bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, aware, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds for measuring durations; never goes back."""
    return time.monotonic()


ROUND_TRIP_MAX = timedelta(milliseconds=20)  # an answer that took longer says too little about the time
AGREED_WITHIN = timedelta(milliseconds=20)  # nearer than that nothing is corrected


@dataclass
class AgreedClock:
    """The database's time, kept by this machine's clock in between, so that what processes on several machines write
    down can be compared: whether a reading began after a number was seen decides what is concluded from it.

    `local` may be wrong by any amount; every transaction tells the server's time.
    """

    local: Clock = system_clock
    offset: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return self.local() + self.offset

    def hear(self, asked_at: datetime, told: datetime) -> None:
        """The server said `told` in answer to what was asked at `asked_at` by the local clock."""
        took = self.local() - asked_at
        if took <= ROUND_TRIP_MAX:
            offset = told - (asked_at + took / 2)
            if abs(offset - self.offset) > AGREED_WITHIN:
                self.offset = offset
