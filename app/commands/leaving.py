"""Taking leave of a shop: disconnect it, and erase what tells of it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app.accounts.merchants import get_merchant
from app.commands.frame import add_command, add_merchant, with_runtime
from app.core.config import Settings
from app.core.runtime import Runtime
from app.inbox.erase import erase_left
from app.insight import words
from app.listings.leaving import leave
from app.listings.lookup import get_channel_id

BY = "command line"


def add(channel: Any) -> None:
    """channel disconnect, erase."""
    leaving = add_merchant(
        add_command(channel, "disconnect", run_disconnect, "forget its keys; it can be connected again")
    )
    leaving.add_argument("channel", help="its name")
    erasing = add_merchant(
        add_command(
            channel, "erase", run_erase, "erase what tells of a disconnected shop; the books keep units and cost"
        )
    )
    erasing.add_argument("channel", help="its name")
    erasing.add_argument("--yes", action="store_true", help="really: nobody can take it back")


def run_disconnect(arguments: argparse.Namespace, settings: Settings) -> int:
    """Its webhooks are taken back; 1 when the shop could not be asked to, though it is disconnected all the same."""

    def act(runtime: Runtime) -> int:
        merchant_id, channel_id = _found(runtime, arguments)
        trouble = leave(runtime, merchant_id, channel_id, BY)
        print(f"{arguments.channel}: disconnected, its keys are forgotten")
        if trouble:
            said = f"{trouble}: {words.failure(trouble)}; delete the webhooks named Perpetual in the shop"
            print(said, file=sys.stderr)
        return 1 if trouble else 0

    return with_runtime(settings, act)


def run_erase(arguments: argparse.Namespace, settings: Settings) -> int:
    """Rows touched. Without `--yes` nothing is done."""

    def act(runtime: Runtime) -> int:
        merchant_id, channel_id = _found(runtime, arguments)
        if not arguments.yes:
            print("nothing was erased: nobody can take it back, so say it with --yes", file=sys.stderr)
            return 2
        rows = erase_left(runtime, merchant_id, channel_id, BY)
        print(f"{arguments.channel}: erased, {rows} rows; the books keep units, dates and cost")
        return 0

    return with_runtime(settings, act)


def _found(runtime: Runtime, arguments: argparse.Namespace) -> tuple[int, int]:
    now = runtime.clock()
    merchant_id = get_merchant(runtime.database, now, arguments.merchant).merchant_id
    with runtime.begin(merchant_id, now) as session:
        return merchant_id, get_channel_id(session, arguments.channel)
