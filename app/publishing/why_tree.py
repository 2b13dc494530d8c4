"""What `why` answers with: an item, its numbers on the channels, and what each is made of, down to movements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.publishing.held import ByChance


@dataclass(frozen=True, slots=True)
class Touch:
    """A movement that changed what is available at a place: by `change` units, to `after`."""

    movement_id: int
    change: int
    after: int
    source: str
    source_key: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Commitment:
    """Units that an order holds at a place, and the movements that took and gave back units for it there."""

    order_id: int
    number: str
    channel: str
    units: int
    placed_at: datetime | None
    movement_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """An item at a place, with its latest movements and the orders that hold it (`more_orders` are only counted).
    `per_unit` is how many of it one unit sold takes: 1, or what a kit says. What is available is what the movements
    shown changed and what all `earlier` ones add up to."""

    item_id: int
    sku: str
    per_unit: int
    available: int
    committed: int
    movements: tuple[Touch, ...]
    earlier: int
    orders: tuple[Commitment, ...]
    more_orders: int


@dataclass(frozen=True, slots=True)
class Place:
    """Units that can be sold from one of our places; a kit has what its scarcest component allows. Not `counted`: the
    number's rule leaves the place out."""

    location_id: int
    name: str
    units: int
    counted: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """The last write that the channel acknowledged: under `key`, from `expected` to `target`. `answer`: the number it
    gave back, None when it gives none."""

    attempt_id: int
    key: str
    at: datetime
    expected: int
    target: int
    relative: bool
    answer: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why the number is not simply written: a slug of `why_text.WAITING`, since when, the channel's own word for it."""

    reason: str
    since: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An open case about this number."""

    case_id: int
    kind: str
    detail: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Supposed:
    """A number planned again by another rule. `target` None: nothing can be planned. `writes`: (what the channel is
    expected to show, what it would show then, whether the difference is sent); None: nothing would be written now."""

    target: int | None
    steps: tuple[tuple[str, int], ...]
    writes: tuple[int, int, bool] | None


@dataclass(frozen=True, slots=True)
class Why:
    """One number on one channel. `shown`: what we believe customers see, None before it was ever read. `target`: what
    should be there, None where nothing can be planned; `steps` lead to it: (what, units after it). `by_chance`:
    where the buffer follows from a chance of overselling; `supposed`: with the rule that was asked about."""

    owner_id: int
    channel_id: int
    channel: str
    stock_key: str
    location_key: str
    shown: int | None
    target: int | None
    steps: tuple[tuple[str, int], ...]
    places: tuple[Place, ...]
    last_write: Write | None
    believed_at: datetime | None
    belief_revision: int
    observed: int | None
    observed_at: datetime | None
    waiting: tuple[Waiting, ...]
    cases: tuple[Case, ...]
    due_since: datetime | None
    by_chance: ByChance | None = None
    supposed: Supposed | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """An item and every number it has on a channel; `supposing`: the changes of their rules that were asked about."""

    item_id: int
    sku: str
    name: str
    kind: str
    at: datetime
    numbers: tuple[Why, ...]
    supposing: tuple[str, ...] = ()
