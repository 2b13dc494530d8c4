"""Listings: what the channels sell, which of our items that is, and by which rule its number is shown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from app.accounts.merchants import get_merchant
from app.commands.frame import add_command, add_group, add_merchant, with_runtime
from app.core.config import Settings
from app.core.db import Session
from app.core.errors import NotFound
from app.core.runtime import Runtime
from app.insight.listings import ListingView, Number, Wanted, get_view, list_listings
from app.insight.words import UNMAPPED
from app.listings.catalogue import map_listing, unmap_listing
from app.listings.lookup import Listing, find_one, get_channel_id, get_item_or_nearest, get_listing
from app.listings.rules import Change, Owner, owners_of, set_rule, split_names
from app.publishing.demand import refresh_buffers

PAGE_ROWS = 500
NOTHING = "-"
_HEAD = ("CHANNEL", "KEY", "SKU", "TITLE", "ITEM", "RULE", "SHOWS", "SHOULD SHOW")
_ONE = "the listing's key or its SKU on the channel"


def add(commands: Any) -> None:
    """listing list, map, unmap, rule."""
    listing = add_group(commands, "listing", "what the channels sell, which items that is, and what they show")
    everything = add_merchant(add_command(listing, "list", run_list, "the listings with their item, rule and number"))
    everything.add_argument("--channel", help="only this channel, by name")
    everything.add_argument("--unmapped", action="store_true", help="only those that are no item yet")
    everything.add_argument("--json", action="store_true", help="one JSON object a line")
    mapping = _add_one(listing, "map", run_map, "say which item a listing is: orders that wait for it are booked")
    mapping.add_argument("item", metavar="ITEM_SKU")
    _add_one(listing, "unmap", run_unmap, "say that a listing is none of the items: its number is written no more")
    rule = _add_one(listing, "rule", run_rule, "show or change how much of the stock a listing shows")
    rule.add_argument("--buffer", type=int, metavar="N", help="units held back")
    rule.add_argument("--buffer-percent", type=int, metavar="P", help="percent held back, rounded up to units")
    rule.add_argument(
        "--oversell", type=_chance_or_none, metavar="P",
        help="while stock is low, hold back what keeps the chance of overselling at P (0.001); none: --buffer counts",
    )  # fmt: skip
    rule.add_argument("--min", type=int, metavar="N", help="never show less")
    rule.add_argument("--max", type=_whole_or_none, metavar="N", help="never show more; none: no such bound")
    rule.add_argument("--locations", metavar="A,B", help="only these of the locations that feed it; all: all of them")
    rule.add_argument("--at", metavar="LOCATION", help="where the channel has places: only the number at this one")


def _add_one(listing: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser = add_merchant(add_command(listing, name, run, help_text))
    parser.add_argument("channel", help="the channel's name")
    parser.add_argument("listing", metavar="KEY_OR_SKU", help=_ONE)
    parser.add_argument("--by", choices=("key", "sku"), help="which of the two is meant, where both fit")
    return parser


def _whole_or_none(text: str) -> int | str:
    if text == "none":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a whole number, or none") from None


def _chance_or_none(text: str) -> Decimal | str:
    try:
        return text if text == "none" else Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError("a chance like 0.001, or none") from None


def run_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """A line for each number of each listing; page by page, however many there are."""

    def show(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        channel_id = None
        if arguments.channel is not None:
            with runtime.begin(merchant.merchant_id, now) as session:
                channel_id = get_channel_id(session, arguments.channel)
        if not arguments.json:
            print("\t".join(_HEAD))
        for view in _stream(runtime, merchant.merchant_id, Wanted(channel_id, arguments.unmapped)):
            print(json.dumps(_as_json(view)) if arguments.json else _as_text(view))
        return 0

    return with_runtime(settings, show)


def _stream(runtime: Runtime, merchant_id: int, wanted: Wanted) -> Iterator[ListingView]:
    """Each page in a transaction of its own: nothing is held while the lines are read."""
    after: int | None = None
    while True:
        with runtime.begin(merchant_id, runtime.clock()) as session:
            page = list_listings(session, replace(wanted, after=after), rows_max=PAGE_ROWS)
        yield from page.rows
        if page.next_after is None:
            return
        after = page.next_after


def run_map(arguments: argparse.Namespace, settings: Settings) -> int:
    """The listing as it is then; orders that waited for it are open again."""

    def act(session: Session, listing: Listing) -> None:
        item = get_item_or_nearest(session, arguments.item)
        map_listing(session, listing.channel_id, listing.listing_key, item.item_id)

    return _change(arguments, settings, act)


def run_unmap(arguments: argparse.Namespace, settings: Settings) -> int:
    """The listing as it is then."""
    return _change(arguments, settings, lambda session, one: unmap_listing(session, one.channel_id, one.listing_key))


def run_rule(arguments: argparse.Namespace, settings: Settings) -> int:
    """The listing as it is then; without options, as it is."""

    def act(session: Session, listing: Listing) -> None:
        owners = _at(owners_of(session, listing), arguments.at)
        change = _asked(arguments, owners)
        if change:
            set_rule(session, owners, change)

    return _change(arguments, settings, act)


def _change(arguments: argparse.Namespace, settings: Settings, act: Callable[[Session, Listing], None]) -> int:
    """Find the listing, act on it in one transaction, work out its buffer, wake the workers, and show it."""

    def change(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            channel_id = get_channel_id(session, arguments.channel)
            listing = find_one(session, channel_id, arguments.listing, by=arguments.by)
            act(session, listing)
        refresh_buffers(runtime, merchant.merchant_id)
        with runtime.begin(merchant.merchant_id, now) as session:
            view = get_view(session, get_listing(session, listing.listing_id))
        runtime.ring()
        print("\t".join(_HEAD))
        print(_as_text(view))
        if view.shared:
            print("Other listings of other items carry the same number there, so nothing is written to it.")
        return 0

    return with_runtime(settings, change)


def _at(owners: Sequence[Owner], place: str | None) -> Sequence[Owner]:
    if place is None:
        return owners
    chosen = [owner for owner in owners if place in owner.feeding.values()]
    if not chosen:
        names = ", ".join(sorted({name for owner in owners for name in owner.feeding.values()}))
        raise NotFound("unknown_location", f"no number of the listing is fed by it; there is {names}", where="at")
    return chosen


def _asked(arguments: argparse.Namespace, owners: Sequence[Owner]) -> Change:
    change: Change = {}
    if arguments.buffer is not None:
        change["buffer"] = arguments.buffer
    if arguments.buffer_percent is not None:
        change["buffer_percent"] = arguments.buffer_percent
    if arguments.oversell is not None:
        change["oversell_target"] = None if arguments.oversell == "none" else arguments.oversell
    if arguments.min is not None:
        change["shown_min"] = arguments.min
    if arguments.max is not None:
        change["shown_max"] = None if arguments.max == "none" else arguments.max
    if arguments.locations is not None:
        change["locations"] = None if arguments.locations == "all" else split_names(arguments.locations, owners)
    return change


def _as_text(view: ListingView) -> str:
    """A line for each number, one at least; columns by tab."""
    return "\n".join(_line(view, number) for number in view.numbers) or _line(view, None)


def _line(view: ListingView, number: Number | None) -> str:
    one = view.listing
    cells = [view.channel, one.listing_key, one.sku or NOTHING, one.title, view.item_sku or _unmapped(one)]
    if number is None:
        cells += [NOTHING] * 3
    else:
        shown, target = number.owner.believed, number.target
        cells += [rule_text(number.owner), _or_nothing(shown), _or_nothing(target)]
    return "\t".join("".join(c if c.isprintable() else "�" for c in cell) for cell in cells)


def _unmapped(one: Listing) -> str:
    return "gone from the shop" if one.gone else UNMAPPED[one.why_unmapped].lower()


def _or_nothing(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def rule_text(owner: Owner) -> str:
    """A rule in words; `everything` where nothing is held back or bounded."""
    parts = [f"buffer {owner.buffer}"] if owner.buffer else []
    parts += [f"buffer {owner.buffer_percent}%"] if owner.buffer_percent else []
    if owner.oversell_target is not None:
        parts = [f"oversell {owner.oversell_target.normalize():f}"]
    parts += [f"min {owner.shown_min}"] if owner.shown_min else []
    parts += [f"max {owner.shown_max}"] if owner.shown_max is not None else []
    parts += [f"from {', '.join(owner.location_names)}"] if owner.location_names is not None else []
    place = f"{', '.join(owner.feeding.values()) or owner.location_key}: " if owner.location_key else ""
    return place + (", ".join(parts) or "everything")


def _as_json(view: ListingView) -> dict[str, Any]:
    one = view.listing
    return {
        "channel": view.channel, "key": one.listing_key, "sku": one.sku, "title": one.title, "item": view.item_sku,
        "left_out": one.left_out, "gone": one.gone,
        "why_unmapped": one.why_unmapped if one.item_id is None else None,
        "numbers": [_number_json(number) for number in view.numbers],
    }  # fmt: skip


def _number_json(number: Number) -> dict[str, Any]:
    owner = number.owner
    return {
        "location_key": owner.location_key, "state": owner.state, "shown": owner.believed, "target": number.target,
        "buffer": owner.buffer, "buffer_percent": owner.buffer_percent,
        "oversell": None if owner.oversell_target is None else float(owner.oversell_target),
        "min": owner.shown_min, "max": owner.shown_max,
        "locations": list(owner.location_names or owner.feeding.values()),
    }  # fmt: skip
