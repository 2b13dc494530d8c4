"""Products that are one thing in several languages: a family, of which one number is read and written.

WooCommerce Multilingual (WPML) and Polylang for WooCommerce keep a product for each language and copy a number that
changed to all others by themselves: written to each, a change would count as often as there are languages. A body's
`translations` say which product is which: `{"en": 7, "fr": 8}`. WPML's own id is among them or not, by its version
(WCML\\Rest\\Wrapper\\Products\\Products::prepare, and append_product_language_and_translations before that, for
variations as well), Polylang's always is (polylang.pro/doc/rest-api; all read 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.errors import Malformed
from connectors.woocommerce import fields
from connectors.woocommerce.api import Api, Params, chunks
from connectors.woocommerce.fields import Node

LANGUAGES_MAX = 200


@dataclass(frozen=True, slots=True)
class Product:
    """What is kept of a product for its variations and its relatives."""

    title: str
    family: tuple[int, ...]
    variations: frozenset[int]


def family(row: Node) -> tuple[int, ...]:
    """A product or variation and its translations, the oldest first. What names none is alone (`[]` on the wire), and
    so is what names them in a way that nobody can read."""
    own = fields.key(row.get("id"), "product.id")
    told = row.get("translations")
    named = told.values() if isinstance(told, Mapping) and len(told) <= LANGUAGES_MAX else ()
    return tuple(sorted({own, *filter(None, map(_id, named))}))


def _id(value: object) -> int:
    """0 for what is none; ids come as text too."""
    try:
        return fields.key(value, "translations")
    except Malformed:
        return 0


def has_variations(row: Node) -> bool:
    """Whether it is sold by its variations only."""
    return bool(row.get("variations")) or str(row.get("type", "")).startswith("variable")


def title(row: Node) -> str:
    """A product's name, cut where it is endless."""
    return str(row.get("name") or "")[: fields.TEXT_MAX]


def by_id(api: Api, path: str, ids: Sequence[str]) -> list[Node]:
    """The rows of a listing that have these ids, whatever their status but the trash; ids that are none are not asked
    for, since one of them would have the whole call refused."""
    known = [key for key in ids if key.isascii() and key.isdecimal()]
    asked: Params = {"status": "any", "per_page": 100, "orderby": "id"}
    return [row for chunk in chunks(known) for row in api.listed(path, {"include": ",".join(chunk), **asked})]


class Families:
    """The products that a reading came by, as far as others need them: those with variations, and those with
    relatives. A relative that it did not come by is asked for; one in the trash is none."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[int, Product | None] = {}

    def learn(self, rows: Sequence[Node]) -> None:
        """Rows of a product listing."""
        self._known.update((_own(row), _product(row)) for row in rows if has_variations(row) or len(family(row)) > 1)
        self.look_up(one for row in rows for one in family(row) if one < _own(row))

    def look_up(self, ids: Iterable[int]) -> None:
        """Ask for those that nothing is known of."""
        missing = sorted(set(ids) - self._known.keys())
        if missing:
            rows = by_id(self._api, "products", list(map(str, missing)))
            self._known.update(dict.fromkeys(missing))
            self._known.update((_own(row), _product(row)) for row in rows)
            self.learn(rows)

    def find(self, product: int) -> Product | None:
        """None for one that is not there, or that nobody needed."""
        return self._known.get(product)

    def stock_key(self, row: Node, parent: int) -> str:
        """Where the number of a product, or of a variation of `parent`, is kept: at the oldest of its family that is
        there and says so too. A variation shares only where that product has one of its own family."""
        if not parent:
            return str(self._oldest(_own(row), family(row)))
        kept = self.find(parent)
        oldest = self._oldest(parent, kept.family if kept else ())
        if row.get("manage_stock") == "parent":
            return str(oldest)
        other = self.find(oldest) if oldest != parent else None
        shared = [one for one in family(row) if other is not None and one in other.variations]
        return f"{oldest}/{shared[0]}" if shared else f"{parent}/{_own(row)}"

    def _oldest(self, own: int, relatives: Sequence[int]) -> int:
        return next((one for one in relatives if one < own and self._is_of_family(one, own)), own)

    def _is_of_family(self, one: int, own: int) -> bool:
        product = self.find(one)
        return product is not None and own in product.family


def _own(row: Node) -> int:
    return fields.key(row.get("id"), "product.id")


def _product(row: Node) -> Product:
    """Which variations it has matters to its relatives only."""
    variations = row.get("variations") if len(family(row)) > 1 else None
    ids = map(_id, variations) if isinstance(variations, list) else ()
    return Product(title(row), family(row), frozenset(ids))
