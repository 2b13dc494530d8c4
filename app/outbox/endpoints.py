"""Endpoints: addresses of others that are told what happened here, and their secrets (sealed, shown once).

What happened is written by the database in the transaction that made it true (migrations/sql); here is who wants it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.reseal import Kept
from app.core.runtime import Runtime
from connectors.addresses import SCHEMES, check_public_url
from connectors.errors import ChannelError

EVENTS = ("stock.changed", "order.booked", "case.opened", "channel.state_changed")
ENDPOINTS_MAX = 20  # of a merchant: each is told of every change
REPLAY_MAX = 10_000
DISABLED = "endpoint_disabled"  # the kind of the case
_SECRET_BYTES = 32
_COLUMNS = """endpoint_id, url, description, events, state, failures, failing_since, retry_at, last_error, created_at"""
_REPLAY = """
insert into webhook_delivery as d (merchant_id, endpoint_id, event_id, due_at)
select %(merchant_id)s, %(id)s, v.event_id, %(now)s from webhook_event v
where v.merchant_id = %(merchant_id)s and v.type = any(%(events)s::text[]) and v.occurred_at >= %(since)s
order by v.event_id limit %(limit)s
on conflict (merchant_id, endpoint_id, event_id) do update
set state = 'waiting', attempts = 0, due_at = excluded.due_at where d.state <> 'waiting'
"""
_DELIVERIES = """
select d.event_id, v.type, v.data, v.occurred_at, d.state, d.attempts, d.due_at, d.attempted_at, d.error
from webhook_delivery d join webhook_event v using (merchant_id, event_id)
where d.merchant_id = %(merchant_id)s and d.endpoint_id = %(id)s
  and (%(state)s::text is null or d.state = %(state)s) and (%(before)s::bigint is null or d.event_id < %(before)s)
order by d.event_id desc limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint without its secret. Failing: since when, how often in a row, by what, and when it is tried again."""

    endpoint_id: int
    url: str
    description: str
    events: Sequence[str]
    state: str
    failures: int
    failing_since: datetime | None
    retry_at: datetime | None
    last_error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for an endpoint, and how telling it goes. `due_at` is of one that waits."""

    event_id: int
    type: str
    data: dict[str, Any]
    occurred_at: datetime
    state: str
    attempts: int
    due_at: datetime
    attempted_at: datetime | None
    error: str | None


def check_url(url: str, *, allow_loopback: bool) -> None:
    """Refuse an address that leads anywhere but to a public https server; asks the name service, so outside every
    transaction. Raises InvalidInput."""
    try:
        check_public_url(url, allow_loopback=allow_loopback, schemes=SCHEMES if allow_loopback else ("https",))
    except ChannelError as error:
        raise InvalidInput(error.reason, error.detail, where="url") from None


def create_endpoint(
    runtime: Runtime, session: Session, *, url: str, description: str, events: Sequence[str]
) -> tuple[int, str]:
    """A new endpoint whose address was checked: (its id, its secret, which nobody can read again). Raises Conflict."""
    known = session.value("select count(*) from webhook_endpoint where merchant_id = %(merchant_id)s")
    if known >= ENDPOINTS_MAX:
        raise Conflict("too_many_endpoints", f"at most {ENDPOINTS_MAX} endpoints: remove one first")
    endpoint_id: int = session.value("select nextval('webhook_endpoint_seq')")
    secret = "whsec_" + base64.b64encode(runtime.rng.randbytes(_SECRET_BYTES)).decode()
    session.run(
        """insert into webhook_endpoint (merchant_id, endpoint_id, url, description, events, sealed_secret, created_at)
           values (%(merchant_id)s, %(id)s, %(url)s, %(description)s, %(events)s::text[], %(secret)s, %(now)s)""",
        id=endpoint_id, url=url, description=description, events=sorted(set(events)), now=session.now,
        secret=runtime.sealer.seal(secret.encode(), bound_to=bound_to(session.merchant_id, endpoint_id)),
    )  # fmt: skip
    told = {"host": urlsplit(url).hostname, "events": sorted(set(events))}
    audit.note(session, None, "endpoint.created", subject_of(endpoint_id), after=told)
    return endpoint_id, secret


