"""Items: what the merchant stocks, by SKU. A kit is an item that is only ever its components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.accounts import audit
from app.core.db import ConstraintViolated, Session
from app.core.errors import Conflict, InvalidInput, NotFound

SKU_MAX = 200
NAME_MAX = 500
_FIRST_PRINTABLE = " "


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to create."""

    sku: str
    name: str
    barcode: str | None = None
    kind: str = "stock"


@dataclass(frozen=True, slots=True)
class Item:
    """An item as stored."""

    item_id: int
    sku: str
    name: str
    barcode: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Component:
    """So many of an item in one unit of a kit."""

    item_id: int
    sku: str
    quantity: int


def check_sku(sku: str) -> None:
    """Refuse an empty, overlong or unprintable SKU; raises InvalidInput."""
    if not 1 <= len(sku) <= SKU_MAX:
        raise InvalidInput("bad_sku", f"1 to {SKU_MAX} characters", where="sku")
    if sku != sku.strip() or not sku.isprintable():
        raise InvalidInput("bad_sku", "no blanks at the ends and no control characters", where="sku")


def create_items(session: Session, items: Sequence[NewItem]) -> dict[str, int]:
    """Create items in one statement; their ids by SKU. Raises Conflict for a SKU taken, InvalidInput by field."""
    for item in items:
        check_sku(item.sku)
        if len(item.name) > NAME_MAX:
            raise InvalidInput("bad_name", f"at most {NAME_MAX} characters", where="name")
    try:
        rows = session.rows(
            """insert into item (merchant_id, item_id, sku, name, barcode, kind, created_at)
               select %(merchant_id)s, nextval('item_seq'), i.*, %(now)s
               from unnest(%(skus)s::text[], %(names)s::text[], %(barcodes)s::text[], %(kinds)s::text[]) i
               returning sku, item_id""",
            now=session.now,
            skus=[i.sku for i in items],
            names=[i.name for i in items],
            barcodes=[i.barcode for i in items],
            kinds=[i.kind for i in items],
        )
    except ConstraintViolated as error:
        raise Conflict("sku_taken", "an item with one of these SKUs exists") from error
    return {row.sku: row.item_id for row in rows}


def find_items(session: Session, skus: Iterable[str]) -> dict[str, int]:
    """Ids of those SKUs that exist."""
    rows = session.rows(
        "select sku, item_id from item where merchant_id = %(merchant_id)s and sku = any(%(skus)s)", skus=list(skus)
    )
    return {row.sku: row.item_id for row in rows}


def get_item(session: Session, sku: str) -> Item:
    """The item with that SKU; raises NotFound."""
    row = session.row(
        "select item_id, sku, name, barcode, kind from item where merchant_id = %(merchant_id)s and sku = %(sku)s",
        sku=sku,
    )
    if row is None:
        raise NotFound("unknown_sku", "no item has that SKU")
    return Item(*row)


def get_item_by_id(session: Session, item_id: int) -> Item:
    """The item with that id; raises NotFound, also for another merchant's."""
    row = session.row(
        "select item_id, sku, name, barcode, kind from item where merchant_id = %(merchant_id)s and item_id = %(id)s",
        id=item_id,
    )
    if row is None:
        raise NotFound("unknown_item", "no such item")
    return Item(*row)


def lock_item(session: Session, item_id: int) -> None:
    """Nobody changes the item until the transaction ends; an item that is not there is nobody's to change."""
    session.rows(
        "select from item where merchant_id = %(merchant_id)s and item_id = %(id)s for no key update", id=item_id
    )


def change_item(session: Session, item: Item, *, name: str, barcode: str | None) -> None:
    """Another name and barcode of an item that is locked; the SKU stays what channels know. Raises InvalidInput."""
    if len(name) > NAME_MAX:
        raise InvalidInput("bad_name", f"at most {NAME_MAX} characters", where="name")
    session.run(
        """update item set name = %(name)s, barcode = %(barcode)s
           where merchant_id = %(merchant_id)s and item_id = %(id)s""",
        id=item.item_id, name=name, barcode=barcode,
    )  # fmt: skip
    before, after = {"name": item.name, "barcode": item.barcode}, {"name": name, "barcode": barcode}
    audit.note(session, None, "item.changed", f"item {item.sku}", before=before, after=after)


def list_kits(session: Session, item_ids: Sequence[int]) -> set[int]:
    """Which of these items are kits."""
    rows = session.rows(
        """select item_id from item where merchant_id = %(merchant_id)s and item_id = any(%(ids)s::bigint[])
           and kind = 'kit'""",
        ids=list(item_ids),
    )
    return {row.item_id for row in rows}


def list_components(session: Session, kit_id: int) -> Sequence[Component]:
    """What one unit of a kit is made of, by SKU; nothing for any other item."""
    rows = session.rows(
        """select i.item_id, i.sku, k.quantity from kit_component k
           join item i on i.merchant_id = k.merchant_id and i.item_id = k.component_item_id
           where k.merchant_id = %(merchant_id)s and k.kit_item_id = %(kit)s order by i.sku""",
        kit=kit_id,
    )
    return [Component(*row) for row in rows]


def create_kit(session: Session, kit: NewItem, components: dict[int, int]) -> int:
    """A kit of component item id → quantity; returns its id. A component that is a kit itself is refused: list what is
    in it instead, so that kits can't go round in a circle."""
    if not components:
        raise InvalidInput("empty_kit", "a kit needs components", where="components")
    kit_id = create_items(session, [NewItem(kit.sku, kit.name, kit.barcode, "kit")])[kit.sku]
    set_components(session, kit_id, components)
    return kit_id


def set_components(session: Session, kit_id: int, components: dict[int, int]) -> None:
    """Write a kit's components; raises InvalidInput (`kit_cycle`) for a kit of itself, NotFound for an unknown item.
    No component may be a kit, so no chain of kits can come back to where it began."""
    nested = session.rows(
        """select sku, item_id = %(kit)s as itself from item
           where merchant_id = %(merchant_id)s and item_id = any(%(ids)s) and kind = 'kit' order by itself desc, sku""",
        ids=list(components),
        kit=kit_id,
    )
    if nested and nested[0].itself:
        circle = f"{nested[0].sku} > {nested[0].sku}"
        raise InvalidInput("kit_cycle", f"a kit can't contain itself: {circle}", where="components")
    if nested:
        raise InvalidInput("kit_in_kit", f"{nested[0].sku} is a kit: list its components instead", where="components")
    try:
        session.run(
            """insert into kit_component (merchant_id, kit_item_id, component_item_id, quantity)
               select %(merchant_id)s, %(kit)s, c.* from unnest(%(ids)s::bigint[], %(quantities)s::bigint[]) c""",
            kit=kit_id,
            ids=list(components),
            quantities=list(components.values()),
        )
    except ConstraintViolated as error:
        if error.name == "kit_of_itself":
            raise InvalidInput("kit_cycle", "a kit can't contain itself", where="components") from error
        raise NotFound("unknown_item", "no such component") from error
