"""Telling an endpoint what happened: signed by Standard Webhooks, at least once, tried again over a day.

Claim (transaction), send (no transaction), record (transaction). What a worker that died was at is anybody's when its
claim ends. The first failure ends a round, and the endpoint rests longer each time; one that fails for a whole day, or
says that it is gone, is told nothing more until a person looks at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
from standardwebhooks import Webhook

from app.core.clock import monotonic_s
from app.core.db import Session
from app.core.runtime import Runtime
from app.listings.cases import open_cases
from app.outbox.endpoints import DISABLED, bound_to, subject_of
from connectors.errors import ChannelError
from connectors.http import Http

BATCH_MAX = 50
CLAIM = timedelta(seconds=120)
ROUND_S = 30.0  # after which no further one is begun; with the last answer it ends within the claim
ANSWER_S = 10.0
# After each attempt that failed, until the next; together a day. Then the event is given up.
RETRIES_S = (5, 60, 300, 1_800, 7_200, 18_000, 28_800, 28_800)
RESTS_S = (5, 15, 60, 300)  # of the whole endpoint, after so many failures in a row
DISABLED_AFTER = timedelta(days=1)
KEPT = timedelta(days=7)
PRUNED_MAX = 20_000
_JITTER = 0.2

_CLAIM = """
with due as materialized (
    select event_id from webhook_delivery
    where merchant_id = %(merchant_id)s and endpoint_id = %(id)s and state = 'waiting' and due_at <= %(now)s
    order by event_id limit %(limit)s for update skip locked
), claimed as (
    update webhook_delivery d set due_at = %(until)s, attempts = d.attempts + 1 from due
    where d.merchant_id = %(merchant_id)s and d.endpoint_id = %(id)s and d.event_id = due.event_id
    returning d.event_id, d.attempts
)
select c.event_id, c.attempts, v.type, v.data, v.occurred_at
from claimed c join webhook_event v on v.merchant_id = %(merchant_id)s and v.event_id = c.event_id order by c.event_id
"""
# What was claimed and not begun is due again, and was no attempt.
_RECORD = """
update webhook_delivery d
set state = r.state, due_at = r.due_at, error = r.error,
    attempts = d.attempts - case when r.begun then 0 else 1 end,
    attempted_at = case when r.begun then %(now)s else d.attempted_at end
from unnest(%(events)s::bigint[], %(states)s::text[], %(due)s::timestamptz[], %(errors)s::text[], %(begun)s::boolean[],
            %(attempts)s::integer[]) r(event_id, state, due_at, error, begun, attempts)
where d.merchant_id = %(merchant_id)s and d.endpoint_id = %(id)s and d.event_id = r.event_id
  and d.state = 'waiting' and d.attempts = r.attempts
"""
_STANDING = """
update webhook_endpoint
set failures = %(failures)s, failing_since = %(since)s, retry_at = %(retry)s, last_error = %(error)s,
    state = case when %(disabled)s then 'disabled' else state end
where merchant_id = %(merchant_id)s and endpoint_id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event to be told; `attempts` with this one."""

    event_id: int
    attempts: int
    type: str
    data: dict[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Work:
    """What one round is to tell, and whom."""

    endpoint_id: int
    url: str
    secret: str
    events: Sequence[Claimed]


@dataclass(frozen=True, slots=True)
class Told:
    """How many of a round's events were told, in order, and what the next one failed with."""

    delivered: int
    error: str | None = None


def deliver(runtime: Runtime, merchant_id: int, endpoint_id: int) -> int:
    """Tell the endpoint what is due; how many events it took."""
    work = _claim(runtime, merchant_id, endpoint_id)
    if work is None:
        return 0
    told = _tell(runtime, work)
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        _record(session, work, told, runtime.rng)
        _judge(session, work, told)
    return told.delivered


def _claim(runtime: Runtime, merchant_id: int, endpoint_id: int) -> Work | None:
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        row = session.row(
            """select url, sealed_secret from webhook_endpoint where merchant_id = %(merchant_id)s
               and endpoint_id = %(id)s and state = 'active' and (retry_at is null or retry_at <= %(now)s)""",
            id=endpoint_id, now=now,
        )  # fmt: skip
        if row is None:
            return None
        events = session.rows(_CLAIM, id=endpoint_id, now=now, until=now + CLAIM, limit=BATCH_MAX)
    if not events:
        return None
    secret = runtime.sealer.open(bytes(row.sealed_secret), bound_to=bound_to(merchant_id, endpoint_id))
    return Work(endpoint_id, row.url, secret.decode(), [Claimed(*event) for event in events])


