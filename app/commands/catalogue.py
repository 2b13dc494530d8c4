"""The catalogue: items with their opening stock and cost come in from a file; what a kit is made of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.accounts.merchants import get_merchant
from app.catalog.items import find_items, get_item, lock_item
from app.catalog.kits import UNITS_MAX, change_components
from app.commands.frame import add_command, add_group, add_merchant, with_merchant, with_runtime
from app.core.config import Settings
from app.core.db import Session
from app.core.errors import NotFound
from app.core.figures import read_quantity
from app.core.runtime import Runtime
from app.ledger import opening
from app.listings.catalogue import match_by_sku
from app.listings.matching import propose_again


def add(commands: Any) -> None:
    """items import and kit."""
    items = add_group(commands, "items", "the catalogue")
    importing = add_merchant(
        add_command(items, "import", run_items_import, "items with opening stock and cost from a CSV")
    )
    importing.add_argument("file", type=Path)
    importing.add_argument("--preview", action="store_true", help="say what would happen and write nothing")
    kit = add_merchant(add_command(items, "kit", run_items_kit, "what a kit is made of, until it was sold"))
    kit.add_argument("sku", help="the kit's SKU")
    kit.add_argument("components", nargs="+", metavar="COMPONENT=UNITS", help="all of them, such as MUG=2 BOWL=1")


def run_items_import(arguments: argparse.Namespace, settings: Settings) -> int:
    """All of the file or nothing; 1 with every fault's place when it has some."""

    def bring_in(runtime: Runtime) -> int:
        now, data = runtime.clock(), arguments.file.read_bytes()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            plan = opening.preview(session, data)
            for fault in plan.faults:
                print(fault.as_fault())
            if plan.faults or arguments.preview:
                print(f"{plan.items_new} new items, {plan.openings} opening stocks; nothing was written")
                return 1 if plan.faults else 0
            result = opening.commit_import(session, data, name=arguments.file.name)
            match_by_sku(session)
            propose_again(session)
        with runtime.database.across(now) as session:
            session.run("select refresh_statistics()")
        print(
            f"{result.items_created} new items, {result.openings} opening stocks, {result.repeated} were there already"
        )
        return 0

    return with_runtime(settings, bring_in)


def run_items_kit(arguments: argparse.Namespace, settings: Settings) -> int:
    """All components anew; a kit that came without any gets them."""

    def change(session: Session) -> int:
        units = dict(map(_component, arguments.components))
        kit = get_item(session, arguments.sku)
        lock_item(session, kit.item_id)
        known = find_items(session, units)
        if missing := [sku for sku in units if sku not in known]:
            raise NotFound("unknown_sku", f"no item has the SKU {', '.join(missing)}")
        change_components(session, kit, {known[sku]: count for sku, count in units.items()})
        print(f"{kit.sku} is made of {', '.join(f'{sku} x{count}' for sku, count in units.items())}.")
        return 0

    return with_merchant(arguments, settings, change)


def _component(text: str) -> tuple[str, int]:
    sku, separator, units = text.rpartition("=")
    if not separator:
        return text, 1
    return sku, read_quantity(units, minimum=1, maximum=UNITS_MAX)
