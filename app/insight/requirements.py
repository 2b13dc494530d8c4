"""What has to be in order so that a channel's stock is kept: each requirement with how things stand and the cure.

Nothing is found out here: a requirement fails by the findings of `diagnose`, and what only the shop knows is what the
last connection check was told (`app.reconcile.check`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.insight.remedies import OF_FAILURE, REQUIREMENTS, UNSURE

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
# Asked of the shop on demand; all others are known from what is stored.
ASKED = frozenset(
    {"encrypted", "answers", "key", "rights", "version", "stock_managed", "cron", "posts_out", "reachable"}
)
_OF_CALLS = frozenset({"answers", "key", "rights"})  # a reading that worked since then says otherwise
Told = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """`state`: pass, fail or unknown; `link` the finding that it fails by, `do` the one thing to do."""

    name: str
    what: str
    state: str
    link: str = ""
    detail: str = ""
    do: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken link as a finding tells it."""

    link: str
    detail: str
    do: str


def told_of(stored: Sequence[Mapping[str, str]]) -> Told:
    """What the last check was told, by requirement."""
    return {one["name"]: one for one in stored}


def links_of(told: Told, *, read_since: bool) -> Iterator[tuple[str, str, str]]:
    """(requirement, link, slug of why) of what the last check found broken. `read_since`: the shop was read since."""
    for name, one in told.items():
        if one["state"] == FAIL and not (read_since and name in _OF_CALLS):
            yield name, link_of(one["reason"]), one["reason"]


def link_of(reason: str) -> str:
    """Which link a requirement that fails for this reason breaks."""
    known = {link for _, links in REQUIREMENTS.values() for link in links}
    return reason if reason in known else OF_FAILURE.get(reason, "calls_fail")


def judge(broken: Sequence[Broken], told: Told, *, running: bool) -> tuple[Requirement, ...]:
    """Every requirement in order. `running`: nobody paused or disconnected the channel, or the rest is unknown."""
    by_link = {one.link: one for one in reversed(broken)}
    return tuple(_one(name, by_link, told, running=running) for name in REQUIREMENTS)


def _one(name: str, by_link: Mapping[str, Broken], told: Told, *, running: bool) -> Requirement:
    what, links = REQUIREMENTS[name]
    found = next((by_link[link] for link in links if link in by_link), None)
    if found is not None:
        return Requirement(name, what, FAIL, found.link, found.detail, found.do)
    if name in ASKED:
        one = told.get(name, {"state": UNKNOWN})
        state = PASS if one["state"] == FAIL else one["state"]  # it was read since
        return Requirement(name, what, state, detail=one.get("detail", ""), do=UNSURE.get(one.get("reason", ""), ""))
    known = running or name in ("worker", "switched_on")
    return Requirement(name, what, PASS if known else UNKNOWN)
