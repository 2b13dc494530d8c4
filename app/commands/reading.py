"""Reading: how far first imports and back-fills are, and asking for one."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from app.commands.frame import add_command, add_group, add_merchant, with_merchant
from app.core.config import Settings
from app.core.db import Session
from app.core.errors import NotFound
from app.listings.channels import list_channels, shown_from
from app.listings.importing import Import, cancel_import, list_imports, request_import
from app.listings.lookup import get_channel_id
from app.listings.states import read_afresh
from app.wiring import find_connectors
from connectors.export import ExportOf

BACK_MAX = timedelta(days=3_650)


def add(commands: Any) -> None:
    """reading status, backfill, cancel and afresh."""
    reading = add_group(commands, "reading", "what is read from the channels beside the polls")
    add_merchant(add_command(reading, "status", run_status, "how far first imports and back-fills are"))
    help_text = "have a channel's orders since a day read again; what is known already changes nothing"
    backfill = add_merchant(add_command(reading, "backfill", run_backfill, help_text))
    backfill.add_argument("channel", help="its name")
    help_text = "stop a first import or a back-fill; what is stored stays"
    stopping = add_merchant(add_command(reading, "cancel", run_cancel, help_text))
    stopping.add_argument("channel", help="its name")
    stopping.add_argument("what", choices=("catalogue", "orders"), help="which of the two")
    help_text = "have all that a channel shows and its orders read now, and everything planned anew"
    add_merchant(add_command(reading, "afresh", run_afresh, help_text)).add_argument("channel", help="its name")
    backfill.add_argument("--since", required=True, type=_day, help="a day (UTC) such as 2026-11-01")


def run_status(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each; 1 when one has failed."""

    def show(session: Session) -> int:
        jobs = list_imports(session)
        for job in jobs:
            print(_line(job))
        if not jobs:
            print("Nothing was imported apart from the polls.")
        return 1 if any(job.state == "failed" for job in jobs) else 0

    return with_merchant(arguments, settings, show)


def run_backfill(arguments: argparse.Namespace, settings: Settings) -> int:
    """Asked for here, done by the worker."""

    def ask(session: Session) -> int:
        channel = next((found for found in list_channels(session) if found.name == arguments.channel), None)
        if channel is None:
            raise NotFound("unknown_channel", "no channel has that name")
        since = min(max(arguments.since, session.now - BACK_MAX), session.now)
        connector = find_connectors(settings).get(channel.platform)
        oldest = shown_from(connector.abilities, channel.facts, session.now) if connector else None
        if oldest is not None and since < oldest:
            since = oldest
            print(f"{channel.name} shows us no older orders than of {oldest:%Y-%m-%d}.")
        request_import(session, channel.channel_id, ExportOf.ORDERS, since=since, until=session.now)
        print(f"The orders of {channel.name} since {since:%Y-%m-%d} will be read; see: python -m app reading status")
        return 0

    return with_merchant(arguments, settings, ask)


def run_cancel(arguments: argparse.Namespace, settings: Settings) -> int:
    """1 when there is nothing to stop."""

    def stop(session: Session) -> int:
        stopped = cancel_import(session, get_channel_id(session, arguments.channel), arguments.what)
        print("It is stopped; what is stored stays." if stopped else "There is nothing to stop.")
        return 0 if stopped else 1

    return with_merchant(arguments, settings, stop)


def run_afresh(arguments: argparse.Namespace, settings: Settings) -> int:
    """Asked for here, done by the worker; nothing is written to the channel before."""

    def ask(session: Session) -> int:
        read_afresh(session, get_channel_id(session, arguments.channel), "command line")
        print(f"{arguments.channel} is read afresh; see: python -m app channel state CHANNEL")
        return 0

    return with_merchant(arguments, settings, ask)


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def _line(job: Import) -> str:
    what = str(job.what) if job.what is ExportOf.CATALOGUE else f"orders until {job.until:%Y-%m-%d %H:%M}"
    trouble = f", last trouble: {job.last_error}" if job.last_error else ""
    prepared = f", {job.objects} lines prepared by the channel" if job.objects else ""
    return f"{job.channel}\t{what}\t{job.state}\t{job.stored} stored{_pace(job)}{prepared}{trouble}"


def _pace(job: Import) -> str:
    share = f", {job.share:.0%}" if job.share is not None and job.completed_at is None else ""
    pace = f", {job.per_s:,.0f} a second" if job.per_s else ""
    left = f", {job.eta_s:,.0f} s to go" if job.eta_s is not None else ""
    return share + pace + left
