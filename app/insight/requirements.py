"""What has to be in order so that a channel's stock is kept: each requirement with how things stand and the cure.

Nothing is found out here: a requirement fails by the findings of `diagnose`, and what only the shop knows is what the
last connection check was told (`app.reconcile.check`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.insight.remedies import ASKED, ASKED_AT_ALL, ASKED_OF_ALL, OF_FAILURE, REQUIREMENTS, UNSURE

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
_OF_CALLS = frozenset({"answers", "key", "rights"})  # a reading that worked since then says otherwise
Told = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """`state`: pass, fail or unknown; `link` the finding that it fails by, `do` the one thing to do, `click` the same
    by clicking, where that can be."""

    name: str
    what: str
    state: str
    link: str = ""
    detail: str = ""
    do: str = ""
    click: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken link as a finding tells it."""

    link: str
    detail: str
    do: str
    click: str = ""


@dataclass(frozen=True, slots=True)
class Since:
    """What was done since the last check, so that what it found is old: the shop `read`, its webhooks `supervised`."""

    read: bool
    supervised: bool

    def outdates(self, requirement: str) -> bool:
        """Whether that counts for a requirement."""
        return (self.read and requirement in _OF_CALLS) or (self.supervised and requirement == "webhooks")


def told_of(stored: Sequence[Mapping[str, str]]) -> Told:
    """What the last check was told, by requirement."""
    return {one["name"]: one for one in stored}


def links_of(told: Told, since: Since) -> Iterator[tuple[str, str, str]]:
    """(link, slug of why, detail) of what the last check found broken."""
    for name, one in told.items():
        if one["state"] == FAIL and not since.outdates(name):
            yield link_of(one["reason"]), one["reason"], one.get("detail", "")


def link_of(reason: str) -> str:
    """Which link a requirement that fails for this reason breaks."""
    known = {link for _, links in REQUIREMENTS.values() for link in links}
    return reason if reason in known else OF_FAILURE.get(reason, "calls_fail")


def judge(
    broken: Sequence[Broken], told: Told, *, platform: str, running: bool
) -> tuple[Requirement, ...]:  # fmt: skip
    """Every requirement of a channel in order. `running`: nobody paused or disconnected it, or the rest is unknown."""
    by_link = {one.link: one for one in reversed(broken)}
    return tuple(_one(name, by_link, told, running=running) for name in _names(platform, by_link, told))


def _names(platform: str, by_link: Mapping[str, Broken], told: Told) -> Iterator[str]:
    """Those that its kind of shop can fulfil or break, and whatever it did break."""
    asked = ASKED.get(platform, ASKED_OF_ALL) | told.keys()
    for name, (_, links) in REQUIREMENTS.items():
        if name not in ASKED_AT_ALL or name in asked or not by_link.keys().isdisjoint(links):
            yield name


def _one(name: str, by_link: Mapping[str, Broken], told: Told, *, running: bool) -> Requirement:
    what, links = REQUIREMENTS[name]
    found = next((by_link[link] for link in links if link in by_link), None)
    if found is not None:
        return Requirement(name, what, FAIL, found.link, found.detail, found.do, found.click)
    if name in ASKED_AT_ALL:
        one = told.get(name, {"state": UNKNOWN})
        state = PASS if one["state"] == FAIL else one["state"]  # it was read since
        return Requirement(name, what, state, detail=one.get("detail", ""), do=UNSURE.get(one.get("reason", ""), ""))
    known = running or name in ("worker", "switched_on")
    return Requirement(name, what, PASS if known else UNKNOWN)
