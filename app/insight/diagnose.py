"""When nothing moves: which link of each channel is broken, the most basic first, and the one thing to do about it.

Only reads, a constant number of statements whatever there is; what a channel said to the worker is what counts, no
channel is asked anything. Slugs and words are in `remedies`.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import Row, Session
from app.insight import words
from app.insight.diagnose_facts import CHANNELS, Rows, read
from app.insight.home import FAILURES_BAD, OVERDUE, PERMANENT
from app.insight.remedies import (
    CATALOGUE_AGAIN,
    INSTALLED,
    LINKS,
    NOTES,
    OF_FAILURE,
    WEBHOOKS_CURED_BY_HAND,
    WEBHOOKS_REPAIRED,
    click_of,
)
from app.insight.requirements import Broken, Requirement, Since, judge, links_of, told_of
from app.listings.lookup import get_channel_id
from app.publishing.why_text import WAITING

_OF_STATE = {
    "untracked": "item_untracked", "gone": "listing_gone", "refused": "number_refused", "not_stocked": "not_stocked",
}  # fmt: skip
# Cases that are about a link; those of webhooks are told with what was done about them.
_OF_CASE = {
    "scope_missing": "scope_missing", "api_version_retired": "api_version_retired", "reconnect_shop": "token_refused",
}  # fmt: skip
_UNSHOWN = frozenset(
    {
        "clock_stuck", "import_failed", "location_not_mapped", "sku_not_mapped", "item_untracked", "listing_gone",
        "number_refused", "attempt_open", "plan_stuck", "not_encrypted", "stock_not_managed", "cannot_post",
        "no_public_url",
    }
)  # fmt: skip
_NAME = re.compile("CHANNEL|SKU|CASE|KEY")
_ORDER = {link: place for place, link in enumerate(LINKS)}


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken link, or a note about one. `link` is a slug of `remedies.LINKS`; `detail` what it is about, `do` the one
    thing to do, `count` of what `detail` names, `since` when it began, `click` the same by clicking, where that can
    be."""

    link: str
    broken: bool
    what: str
    detail: str
    do: str
    count: int = 1
    since: datetime | None = None
    click: str = ""

    @property
    def cure(self) -> str:
        """The one thing to do, for who reads a page."""
        return self.click or self.do


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A channel's findings, the most basic cause first; what follows one that is broken is often its consequence.
    `requirements`: how each stands; `checked_at`: when the shop was last asked, None: never."""

    channel_id: int
    channel: str
    platform: str
    state: str
    findings: tuple[Finding, ...]
    requirements: tuple[Requirement, ...] = ()
    checked_at: datetime | None = None

    @property
    def broken(self) -> bool:
        """Whether anything is."""
        return any(finding.broken for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Said:
    """A finding before it has words. `names`: what CHANNEL, SKU, CASE and KEY stand for; `do`, `click`: instead of the
    link's own."""

    link: str
    detail: str = ""
    count: int = 1
    since: datetime | None = None
    names: Mapping[str, str] | None = None
    do: str = ""
    click: str = ""


def diagnose(session: Session, channel: str | None = None) -> Sequence[Diagnosis]:
    """Every channel, oldest first, or the named one; raises NotFound."""
    channel_id = None if channel is None else get_channel_id(session, channel)
    channels = session.rows(CHANNELS, channel=channel_id, installed=INSTALLED)
    rows = read(session, [row.channel_id for row in channels])
    return [_diagnosis(row, rows, session.now) for row in channels]


def list_unshown(session: Session) -> Sequence[tuple[str, Finding]]:
    """(channel, broken link) of those that the home page does not tell anyway by a channel's health, its cases or its
    parked rows."""
    found = [(one.channel, finding) for one in diagnose(session) for finding in one.findings]
    return [(channel, finding) for channel, finding in found if finding.link in _UNSHOWN]


