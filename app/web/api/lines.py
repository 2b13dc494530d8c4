"""What a request names as items it means: SKUs to ids, each that is not there refused with its place."""

from __future__ import annotations

from collections.abc import Sequence

from app.catalog.items import find_items
from app.core.db import Session
from app.core.errors import NotFound


def find_ids(session: Session, skus: Sequence[str], where: str = "") -> dict[str, int]:
    """Ids by SKU; raises NotFound at the first that is not there (or is another merchant's: nobody can tell)."""
    found = find_items(session, sorted(set(skus)))
    for number, sku in enumerate(skus):
        if sku not in found:
            raise NotFound("unknown_sku", "no item has that SKU", where=f"{where}.{number}.sku" if where else "sku")
    return found
