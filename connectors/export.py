"""What is read in pieces, each of which says where the next begins: pages of a catalogue, and exports, which are a file
that a channel prepares for us where paging through everything would take too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.base import CatalogueEntry, OrderHead


class ExportOf(StrEnum):
    """What a channel can be asked to write into one file for us."""

    CATALOGUE = "catalogue"
    ORDERS = "orders"


class ExportState(StrEnum):
    """How far the channel is with it. `PARTIAL`: it gave up, but what it had is there."""

    RUNNING = "running"
    READY = "ready"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Export:
    """A file that a channel prepares: `objects` counted so far; `url` once there is something to fetch, of `size` bytes
    where that is known; `reason` why it is not whole."""

    export_key: str
    state: ExportState
    objects: int = 0
    url: str = ""
    size: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExportPage:
    """A piece of an export: catalogue entries or orders. `offset` is the byte to go on at once they are stored."""

    offset: int
    entries: Sequence[CatalogueEntry] = ()
    heads: Sequence[OrderHead] = ()


@dataclass(frozen=True, slots=True)
class CataloguePage:
    """A page of the catalogue. `after`: what `read_catalogue` takes to go on behind it in another process, '' where
    only the beginning will do. By then `read` of `total` rows of the vendor's own lists were read; 0 of 0 where it does
    not say how many there are."""

    entries: Sequence[CatalogueEntry]
    after: str = ""
    read: int = 0
    total: int = 0
