"""How far a connected shop is on the way to its first correct push, and what is next. Only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import Session
from app.listings.channels import Channel, get_channel
from app.listings.importing import Import, list_imports
from app.listings.matching import Matching, count_by_state, read_matching
from app.listings.opening import Choice, find_choice
from app.listings.states import Standing, get_standing
from app.publishing.first_push import FirstPush, find_first_push

STEPS = ("connected", "imported", "matched", "opened", "checked", "pushed")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of the list. `state`: done, next (this is to be done now), later, or waiting (something of ours is at
    it); `optional` steps never hold up the next."""

    name: str
    state: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """All there is to know. `listings`: mapped, left_out, open; `due`: numbers on their way after the approval."""

    channel: Channel
    standing: Standing
    importing: Import | None
    listings: Mapping[str, int]
    matching: Matching
    choice: Choice | None
    opened: bool
    first_push: FirstPush | None
    due: int
    checked_at: datetime | None

    @property
    def total(self) -> int:
        """Listings there are."""
        return sum(self.listings.values())

    @property
    def imported(self) -> bool:
        """Whether its catalogue is here."""
        return self.importing.state == "done" if self.importing is not None else self.total > 0

    @property
    def matched(self) -> bool:
        """Whether something is mapped and no proposal that is certain waits."""
        return self.listings["mapped"] > 0 and self.matching.of(("new", "same_number", "sku"))[0] == 0

    @property
    def pushed(self) -> bool:
        """Whether it is active and everything was sent."""
        return self.standing.state == "active" and self.due == 0

    @property
    def steps(self) -> Sequence[Step]:
        """The list, with the first that is to be done marked."""
        done = {
            "connected": True, "imported": self.imported, "matched": self.matched,
            "opened": self.opened, "checked": self.checked_at is not None, "pushed": self.pushed,
        }  # fmt: skip
        waiting = {
            "imported": self.importing is not None and self.importing.completed_at is None,
            "pushed": self.standing.approved and not self.pushed,
        }
        steps, blocked = [], False
        for name in STEPS:
            optional = name == "checked"
            state = "done" if done[name] else "waiting" if waiting.get(name) else "later" if blocked else "next"
            steps.append(Step(name, state, optional))
            blocked = blocked or not (done[name] or optional)
        return steps


def read_setup(session: Session, channel_id: int) -> Setup:
    """A channel's list. Raises NotFound, also for another merchant's."""
    channel = get_channel(session, channel_id)
    jobs = [job for job in list_imports(session, channel_id) if job.what == "catalogue"]
    choice = find_choice(session)
    opened = choice is not None and (
        choice.source != "shop"
        or bool(session.value("select exists (select from opened_item where merchant_id = %(merchant_id)s)"))
    )
    due = session.value(
        """select count(*) from (select from due_listing where merchant_id = %(merchant_id)s
           and channel_id = %(channel)s limit 100000) d""",
        channel=channel_id,
    )
    return Setup(
        channel, get_standing(session, channel_id), jobs[0] if jobs else None, count_by_state(session, channel_id),
        read_matching(session, channel_id), choice, opened, find_first_push(session, channel_id), due,
        _checked_at(session, channel_id),
    )  # fmt: skip


def _checked_at(session: Session, channel_id: int) -> datetime | None:
    """When its connection was checked last, if nothing was wrong."""
    at: datetime | None = session.value(
        """select checked_at from channel_check where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           and not jsonb_path_exists(requirements, '$[*] ? (@.state == "fail")')""",
        channel=channel_id,
    )
    return at
