"""Items and kits: listed, searched, made, changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from app.accounts import audit
from app.catalog.barcodes import has_wrong_check_digit
from app.catalog.items import (
    NewItem,
    change_item,
    create_items,
    create_kit,
    find_items,
    get_item_by_id,
    list_components,
    lock_item,
)
from app.catalog.kits import COMPONENTS_MAX, UNITS_MAX, change_components
from app.core.db import Session
from app.core.errors import InvalidInput
from app.insight.items import ItemRow, get_item_row
from app.insight.items import list_items as list_rows
from app.web.api.call import Call, Reply
from app.web.api.fields import Amount, In, Name, Out, Paged, Search, Sku
from app.web.api.lines import find_ids
from app.web.api.route import PREFIX, Route
from app.web.api.table import serves

Barcode = Annotated[Name, Field(max_length=100)]


class ItemsAsked(Paged):
    """`q` is contained in SKU, name or barcode; `sku` is the whole of it."""

    q: Search = ""
    sku: Sku | None = None
    sort: Literal["sku", "-sku", "name", "-name"] = "sku"


class ComponentIn(In):
    """So many of an item in one unit of a kit."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=UNITS_MAX)]


class ItemIn(In):
    """An item; with `components` it is a kit, which has no stock of its own."""

    sku: Sku
    name: Name
    barcode: Barcode | None = None
    components: Annotated[list[ComponentIn], Field(default_factory=list, max_length=COMPONENTS_MAX)]


class ItemChange(In):
    """What is not named stays; a barcode of null is none. `components` are all that a kit is made of, and stay once it
    was sold."""

    name: Name | None = None
    barcode: Barcode | None = None
    components: Annotated[list[ComponentIn] | None, Field(min_length=1, max_length=COMPONENTS_MAX)] = None


class ComponentOut(Out):
    """So many of an item in one unit of a kit."""

    item_id: int
    sku: str
    quantity: int


class ItemOut(Out):
    """An item. It says nothing of stock, so that its ETag is another only when somebody changed it. `warnings`: what is
    taken as it is and was probably mistyped."""

    item_id: int
    sku: str
    name: str
    barcode: str | None
    kind: str
    components: list[ComponentOut]
    warnings: list[Literal["barcode_check_digit"]]


class ItemListed(Out):
    """An item with its units over all places; of a kit, what its scarcest component allows. `value` is what they are
    worth at cost, null for a key without `reports:read`."""

    item_id: int
    sku: str
    name: str
    barcode: str | None
    kind: Literal["stock", "kit"]
    available: int
    committed: int
    on_hand: int
    value: Amount | None


class ItemsOut(Out):
    """A page of items."""

    data: list[ItemListed]
    next_cursor: str | None


@serves(Route("GET", "/items", ItemsOut, "List and search items", "items:read", query=ItemsAsked))
def list_items(call: Call) -> ItemsOut:
    """A page of items."""
    asked: ItemsAsked = call.query
    if asked.sku is not None:
        return ItemsOut(data=_listed(call, _exactly(call.session, asked.sku)), next_cursor=None)
    page = list_rows(call.session, search=asked.q, sort=asked.sort, cursor=call.position(), rows_max=asked.limit)
    following = None if page.next_cursor is None else call.cursors.make(page.next_cursor)
    return ItemsOut(data=_listed(call, page.rows), next_cursor=following)


def _exactly(session: Session, sku: str) -> list[ItemRow]:
    return [get_item_row(session, item_id) for item_id in find_items(session, [sku]).values()]


def _listed(call: Call, rows: Sequence[ItemRow]) -> list[ItemListed]:
    """A till's key that reads items learns no costs."""
    listed = [ItemListed.model_validate(row) for row in rows]
    return listed if call.sees_costs() else [one.model_copy(update={"value": None}) for one in listed]


@serves(Route("POST", "/items", ItemOut, "Make an item or a kit", "items:write", body=ItemIn, status=201,
              versioned=True, refuses=(404,)))  # fmt: skip
def make_item(call: Call) -> Reply:
    """Make an item, or a kit of items that are there."""
    told: ItemIn = call.body
    new = NewItem(told.sku, told.name, told.barcode)
    if told.components:
        item_id = create_kit(call.session, new, _components(call.session, told.components))
    else:
        item_id = create_items(call.session, [new])[new.sku]
    audit.note(call.session, None, "item.created", f"item {new.sku}", after={"name": new.name, "barcode": new.barcode})
    return Reply(_read(call.session, item_id), location=f"{PREFIX}/items/{item_id}")


def _components(session: Session, told: list[ComponentIn]) -> dict[int, int]:
    skus = [component.sku for component in told]
    if len(set(skus)) < len(skus):
        raise InvalidInput("repeated", "name each component once", where="components")
    ids = find_ids(session, skus, "components")
    return {ids[component.sku]: component.quantity for component in told}


@serves(Route("GET", "/items/{item_id}", ItemOut, "One item", "items:read", versioned=True))
def get_item(call: Call) -> ItemOut:
    """One item."""
    return _read(call.session, call.path["item_id"])


@serves(Route("PATCH", "/items/{item_id}", ItemOut, "Change an item's name, barcode or components", "items:write",
              body=ItemChange, versioned=True))  # fmt: skip
def patch_item(call: Call) -> ItemOut:
    """Change an item that is still what the caller read."""
    item_id, change = call.path["item_id"], call.body
    lock_item(call.session, item_id)
    current = _read(call.session, item_id)
    call.check_version(current)
    for field, says in (("name", "an item has a name"), ("components", "a kit has components")):
        if field in change.model_fields_set and getattr(change, field) is None:
            raise InvalidInput("invalid", says, where=field)
    barcode = change.barcode if "barcode" in change.model_fields_set else current.barcode
    item = get_item_by_id(call.session, item_id)
    if change.components is not None:
        change_components(call.session, item, _components(call.session, change.components))
    if change.model_fields_set & {"name", "barcode"}:
        change_item(call.session, item, name=change.name or current.name, barcode=barcode)
    return _read(call.session, item_id)


def _read(session: Session, item_id: int) -> ItemOut:
    item = get_item_by_id(session, item_id)
    parts = [ComponentOut.model_validate(part) for part in list_components(session, item_id)]
    mistyped = item.barcode is not None and has_wrong_check_digit(item.barcode)
    return ItemOut(
        item_id=item.item_id, sku=item.sku, name=item.name, barcode=item.barcode, kind=item.kind, components=parts,
        warnings=["barcode_check_digit"] if mistyped else [],
    )  # fmt: skip
