"""The catalogue: items with their opening stock and cost come in from a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.accounts.merchants import get_merchant
from app.commands.frame import add_command, add_group, add_merchant, with_runtime
from app.core.config import Settings
from app.core.runtime import Runtime
from app.ledger import opening
from app.listings.catalogue import match_by_sku
from app.listings.matching import propose_again


def add(commands: Any) -> None:
    """items import."""
    items = add_group(commands, "items", "the catalogue")
    importing = add_merchant(
        add_command(items, "import", run_items_import, "items with opening stock and cost from a CSV")
    )
    importing.add_argument("file", type=Path)
    importing.add_argument("--preview", action="store_true", help="say what would happen and write nothing")


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