def _diagnosis(channel: Row, rows: Rows, now: datetime) -> Diagnosis:
    of = {name: some.get(channel.channel_id, ()) for name, some in rows.items()}
    said = [*_standing(channel)]
    running = channel.state in ("active", "shadow")
    if running:
        said += [
            *_clock(channel, of["polls"], now), *_calls(of["polls"]), *_imports(of["imports"]),
            *_webhooks(of["cases"], of["refused"]), *_stuck(channel, of["stuck"], of["attempts"], of["polls"]),
        ]  # fmt: skip
    if channel.state != "disconnected":
        said += [*_mapping(channel, of), *_cases(of["cases"], {one.link for one in said}), *_parked(of["parked"])]
        said += [*_checked(channel, of["polls"], {one.link for one in said})]
    findings = [_finding(channel, one) for one in said]
    findings.sort(key=lambda finding: (not finding.broken, _ORDER[finding.link]))
    broken = [Broken(one.link, one.detail, one.do, one.click) for one in findings if one.broken]
    told = told_of(channel.requirements)
    return Diagnosis(
        channel.channel_id, channel.name, channel.platform, channel.state, tuple(findings),
        judge(broken, told, platform=channel.platform, running=running), channel.checked_at,
    )  # fmt: skip


def _checked(channel: Row, polls: Sequence[Row], known: set[str]) -> Iterator[_Said]:
    """What the last connection check found and nothing else tells."""
    since = Since(read=_done_since(channel, polls, "orders"), supervised=_done_since(channel, polls, "webhooks"))
    for link, reason, detail in links_of(told_of(channel.requirements), since):
        if link not in known:
            known.add(link)
            yield _Said(
                link, "; ".join(filter(None, (words.FAILURES.get(reason, ""), detail))), since=channel.checked_at
            )


def _done_since(channel: Row, polls: Sequence[Row], kind: str) -> bool:
    done = [poll.completed_at for poll in polls if poll.kind == kind and poll.completed_at]
    return channel.checked_at is not None and any(at > channel.checked_at for at in done)


def _finding(channel: Row, said: _Said) -> Finding:
    what, do = LINKS[said.link]
    names = {"CHANNEL": channel.name, **(said.names or {})}
    do = said.do or _NAME.sub(lambda name: shlex.quote(names.get(name[0], name[0])), do)
    click = said.click or ("" if said.do else click_of(said.link, channel.kind))
    click = _NAME.sub(lambda name: names.get(name[0], name[0]), click)
    return Finding(said.link, said.link not in NOTES, what, said.detail, do, said.count, said.since, click)


def _standing(channel: Row) -> Iterator[_Said]:
    if channel.state in ("paused", "disconnected"):
        by = f"by {channel.state_by}" if channel.state_by else "nobody noted by whom"
        yield _Said(f"channel_{channel.state}", by, since=channel.state_at)
    elif channel.activating_since is not None:
        yield _Said("activating", since=channel.activating_since)
    elif channel.state == "shadow":
        yield _Said("shadow", since=channel.state_at)


def _clock(channel: Row, polls: Sequence[Row], now: datetime) -> Iterator[_Said]:
    overdue = [
        poll.due_at
        for poll in polls
        if poll.kind not in ("push", "look")  # these are due whenever there is something to do
        and poll.due_at < now - OVERDUE
        and (poll.deadline is None or poll.deadline < now)
    ]
    if not channel.worker:
        yield _Said("clock_not_running", since=min(overdue, default=None))
    elif overdue:
        yield _Said("clock_stuck", f"{len(overdue)} readings are overdue", len(overdue), min(overdue))


def _calls(polls: Sequence[Row]) -> Iterator[_Said]:
    """Failing calls by what is broken; a single failure that trying again may cure is none yet."""
    failing: defaultdict[str, list[Row]] = defaultdict(list)
    for poll in polls:
        if poll.failures >= FAILURES_BAD or (poll.failures and poll.last_error in PERMANENT):
            error = poll.last_error or ""
            link = "channel_unreachable" if error.startswith("http_5") else OF_FAILURE.get(error, "calls_fail")
            failing[link].append(poll)
    for link, some in failing.items():
        error = some[0].last_error or ""
        kinds = ", ".join(poll.kind for poll in some)
        detail = f"{words.FAILURES.get(error, error)} ({error}; {kinds})"
        yield _Said(link, detail, max(poll.failures for poll in some))


def _imports(imports: Sequence[Row]) -> Iterator[_Said]:
    for job in imports:
        failed = job.state == "failed"
        yield _Said("import_failed" if failed else "importing", f"{job.what}: {job.last_error or job.state}",
                    since=job.requested_at,
                    click=CATALOGUE_AGAIN if failed and job.what == "catalogue" else "")  # fmt: skip


