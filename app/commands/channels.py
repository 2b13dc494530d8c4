"""A connected shop: whether it is written to, who is right about its numbers, and what shadow would have sent it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from app.accounts.merchants import get_merchant
from app.commands import connecting, first_push, leaving
from app.commands.frame import add_command, add_group, add_merchant, with_merchant, with_runtime
from app.core.config import Settings
from app.core.db import Session
from app.core.runtime import Runtime
from app.insight import words
from app.insight.diagnose import Diagnosis, diagnose
from app.insight.requirements import UNKNOWN
from app.insight.shadow import ShadowNumber, ShadowReport, read_shadow
from app.listings.channels import set_drift_policy
from app.listings.connect import renew_credentials
from app.listings.lookup import get_channel_id
from app.listings.states import STATES, Standing, change_state, get_standing
from app.reconcile.check import check
from connectors.errors import ChannelError

POLICIES = ("ledger_wins", "channel_wins", "ask")
BY = "command line"


def add(commands: Any) -> None:
    """channel connect, policy, state, credentials, the way to the first numbers and out again; diagnose, shadow."""
    channel = add_group(commands, "channel", "a connected shop")
    policy = add_merchant(add_command(channel, "policy", run_policy, "what happens to numbers that nothing explains"))
    policy.add_argument("channel", help="its name")
    policy.add_argument("policy", choices=POLICIES, help="who is right")
    state = add_merchant(add_command(channel, "state", run_state, "whether numbers are written to it, and since when"))
    state.add_argument("channel", help="its name")
    state.add_argument(
        "state", nargs="?", choices=STATES,
        help="active: once it has been read; paused: nothing is asked or written; shadow: no number is written",
    )  # fmt: skip
    help_text = "store another token, key or webhook secret, as name=value lines from the input"
    renewing = add_merchant(add_command(channel, "credentials", run_credentials, help_text))
    renewing.add_argument("channel", help="its name")
    connecting.add(channel)
    leaving.add(channel)
    first_push.add(channel)
    finding = add_merchant(add_command(commands, "diagnose", run_diagnose, "which link is broken and what to do"))
    finding.add_argument("--channel", help="only this channel, by name")
    finding.add_argument("--json", action="store_true", help="all findings and requirements as JSON")
    finding.add_argument("--check", action="store_true", help="ask the shops now what only they know")
    report = add_merchant(add_command(commands, "shadow", run_shadow, "what channels in shadow would have been sent"))
    report.add_argument("--channel", help="only this channel, by name")
    report.add_argument("--json", action="store_true", help="the whole report as JSON")


def run_policy(arguments: argparse.Namespace, settings: Settings) -> int:
    """For what is found from now on; open cases stay as they are."""

    def act(session: Session) -> int:
        set_drift_policy(session, get_channel_id(session, arguments.channel), arguments.policy)
        print(f"{arguments.channel}: {arguments.policy}")
        return 0

    return with_merchant(arguments, settings, act)


def run_state(arguments: argparse.Namespace, settings: Settings) -> int:
    """The state as it is then; without one, as it is."""

    def act(session: Session) -> int:
        channel_id = get_channel_id(session, arguments.channel)
        if arguments.state is not None:
            change_state(session, channel_id, arguments.state, BY)
        print(_standing(get_standing(session, channel_id)))
        return 0

    return with_merchant(arguments, settings, act)


def run_credentials(arguments: argparse.Namespace, settings: Settings) -> int:
    """Stored when the shop accepts them. They are read from the input, since a shell remembers its arguments."""

    def act(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            channel_id = get_channel_id(session, arguments.channel)
        try:
            renew_credentials(runtime, merchant.merchant_id, channel_id, connecting.read_pairs())
        except ChannelError as error:
            print(f"{error.reason}: {words.failure(error.reason)}; nothing was changed", file=sys.stderr)
            return 1
        runtime.ring()
        print(f"{arguments.channel}: the shop accepts them; what failed is tried again now")
        return 0

    return with_runtime(settings, act)


def run_diagnose(arguments: argparse.Namespace, settings: Settings) -> int:
    """Every channel with its findings, the most basic first; 0 when nothing is broken, 1 when something is."""

    def act(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant_id = get_merchant(runtime.database, now, arguments.merchant).merchant_id
        with runtime.begin(merchant_id, now) as session:
            found = diagnose(session, arguments.channel)
        if arguments.check:
            for one in found:
                check(runtime, merchant_id, one.channel_id)
            with runtime.begin(merchant_id, runtime.clock()) as session:
                found = diagnose(session, arguments.channel)
        if arguments.json:
            told = [{**asdict(one), "broken": one.broken} for one in found]
            print(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        else:
            print("\n".join(line for one in found for line in _diagnosis(one)) or "There is no channel yet.")
        return 1 if any(one.broken for one in found) else 0

    return with_runtime(settings, act)


def _diagnosis(one: Diagnosis) -> Iterator[str]:
    yield _plain(f"{one.channel} ({one.platform}, {one.state}): {'broken' if one.broken else 'nothing is broken'}")
    for finding in one.findings:
        mark = "!" if finding.broken else "-"
        detail = f": {finding.detail}" if finding.detail else ""
        since = "" if finding.since is None else f", since {_instant(finding.since)}"
        yield _plain(f"  {mark} {finding.what}{detail}{since}  [{finding.link}]")
        yield _plain(f"    do: {finding.do}")
    for need in one.requirements:
        detail = f": {need.detail}" if need.detail else ""
        yield _plain(f"  {need.state:7} {need.what}{detail}")
        if need.state == UNKNOWN and need.do:
            yield _plain(f"          do: {need.do}")


def run_shadow(arguments: argparse.Namespace, settings: Settings) -> int:
    """Each channel that is or was in shadow; 1 when there is none."""

    def act(session: Session) -> int:
        reports = read_shadow(session, arguments.channel)
        if arguments.json:
            print(orjson.dumps(reports, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        else:
            print("\n".join(line for report in reports for line in _report(report)) or _NO_SHADOW)
        return 0 if reports else 1

    return with_merchant(arguments, settings, act)


_NO_SHADOW = "No channel is in shadow. To look on without writing: python -m app channel state CHANNEL shadow"


def _standing(standing: Standing) -> str:
    name = standing.name
    if standing.activating_since is not None:
        return f"{name}: becomes active when its numbers and orders have been read{_since(standing.since, standing.by)}"
    return f"{name}: {standing.state}{_since(standing.since, standing.by)}"


def _since(at: datetime | None, by: str) -> str:
    return "" if at is None else f", since {_instant(at)} by {by}"


def _report(report: ShadowReport) -> Iterator[str]:
    state = "becomes active once it has been read" if report.activating_since is not None else report.state
    yield _plain(f"{report.channel}: {state}{_since(report.state_at, report.state_by)}")
    if not report.would_be_writes:
        yield "  no number would have been sent"
    else:
        since = "" if report.since is None else f" since {_instant(report.since)}"
        yield f"  {report.would_be_writes} numbers would have been sent, for {report.listings} listings{since}"
        yield f"  {report.above_stock} of them promised more than there was"
    yield f"  oversold there and avoided by our numbers: {report.avoided} units; with them all the same: {report.kept}"
    yield f"  sold there and held back by our numbers: {report.held_back} units"
    for number in report.numbers:
        yield from (f"  {_plain(line)}" for line in _number(number))


def _number(number: ShadowNumber) -> Iterator[str]:
    where = f" at {number.location_key}" if number.location_key else ""
    would = "" if number.would_show is None else f"would show {number.would_show}, "
    units = f"avoided {number.avoided}, all the same {number.kept}, held back {number.held_back}"
    yield f"{number.sku or number.listing_key}{where}: {would}shows {number.shows}; {units}"
    for write in number.writes:
        steps = ", ".join(f"{what} {left}" for what, left in write.steps)
        yield f"  {_instant(write.at)}  {write.expected} → {write.target}, it showed {write.shown}  ({steps})"
    if number.more_writes:
        yield f"  and {number.more_writes} before"


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
