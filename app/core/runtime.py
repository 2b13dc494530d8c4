"""Runtime: everything a step gets from outside, in one frozen value. Built in `app.wiring`, never global.

Time, randomness and I/O come in through here, so that a test, the command line, a worker and the simulator call the
    same steps.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random, SystemRandom

from app.core.clock import Clock
from app.core.config import Settings
from app.core.db import Database, Session
from app.core.secrets import Sealer
from connectors.apps import AppPlatform
from connectors.base import Connector
from connectors.http import Http


def make_key() -> str:
    """A key that nobody else makes (idempotency keys, webhook addresses)."""
    return str(uuid.uuid4())


def fresh_dice() -> Random:
    """Dice for production, from the system's entropy."""
    return SystemRandom()


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings, database, clock, dice, vendors and the doorbell. `worker` names this process in attempts; `acting` is
    for whom it works and from where they asked, when that is a person or a program (for the audit log)."""

    settings: Settings
    database: Database
    clock: Clock
    rng: Random
    connectors: Mapping[str, Connector]
    sealer: Sealer
    open_http: Callable[[], Http]
    worker: str
    ring: Callable[[], None]
    new_key: Callable[[], str] = make_key
    acting: tuple[str, str] = ("", "")
    platforms: Mapping[str, AppPlatform] = field(default_factory=dict)  # those that install our app into shops

    def begin(self, merchant_id: int, now: datetime, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """One transaction of one merchant; see `Database.begin`."""
        return self.database.begin(merchant_id, now, snapshot=snapshot, acting=self.acting)