def bound_to(merchant_id: int, endpoint_id: int) -> str:
    """The row that holds the secret, by the name it was sealed with."""
    return f"webhook_endpoint:{merchant_id}:{endpoint_id}"


SEALED = (
    Kept("webhook_endpoint", "sealed_secret", {"endpoint_id": "bigint"},
         lambda merchant, row: bound_to(merchant, row.endpoint_id)),
)  # fmt: skip


def list_endpoints(session: Session) -> Sequence[Endpoint]:
    """All endpoints, oldest first."""
    rows = session.rows(
        f"select {_COLUMNS} from webhook_endpoint where merchant_id = %(merchant_id)s order by endpoint_id"  # noqa: S608
    )
    return [Endpoint(*row) for row in rows]


def get_endpoint(session: Session, endpoint_id: int, *, lock: bool = False) -> Endpoint:
    """Raises NotFound, also for another merchant's. `lock`: nobody changes it until the transaction ends."""
    row = session.row(
        f"select {_COLUMNS} from webhook_endpoint where merchant_id = %(merchant_id)s and endpoint_id = %(id)s"  # noqa: S608
        + (" for no key update" if lock else ""),
        id=endpoint_id,
    )
    if row is None:
        raise NotFound("unknown_endpoint", "no such endpoint")
    return Endpoint(*row)


def change_endpoint(
    session: Session, endpoint: Endpoint, *, url: str, description: str, events: Sequence[str], state: str
) -> None:
    """Change an endpoint that is locked; one that becomes active again is tried at once and its case is closed."""
    afresh = state == "active"
    session.run(
        """update webhook_endpoint
           set url = %(url)s, description = %(description)s, events = %(events)s::text[], state = %(state)s,
               failures = case when %(afresh)s then 0 else failures end,
               failing_since = case when not %(afresh)s then failing_since end,
               retry_at = case when not %(afresh)s then retry_at end,
               last_error = case when not %(afresh)s then last_error end
           where merchant_id = %(merchant_id)s and endpoint_id = %(id)s""",
        id=endpoint.endpoint_id, url=url, description=description, events=sorted(set(events)), state=state,
        afresh=afresh,
    )  # fmt: skip
    if afresh:
        session.run(
            """update case_file set state = 'corrected', closed_at = %(now)s
               where merchant_id = %(merchant_id)s and kind = %(kind)s and subject = %(subject)s and state = 'open'""",
            now=session.now, kind=DISABLED, subject=subject_of(endpoint.endpoint_id),
        )  # fmt: skip
    before = {"host": urlsplit(endpoint.url).hostname, "events": list(endpoint.events), "state": endpoint.state}
    after = {"host": urlsplit(url).hostname, "events": sorted(set(events)), "state": state}
    audit.note(session, None, "endpoint.changed", subject_of(endpoint.endpoint_id), before=before, after=after)


def subject_of(endpoint_id: int) -> str:
    """What the case about an endpoint is filed under: its address may hold a secret of theirs."""
    return f"endpoint {endpoint_id}"


def remove_endpoint(session: Session, endpoint_id: int) -> None:
    """Tell it nothing more, and forget what it was told. Raises NotFound."""
    removed = session.run(
        "delete from webhook_endpoint where merchant_id = %(merchant_id)s and endpoint_id = %(id)s", id=endpoint_id
    )
    if not removed:
        raise NotFound("unknown_endpoint", "no such endpoint")
    audit.note(session, None, "endpoint.removed", subject_of(endpoint_id))


def replay(session: Session, endpoint_id: int, since: datetime) -> int:
    """Tell again what happened since then and is kept, of the kinds that the endpoint wants; how many events. Raises
    NotFound."""
    endpoint = get_endpoint(session, endpoint_id, lock=True)
    return session.run(
        _REPLAY, id=endpoint_id, events=list(endpoint.events), since=since, now=session.now, limit=REPLAY_MAX
    )


def list_deliveries(
    session: Session, endpoint_id: int, *, state: str | None, before: int | None, limit: int
) -> Sequence[Delivery]:
    """At most `limit` deliveries of events before event `before`, the latest first."""
    rows = session.rows(_DELIVERIES, id=endpoint_id, state=state, before=before, limit=limit)
    return [Delivery(*row) for row in rows]
