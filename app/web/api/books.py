"""The books: why a number is what it is, what the stock is worth, and whether the ledger keeps its promises."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import RootModel

from app.accounts.audit import list_entries
from app.catalog.items import get_item_by_id
from app.core.errors import InvalidInput
from app.ledger.as_of import worth_on
from app.ledger.period import get_merchant
from app.ledger.verify import verify
from app.listings.channels import get_channel
from app.publishing import why
from app.publishing.why_tree import Explained
from app.web.api.call import Call
from app.web.api.fields import Amount, Asked, AskedId, Day, Instant, Out, Paged
from app.web.api.route import Route
from app.web.api.table import serves


class WhyAsked(Asked):
    """On one channel or all."""

    channel_id: AskedId | None = None


class WhyOut(RootModel[Explained]):
    """An item and every number it has on a channel, down to the movements."""


class ValueAsked(Asked):
    """At the end of which day (today); cost of goods sold since which day (the first of its month); as it was known at
    which instant (now)."""

    as_of: Day | None = None
    since: Day | None = None
    known_at: Instant | None = None


class ValueOut(Out):
    """What the stock was worth at the end of `as_of`, and the cost of goods sold from `since` to it."""

    currency: str
    since: date
    as_of: date
    inventory_value: Amount
    cogs: Amount


class FindingOut(Out):
    """A promise that is broken, and where."""

    check: str
    item_id: int
    place: str


class VerifiedOut(Out):
    """Whether every promise holds; at most 20 findings of a kind."""

    sound: bool
    findings: list[FindingOut]


class EntryOut(Out):
    """What somebody, or some program, changed."""

    number: int
    noted_at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    origin: str


class AuditOut(Out):
    """A page of the audit log, the newest first."""

    data: list[EntryOut]
    next_cursor: str | None


@serves(Route("GET", "/audit-log", AuditOut, "Who changed what", "audit:read", query=Paged))
def list_audit(call: Call) -> AuditOut:
    """A page of the audit log."""
    asked: Paged = call.query
    rows = list_entries(call.session, call.position(), limit=asked.limit + 1)
    page = rows[: asked.limit]
    following = call.next_cursor(rows, page[-1].number if page else None)
    return AuditOut(data=[EntryOut.model_validate(row) for row in page], next_cursor=following)


@serves(Route("GET", "/items/{item_id}/why", WhyOut, "Why channels show the numbers they show", "stock:read",
              query=WhyAsked))  # fmt: skip
def explain(call: Call) -> WhyOut:
    """The tree behind the item's numbers."""
    item = get_item_by_id(call.session, call.path["item_id"])
    channel_id = call.query.channel_id
    name = None if channel_id is None else get_channel(call.session, channel_id).name
    return WhyOut(why.run(call.session, item.sku, name))


@serves(Route("GET", "/ledger/value", ValueOut, "Value of the stock and cost of goods sold, as of a day",
              "reports:read", query=ValueAsked))  # fmt: skip
def value(call: Call) -> ValueOut:
    """Value and cost of goods sold."""
    merchant = get_merchant(call.session)
    as_of = call.query.as_of or call.session.now.astimezone(merchant.time_zone).date()
    since = call.query.since or as_of.replace(day=1)
    if since > as_of:
        raise InvalidInput("since_after_as_of", "since is at or before as_of", where="query.since")
    worth = worth_on(call.session, since=since, as_of=as_of, known_at=call.query.known_at)
    return ValueOut(
        currency=merchant.currency, since=since, as_of=as_of, inventory_value=worth.inventory_value, cogs=worth.cogs
    )


@serves(Route("GET", "/ledger/verification", VerifiedOut, "Check the ledger's promises on the live data",
              "reports:read"))  # fmt: skip
def check(call: Call) -> VerifiedOut:
    """The same checks as `verify` of the command line."""
    findings = verify(call.session)
    return VerifiedOut(sound=not findings, findings=[FindingOut.model_validate(finding) for finding in findings])