def _tell(runtime: Runtime, work: Work) -> Told:
    http = replace(runtime.open_http(), total_s=ANSWER_S, read_s=ANSWER_S)
    signer, started = Webhook(work.secret), monotonic_s()
    for number, event in enumerate(work.events):
        if monotonic_s() - started > ROUND_S:
            return Told(number)
        try:
            _send(http, work.url, signer, event, runtime.clock())
        except ChannelError as error:
            return Told(number, error.reason)
    return Told(len(work.events))


def _send(http: Http, url: str, signer: Webhook, event: Claimed, now: datetime) -> None:
    body = orjson.dumps(
        {
            "type": event.type,
            "timestamp": event.occurred_at.astimezone(UTC),
            "sequence": event.event_id,
            "data": event.data,
        },
        option=orjson.OPT_UTC_Z,
    )
    key = f"evt_{event.event_id}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer.sign(msg_id=key, timestamp=now, data=body.decode()),
    }
    http.write("POST", url, data=body, headers=headers)


def _record(session: Session, work: Work, told: Told, rng: Random) -> None:
    rows = [_outcome(session.now, event, number, told, rng) for number, event in enumerate(work.events)]
    session.run(
        _RECORD, id=work.endpoint_id, now=session.now,
        events=[event.event_id for event in work.events],
        attempts=[event.attempts for event in work.events],
        states=[row[0] for row in rows],
        due=[row[1] for row in rows],
        errors=[row[2] for row in rows],
        begun=[row[3] for row in rows],
    )  # fmt: skip


def _outcome(
    now: datetime, event: Claimed, number: int, told: Told, rng: Random
) -> tuple[str, datetime, str | None, bool]:
    """(state, when it is due, error, whether it was sent at all)."""
    if number < told.delivered:
        return "delivered", now, None, True
    if number > told.delivered or told.error is None:
        return "waiting", now, None, False
    if event.attempts > len(RETRIES_S):
        return "failed", now, told.error, True
    wait = RETRIES_S[event.attempts - 1] * rng.uniform(1 - _JITTER, 1 + _JITTER)
    return "waiting", now + timedelta(seconds=wait), told.error, True


def _judge(session: Session, work: Work, told: Told) -> None:
    """How the endpoint stands after the round."""
    row = session.row(
        """select failures, failing_since, state from webhook_endpoint
           where merchant_id = %(merchant_id)s and endpoint_id = %(id)s for no key update""",
        id=work.endpoint_id,
    )
    if row is None:  # removed meanwhile
        return
    standing: dict[str, Any] = {"failures": 0, "since": None, "retry": None, "error": None, "disabled": False}
    if told.error is not None:
        failures = (0 if told.delivered else row.failures) + 1
        since = (None if told.delivered else row.failing_since) or session.now
        rest = timedelta(seconds=RESTS_S[min(failures, len(RESTS_S)) - 1])
        disabled = row.state == "active" and (told.error == "gone" or since <= session.now - DISABLED_AFTER)
        standing = {
            "failures": failures, "since": since, "retry": session.now + rest, "error": told.error,
            "disabled": disabled,
        }  # fmt: skip
    session.run(_STANDING, id=work.endpoint_id, **standing)
    if standing["disabled"]:
        detail = f"an endpoint for events failed for a day ({told.error}): it is told nothing until it is active again"
        open_cases(session, None, [(DISABLED, subject_of(work.endpoint_id), detail, {"error": told.error})])


def prune_webhooks(session: Session) -> int:
    """Forget events, told or not, after a week; how many."""
    return session.run(
        """with old as materialized (
               select event_id from webhook_event where merchant_id = %(merchant_id)s and occurred_at < %(before)s
               order by occurred_at limit %(limit)s
           ), told as (
               delete from webhook_delivery d using old
               where d.merchant_id = %(merchant_id)s and d.event_id = old.event_id
           )
           delete from webhook_event v using old where v.merchant_id = %(merchant_id)s and v.event_id = old.event_id""",
        before=session.now - KEPT,
        limit=PRUNED_MAX,
    )