def _webhooks(cases: Sequence[Row], refused: Sequence[Row]) -> Iterator[_Said]:
    for case in cases:
        if case.kind in LINKS and case.kind.startswith("webhook_"):
            tried = f", made again {case.repairs} times" if case.repairs > 1 else ""
            do = WEBHOOKS_REPAIRED if case.repairs == 1 else WEBHOOKS_CURED_BY_HAND
            yield _Said(case.kind, f"{case.detail}{tried}", since=case.since, do=do)
    for row in refused:
        link = "webhooks_repeated" if row.repeated else "webhooks_refused"
        yield _Said(link, f"{row.count} in the last day", row.count, row.since)


def _stuck(channel: Row, stuck: Sequence[Row], attempts: Sequence[Row], polls: Sequence[Row]) -> Iterator[_Said]:
    for row in attempts:
        if row.late:
            yield _Said("attempt_open", row.error or "no answer came", row.late, row.since)
    if stuck and channel.state == "active":
        first = stuck[0]
        errors = [row.error for row in attempts] + [poll.last_error for poll in polls if poll.kind == "push"]
        error = next((error for error in errors if error), "")
        why = WAITING.get(first.reason, "nothing says why")
        if not first.reason and error:
            why = f"the last write failed: {words.FAILURES.get(error, error)} ({error})"
        count = sum(row.count for row in stuck)
        yield _Said("plan_stuck", f"{count} numbers, {first.count} of them: {why}", count,
                    min(row.since for row in stuck), {"SKU": first.sku or "?"})  # fmt: skip


def _mapping(channel: Row, of: Mapping[str, Sequence[Row]]) -> Iterator[_Said]:
    parked = {row.reason: row for row in of["parked"]}
    place = parked.get("unknown_location")
    if place is not None:
        key = _named_key(place.detail)
        yield _Said("location_not_mapped", f"{place.count} orders wait: {place.detail}", place.count, place.since,
                    {"KEY": key} if key else None)  # fmt: skip
    elif not channel.placed:
        yield _Said("location_not_mapped", "no place of the channel is mapped", names=None)
    waiting = parked.get("unknown_listing")
    orders = "" if waiting is None else f"; {waiting.count} orders wait"
    for row in of["unmapped"]:
        yield _Said("sku_not_mapped", f"{row.count} products, such as {row.name}{orders}", row.count,
                    names={"KEY": row.key})  # fmt: skip
    if waiting is not None and not of["unmapped"]:
        yield _Said("sku_not_mapped", f"{waiting.count} orders wait: {waiting.detail}", waiting.count, waiting.since)
    for row in of["unmanaged"]:
        said = f": {row.reason}" if row.state == "refused" and row.reason else ""
        yield _Said(_OF_STATE[row.state], f"{row.count} numbers, such as that of {row.sku}{said}", row.count,
                    names={"SKU": row.sku, "KEY": row.key or "KEY"})  # fmt: skip


def _named_key(detail: str | None) -> str:
    """The key in "the channel's location KEY is not mapped"."""
    parts = (detail or "").split()
    return parts[parts.index("location") + 1] if "location" in parts[:-1] else ""


def _cases(cases: Sequence[Row], known: set[str]) -> Iterator[_Said]:
    others = 0
    for case in cases:
        if case.asks:
            yield _Said("drift_waits", case.detail, case.count, case.since, {"CASE": str(case.case_id)})
        elif case.kind in _OF_CASE:
            if _OF_CASE[case.kind] not in known:
                yield _Said(_OF_CASE[case.kind], case.detail, case.count, case.since)
        elif case.kind not in LINKS and case.kind not in ("unmanaged", "write_refused"):
            others += case.count
    if others:
        yield _Said("cases_open", f"{others} cases", others)


def _parked(parked: Sequence[Row]) -> Iterator[_Said]:
    for row in parked:
        if row.reason not in ("unknown_listing", "unknown_location"):
            detail = f"{row.count} documents: {row.detail or row.reason} ({row.reason})"
            do = words.PARKED.get(row.reason, words.PARKED_OTHERWISE)
            yield _Said("orders_parked", detail, row.count, row.since, do=do)
