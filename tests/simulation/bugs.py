"""Bugs of the sync protocol, each a change of the service's own text, to see that the simulator finds them.

Most are what the open connectors do to this day (docs/oversell-benchmark.md).
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import FunctionType

import pytest

from app.simulation.weather import CALM, Weather
from sandbox.faults import NONE

Change = tuple[str, str, str, str]  # module, name in it, text, what stands there instead

BUGS: Mapping[str, tuple[Change, ...]] = {
    "an answer that was lost is taken for a no": (
        ("app.publishing.push", "_unanswered", "_unknown(attempt, error.reason)",
         "[Unsent(row.key) for row in attempt.rows.values()]"),
    ),
    "what was not answered is sent again under a new key": (
        ("app.publishing.push", "_unanswered", "if connector.abilities.replays_by_key and", "if False and"),
        ("app.publishing.push", "_unanswered", "_unknown(attempt, error.reason)",
         "[Unsent(row.key) for row in attempt.rows.values()]"),
    ),
    "a channel's own orders do not move what it is believed to show": (
        ("app.inbox.process", "_belief_changes", "sign * held.taken", "0"),
    ),
    "an accepted write makes the belief its target, whatever orders came meanwhile": (
        ("app.publishing.attempts", "record",
         "belief.move(session, [belief.Move(owner, rows[owner].target - rows[owner].expected) for owner in written])",
         "[session.run('update stock_owner set believed = %(t)s where merchant_id = %(merchant_id)s and "
         "owner_id = %(o)s', t=attempt.rows[o].target, o=o) for o in written]"),
    ),
    "a document that comes again is booked again": (
        ("app.inbox.process", "_post_orders", "positions, memory = read_positions(session, known), ",
         "positions, memory = {}, "),
    ),
    "windows are asked for by our own clock": (
        ("app.listings.shop_clock", "in_its_time", "skew - MARGIN, window.until + skew + MARGIN",
         "timedelta(0), window.until"),
    ),
    "each process believes its own clock": (
        ("app.core.clock", "AgreedClock.hear", "if took <= ROUND_TRIP_MAX:", "if False:"),
    ),
    "what became due while a number was being written is taken for done": (
        ("app.publishing.due", "settle_due", "and due_id = any(%(ids)s)", "and due_id >= any(%(ids)s)"),
    ),
    "a number is called drift before the channel's orders were read": (
        ("app.publishing.look", "_CONTRADICTED", "and r.completed_at > o.observed_at", ""),
        ("app.publishing.look", "_stands", "row.orders_read_at > row.observed_at + listed_after", "True"),
    ),
    "a number is called drift although the belief has moved or an order has changed since it was read": (
        ("app.publishing.look", "_stands", " or row.belief_revision != row.observed_revision", ""),
        ("app.publishing.look", "_stands", "if row.changed_since and", "if False and"),
    ),
    "a write that the shop throttled is taken for done": (
        ("app.publishing.push", "_refused", "[Unsent(row.key) for row in attempt.rows.values()]",
         "[Written(row.key, None) for row in attempt.rows.values()]"),
        ("app.publishing.push", "_refused", "repeated = not",
         "from connectors.base import Written\n    repeated = not"),
    ),
    "a conflict is taken for done": (
        ("app.publishing.attempts", "_told", 'return _Told("conflict", quantity, "", True)',
         'return _Told("written", quantity, "", False)'),
    ),
    "a sale that the search does not list yet is called an edit": (
        ("app.publishing.look", "_stands", "row.observed_at + listed_after", "row.observed_at"),
    ),
    "a sale that a sum of WooCommerce's replaced is called an edit": (
        ("app.publishing.push", "_plan", "blind=mode is not WriteMode.COMPARE_AND_SET", "blind=False"),
    ),
    "after a conflict the same number goes out again, expecting what was found": (
        ("app.listings.belief", "_OBSERVE", "believed = case when o.believed is null then",
         "believed = case when o.believed is null or o.awaiting_since is not null then"),
    ),
    "a number is believed as soon as it is seen": (
        ("app.listings.belief", "_OBSERVE",
         "believed = case when o.believed is null then k.quantity else o.believed end",
         "believed = coalesce(k.quantity, o.believed)"),
    ),
    "nothing is thought to happen after a connection was lost": (
        ("app.publishing.look", "_may_still_come", "row.unclear_at is not None", "False"),
    ),
    "windows do not overlap": (
        ("app.inbox.read", "_overlap", "return timedelta(seconds=runtime.settings.sync.poll_overlap_s) + late",
         "return timedelta(0)"),
        ("app.listings.shop_clock", "in_its_time", "skew - MARGIN, window.until + skew + MARGIN",
         "skew, window.until + skew"),
    ),
    "of two documents of one second the later is dropped": (
        ("app.inbox.process", "_verdict", 'return "again"', 'return "same"'),
        ("app.inbox.process", "_verdict",
         'return "new" if order.observed_at is None or seen.observed_at >= order.observed_at else "older"',
         'return "same"'),
    ),
}  # fmt: skip


# What is only seen where numbers are looked at without a reason is found with that loop on.
HEAL: Mapping[str, str] = {"a sale that the search does not list yet is called an edit": "sweep"}
# What a storm of everything mostly hides is found in one of that alone.
BEHIND = replace(CALM, faults=replace(NONE, lose=0.5, search_lag_s=8.0))
STORMS: Mapping[str, Weather] = {
    "a sale that the search does not list yet is called an edit": BEHIND,
    "windows do not overlap": BEHIND,
    "nothing is thought to happen after a connection was lost": replace(CALM, late=0.2),
}
# What it is found by, where that is not a number of goods that nobody edits being called an edit by hand.
FOUND_BY: Mapping[str, str] = {
    "an answer that was lost is taken for a no": "false explanation",
    "a document that comes again is booked again": "the ledger has",
    "what became due while a number was being written is taken for done": "its target is",
    "a number is believed as soon as it is seen": "but this shop's own sales leave",
}
# The first run that shows a bug, where it is not the first.
SEEDS: Mapping[str, int] = {
    "an answer that was lost is taken for a no": 5,
    "what was not answered is sent again under a new key": 2,
    "an accepted write makes the belief its target, whatever orders came meanwhile": 3,
    "each process believes its own clock": 4,
    "a document that comes again is booked again": 5,
    "a sale that the search does not list yet is called an edit": 2,
    "nothing is thought to happen after a connection was lost": 2,
    "windows do not overlap": 2,
    "of two documents of one second the later is dropped": 2,
}


def plant(patch: pytest.MonkeyPatch, name: str) -> None:
    """Put a bug into the running service, wherever its functions were imported to."""
    changes: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for module_name, path, old, new in BUGS[name]:
        changes.setdefault((module_name, path), []).append((old, new))
    for (module_name, path), texts in changes.items():
        owner, _, attribute = path.rpartition(".")
        home = import_module(module_name)
        holder = getattr(home, owner) if owner else home
        was = getattr(holder, attribute)
        text = was if isinstance(was, str) else inspect.getsource(was)
        for old, new in texts:
            assert text.count(old) == 1, (name, text.count(old))
            text = text.replace(old, new)
        now = text if isinstance(was, str) else _compiled(was, text)
        patch.setattr(holder, attribute, now)
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("app.") and vars(module).get(attribute) is was:
                patch.setattr(module, attribute, now)


def _compiled(was: FunctionType, text: str) -> object:
    names: dict[str, object] = {}
    code = compile("from __future__ import annotations\n" + textwrap.dedent(text), f"<{was.__qualname__}>", "exec")
    exec(code, was.__globals__, names)
    return names[was.__name__]
