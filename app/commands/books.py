"""Looking at the books: whether the ledger keeps its promises, and where a shown number comes from."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands.frame import add_command, add_merchant, chosen_merchants, with_merchant, with_runtime
from app.core.config import Settings
from app.core.db import Session
from app.core.runtime import Runtime
from app.ledger.seal import find_head
from app.ledger.verify import verify
from app.publishing.whatif import read_suppose
from app.wiring import find_connectors


def add(commands: Any) -> None:
    """verify, why."""
    add_merchant(add_command(commands, "verify", run_verify, "check the ledger's promises on the live data"))
    why = add_merchant(
        add_command(commands, "why", run_why, "say where a shown number comes from, down to the movements")
    )
    why.add_argument("sku")
    why.add_argument("--channel", help="only this channel, by name")
    why.add_argument(
        "--if", dest="suppose", action="append", default=[], metavar="FIELD=VALUE",
        help="what it would show with another rule: buffer, buffer-percent, oversell, min, max, locations; repeatable",
    )  # fmt: skip
    why.add_argument("--json", action="store_true", help="the whole tree as one JSON object")


def run_verify(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when every promise holds for the merchant, or for all of them."""

    def check(runtime: Runtime) -> int:
        now = runtime.clock()
        faults = 0
        for merchant in chosen_merchants(runtime, now, arguments.merchant):
            with runtime.begin(merchant.merchant_id, now) as session:
                findings, head = verify(session), find_head(session)
            faults += len(findings)
            for finding in findings:
                print(f"{merchant.name}: {finding.check}: item {finding.item_id} {finding.place}")
            if not findings:
                print(f"{merchant.name}: ok")
            if head is not None:
                print(f"{merchant.name}: sealed to posting {head.last_id}, {head.hash}")
        return 1 if faults else 0

    return with_runtime(settings, check)


def run_why(arguments: argparse.Namespace, settings: Settings) -> int:
    """The tree behind a shown number; with `--if` also as it would be by another rule, of which nothing is written."""
    from app.publishing import why, why_text

    modes = {platform: connector.abilities.write_mode for platform, connector in find_connectors(settings).items()}

    def explain(session: Session) -> int:
        suppose = read_suppose(arguments.suppose, modes) if arguments.suppose else None
        answer = why.run(session, arguments.sku, arguments.channel, suppose)
        print(why_text.as_json(answer) if arguments.json else why_text.as_text(answer))
        return 0

    return with_merchant(arguments, settings, explain)
