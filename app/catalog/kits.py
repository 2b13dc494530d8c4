"""What kits are made of: read as people write it, and changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from app.accounts import audit
from app.catalog.items import Item, check_sku, list_components, set_components
from app.core.db import Session
from app.core.errors import Conflict, InvalidInput
from app.core.figures import read_quantity

COMPONENTS_MAX = 100
UNITS_MAX = 1_000_000  # of one component in one unit of a kit
_UNITS = re.compile(r"(.+?)\s+[xX×]\s?([0-9]+)")


def read_components(text: str) -> dict[str, int]:
    """`MUG x2; BOWL` as units by SKU. Raises InvalidInput."""
    parts = [part.strip() for part in text.split(";")]
    components: dict[str, int] = {}
    for part in filter(None, parts):
        counted = _UNITS.fullmatch(part)
        sku, units = (counted[1], read_quantity(counted[2], minimum=1, maximum=UNITS_MAX)) if counted else (part, 1)
        check_sku(sku)
        if sku in components:
            raise InvalidInput("repeated", "name each component once, such as MUG x2")
        components[sku] = units
    if len(components) > COMPONENTS_MAX:
        raise InvalidInput("too_many_components", f"at most {COMPONENTS_MAX} components")
    return components


def add_components(session: Session, kits: Mapping[int, Mapping[int, int]]) -> None:
    """Components of kits that have none, by kit, as they were compared with what is there."""
    rows = [(kit, item, units) for kit, components in kits.items() for item, units in components.items()]
    session.run(
        """insert into kit_component (merchant_id, kit_item_id, component_item_id, quantity)
           select %(merchant_id)s, c.* from unnest(%(kits)s::bigint[], %(items)s::bigint[], %(units)s::bigint[]) c""",
        kits=[kit for kit, _, _ in rows], items=[item for _, item, _ in rows], units=[units for _, _, units in rows],
    )  # fmt: skip


def change_components(session: Session, kit: Item, components: dict[int, int]) -> None:
    """Other components of a kit that is locked. An order is booked by what its kits are made of, also when it changes:
    once a kit was sold its components stay (Conflict `kit_sold`), unless it had none."""
    if kit.kind != "kit":
        raise InvalidInput("not_a_kit", "only a kit has components", where="components")
    if not components:
        raise InvalidInput("empty_kit", "a kit needs components", where="components")
    before = list_components(session, kit.item_id)
    if {part.item_id: part.quantity for part in before} == components:
        return
    if before and _was_sold(session, kit.item_id):
        detail = "orders of this kit are booked by its components: make a new kit of the others"
        raise Conflict("kit_sold", detail, where="components")
    session.run(
        "delete from kit_component where merchant_id = %(merchant_id)s and kit_item_id = %(kit)s", kit=kit.item_id
    )
    set_components(session, kit.item_id, components)
    after = list_components(session, kit.item_id)
    told = [{"components": {part.sku: part.quantity for part in parts}} for parts in (before, after)]
    audit.note(session, None, "kit.changed", f"item {kit.sku}", before=told[0], after=told[1])


def _was_sold(session: Session, kit_id: int) -> bool:
    sold: bool = session.value(
        "select exists (select from order_line where merchant_id = %(merchant_id)s and item_id = %(kit)s)", kit=kit_id
    )
    return sold


def components_by_kit(session: Session, skus: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of those SKUs that are kits with components: units by component's SKU, by kit."""
    kits: dict[str, dict[str, int]] = {}
    for row in session.rows(
        """select i.sku as kit, c.sku, k.quantity from item i
           join kit_component k on k.merchant_id = i.merchant_id and k.kit_item_id = i.item_id
           join item c on c.merchant_id = i.merchant_id and c.item_id = k.component_item_id
           where i.merchant_id = %(merchant_id)s and i.sku = any(%(skus)s)""",
        skus=list(skus),
    ):
        kits.setdefault(row.kit, {})[row.sku] = row.quantity
    return kits
