"""From a connected shop to its first numbers, on the command line: match its products, open the ledger, approve."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from app.commands.frame import add_command, add_merchant, with_merchant
from app.core.config import Settings
from app.core.db import Session
from app.core.errors import Conflict, NotFound
from app.core.table import write_table
from app.insight.first_push import COLUMNS, export_numbers, list_numbers
from app.insight.words import FIRST_PUSH, MATCHES
from app.listings import matching
from app.listings.lookup import get_channel_id
from app.listings.opening import choose, find_choice, open_from_shop, preview_opening
from app.publishing.first_push import FirstPush, NumbersMoved, approve, find_first_push, is_approved, lay_out

BY = "command line"
SHOWN_ROWS = 50


def add(channel: Any) -> None:
    """channel match, open-stock and first-push."""
    match = _add(channel, "match", run_match, "which items a shop's products are, and accepting what is proposed")
    kinds = ", ".join((*matching.CERTAIN, *matching.PROBABLE))
    match.add_argument("--accept", metavar="KINDS", help=f"accept all of these kinds, separated by commas: {kinds}")
    match.add_argument("--undo", type=int, metavar="BATCH", help="take an acceptance back")
    opening = _add(channel, "open-stock", run_open, "what taking the opening stock from a shop would do")
    opening.add_argument("--commit", action="store_true", help="do it: what the shop shows becomes the stock, once")
    first = _add(channel, "first-push", run_first_push, "the first numbers a shop would be sent, and approving them")
    first.add_argument("--approve", action="store_true", help="approve what was shown the last time, exactly that")
    first.add_argument("--zeros", action="store_true", help="also the numbers that fall to 0 because nobody counted")
    first.add_argument("--csv", type=Path, metavar="FILE", help="write all of it to a CSV")
    first.add_argument("--json", action="store_true", help="the counts and the digest as JSON")


def _add(channel: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser = add_merchant(add_command(channel, name, run, help_text))
    parser.add_argument("channel", help="its name")
    return parser


def run_match(arguments: argparse.Namespace, settings: Settings) -> int:
    """The proposals by kind; with --accept those kinds are mapped first."""

    def act(session: Session) -> int:
        channel_id = get_channel_id(session, arguments.channel)
        if arguments.undo is not None:
            if matching.get_batch(session, arguments.undo).channel_id != channel_id:
                raise NotFound("unknown_batch", "no such acceptance")
            unmapped, gone = matching.undo(session, arguments.undo)
            print(f"{unmapped} products are no items again, {gone} items are gone again")
        found = matching.propose(session, channel_id)
        if arguments.accept is not None:
            kinds = [kind.strip() for kind in arguments.accept.split(",")]
            batch = matching.accept(session, channel_id, kinds, listings=found.of(kinds)[0], by=BY)
            print(f"{batch.listings} products mapped, {batch.items} items made; take back with --undo {batch.batch_id}")
            found = matching.read_matching(session, channel_id)
        told = matching.count_by_state(session, channel_id)
        print(f"{told['mapped']} products are items, {told['open']} are not, {told['left_out']} were left out")
        for group in found.groups:
            print(f"{group.kind}\t{group.listings}\t{MATCHES[group.kind]}")
        return 0

    return with_merchant(arguments, settings, act)


def run_open(arguments: argparse.Namespace, settings: Settings) -> int:
    """What would be opened; with --commit it is."""

    def act(session: Session) -> int:
        channel_id = get_channel_id(session, arguments.channel)
        told = preview_opening(session, channel_id)
        print(f"{told.items.get('open', 0)} items with {told.units} units worth {told.value:.2f} would be opened")
        print(f"{told.without_cost} of them have no known cost: booked at 0 until it is known")
        print(f"{told.equal + told.differ} numbers are in the ledger already: {told.differ} of them differ")
        for sku, what, units in told.examples:
            print(f"  {sku}\t{what}\t{'-' if units is None else units}")
        if arguments.commit:
            if find_choice(session) is None:
                choose(session, "shop", channel_id, BY)
            items, units = open_from_shop(session, channel_id)
            print(f"opened: {items} items, {units} units")
        return 0

    return with_merchant(arguments, settings, act)


def run_first_push(arguments: argparse.Namespace, settings: Settings) -> int:
    """Shows, or approves what was shown; 1 when that is not true any more, and shows what is."""
    outcome = {"moved": 0}

    def yes(session: Session) -> int:
        channel_id = get_channel_id(session, arguments.channel)
        shown = find_first_push(session, channel_id)
        if shown is None:
            raise Conflict("not_laid_out", "nothing was shown yet: run it without --approve first")
        try:
            approve(session, channel_id, shown.digest, by=BY, zeros=arguments.zeros)
        except NumbersMoved as error:
            outcome["moved"] = error.moved
            return 1
        print(f"Approved. {arguments.channel} becomes active when its numbers and orders have been read.")
        return 0

    if arguments.approve and with_merchant(arguments, settings, yes) == 0:
        return 0
    return with_merchant(arguments, settings, lambda session: _show(session, arguments, outcome["moved"]))


def _show(session: Session, arguments: argparse.Namespace, moved: int) -> int:
    channel_id = get_channel_id(session, arguments.channel)
    if is_approved(session, channel_id):
        print(f"{arguments.channel}: its first numbers were approved already")
        return 0
    shown = lay_out(session, channel_id, moved=moved)
    if arguments.csv is not None:
        arguments.csv.write_bytes(write_table(COLUMNS, export_numbers(session, channel_id)))
    if arguments.json:
        print(orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
    else:
        print("\n".join(_lines(session, shown)))
    return 1 if moved else 0


def _lines(session: Session, shown: FirstPush) -> Iterator[str]:
    if shown.moved:
        yield f"{shown.moved} numbers have moved since they were shown. This is how it is now:"
    counts = {
        "up": shown.rises, "down": shown.falls, "zero": shown.zeros, "unknown": shown.unknown, "same": shown.same,
        "unread": shown.unread,
    }  # fmt: skip
    for kind, count in counts.items():
        if count:
            yield f"{count}\t{FIRST_PUSH[kind]}"
    changed = [row for kind in ("unknown", "zero", "down", "up") for row in list_numbers(
        session, shown.channel_id, kind=kind, rows_max=SHOWN_ROWS).rows]  # fmt: skip
    for row in changed[:SHOWN_ROWS]:
        place = f" at {row.location}" if row.location else ""
        yield "".join(c if c.isprintable() else "\ufffd" for c in f"  {row.sku}{place}: {row.shown} → {row.target}")
    yield "Nothing is written before it is approved: python -m app channel first-push CHANNEL --approve"
