"""RECEIVE: deliveries become rows, at most once, and the shop gets its answer.

A batch of deliveries is one transaction per merchant; nothing is answered before it is durable. A refused delivery is
counted and logged, never stored; one that came before is counted. WooCommerce gives a subscription up at the 7th
refusal, so it is never answered with an error for a signature (its answer is 202, and `diagnose` says so).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.db import Session
from app.core.log import get_logger
from app.core.reseal import Kept
from app.core.runtime import Runtime
from app.listings.channels import Channel, shop_of
from app.listings.credentials import WEBHOOK_SECRETS
from connectors.base import Connector, Notice, NoticeKind, Platform, Shop
from connectors.errors import AccessDenied, InvalidSignature, Malformed

DUPLICATE_DAYS = 2  # a vendor repeats a delivery for hours, at most about a day
DUPLICATE = "duplicate"  # counted beside the reasons of refusals: neither is stored
KEY_MAX = 200  # of what goes into an index: a longer one is no vendor's, and could fail a whole batch
LOGGED_MAX = 20  # kinds of refusals that one line of the log names
_REFUSALS = ("missing_signature", "invalid_signature")
_LOGGED = (*_REFUSALS, "keys_unreadable")
_LATER = 503  # what can't be checked now may be sent again

log = get_logger("receive")

Address = tuple[str, str]  # platform, and the shop's address on it

_FIND = "select * from find_shops(%(platforms)s::text[], %(addresses)s::text[])"
# The unique index knows today's; the days before are looked through.
_INSERT = """
insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key,
                   delivery_key, body, observed_at, state, reason, detail, received_at)
select %(merchant_id)s, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), d.channel_id, d.kind, 'webhook',
    d.topic,
       d.resource, d.resource_key, d.delivery_key, d.body, %(now)s, d.state, d.reason, d.detail, %(now)s
from unnest(%(channels)s::bigint[], %(kinds)s::text[], %(topics)s::text[], %(resources)s::text[], %(keys)s::text[],
            %(delivery_keys)s::text[], %(bodies)s::bytea[], %(states)s::text[], %(reasons)s::text[],
            %(details)s::text[])
     d(channel_id, kind, topic, resource, resource_key, delivery_key, body, state, reason, detail)
where d.delivery_key is null or not exists (
    select from inbox i where i.merchant_id = %(merchant_id)s and i.channel_id = d.channel_id
    and i.delivery_key = d.delivery_key and i.received_on < (%(now)s at time zone 'UTC')::date
    and i.received_on >= (%(now)s at time zone 'UTC')::date - %(days)s)
on conflict do nothing
returning channel_id
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to a webhook address: raw bytes, headers lower-case, the address's own key if it has one."""

    platform: str
    path_key: str | None
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the shop is answered; `reason` is the slug of the outcome, `hint` what the log says of a refusal."""

    status: int
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A shop that may deliver."""

    merchant_id: int
    channel: Channel
    shop: Shop


def _find_shops(runtime: Runtime, addresses: Sequence[Address | None], now: datetime) -> list[Known | None]:
    """The shop at each address, None for nobody's. Looked up with every batch: what was true a second ago may have been
    disconnected since."""
    wanted = sorted({address for address in addresses if address is not None})
    if not wanted:
        return [None] * len(addresses)
    with runtime.database.across(now) as session:
        rows = session.rows(_FIND, platforms=[p for p, _ in wanted], addresses=[a for _, a in wanted])
    found: dict[Address, Known] = {}
    for row in rows:
        channel = Channel(*row[2:])
        found[wanted[row.n - 1]] = Known(row.merchant_id, channel, shop_of(runtime, row.merchant_id, channel))
    return [found.get(address) if address is not None else None for address in addresses]


@dataclass(frozen=True, slots=True)
class _Row:
    channel_id: int
    kind: str
    topic: str
    resource: str
    resource_key: str
    delivery_key: str | None = None
    body: bytes | None = None
    state: str = "open"
    reason: str | None = None
    detail: str | None = None


def receive(runtime: Runtime, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Store a batch of deliveries and say what to answer each; rings the doorbell when something new came."""
    now = runtime.clock()
    found = _find_shops(runtime, [_address(runtime, d) for d in deliveries], now)
    judged = [_judge(runtime, known, d) for known, d in zip(found, deliveries, strict=True)]
    by_merchant: defaultdict[int, list[int]] = defaultdict(list)
    for number, (known, (_, row)) in enumerate(zip(found, judged, strict=True)):
        if known is not None and (row is not None or judged[number][0].reason in _REFUSALS):
            by_merchant[known.merchant_id].append(number)
    stored = 0
    for merchant_id, numbers in by_merchant.items():
        with runtime.begin(merchant_id, now) as session:
            rows = [row for n in numbers if (row := judged[n][1]) is not None]
            kept = _insert(session, rows)
            refused = Counter((k.channel.channel_id, judged[n][0].reason) for n in numbers if (k := found[n]))
            _count(session, refused, Counter(row.channel_id for row in rows) - kept)
            stored += kept.total()
    _log_refusals(deliveries, found, [receipt for receipt, _ in judged])
    if stored:
        runtime.ring()
    return [receipt for receipt, _ in judged]


def _log_refusals(deliveries: Sequence[Delivery], found: Sequence[Known | None], receipts: Sequence[Receipt]) -> None:
    """One line for all of a batch, however many: who, why and what it may be. Neither body nor header is in it."""
    refused = Counter(
        (delivery.platform, known.shop.base_url if known else "", receipt.reason, receipt.hint)
        for delivery, known, receipt in zip(deliveries, found, receipts, strict=True)
        if receipt.reason in _LOGGED
    )
    if refused:
        kinds = [
            {"platform": platform, "shop": shop, "reason": reason, "hint": hint, "count": count}
            for (platform, shop, reason, hint), count in refused.most_common(LOGGED_MAX)
        ]
        log.warning("deliveries_refused", refused=kinds, count=refused.total())


def _address(runtime: Runtime, delivery: Delivery) -> Address | None:
    """Which shop a delivery says it is from."""
    connector = runtime.connectors.get(delivery.platform)
    address = connector.address(delivery.headers, delivery.path_key) if connector else None
    # A path may hold a NUL, the database's text can't, and the others of the batch would fail with it.
    return None if address is None or "\0" in address else (delivery.platform, address)


def _judge(runtime: Runtime, known: Known | None, delivery: Delivery) -> tuple[Receipt, _Row | None]:
    """Verify one delivery and say what becomes of it."""
    if known is None:
        return _judge_unknown(runtime, delivery), None
    channel, shop = known.channel, known.shop
    connector = runtime.connectors[channel.platform]
    able, gone = connector.abilities, channel.state == "disconnected"
    left = Receipt(able.gone_status, "disconnected")
    if gone and channel.platform not in runtime.platforms:
        return left, None
    try:
        notice = _verified_notice(connector, shop, delivery)
    except InvalidSignature as error:
        return Receipt(able.refused_status, error.reason, error.detail), None
    except AccessDenied as error:
        return (left if gone else Receipt(_LATER, error.reason, error.detail)), None
    except Malformed as error:
        return (left, None) if gone else (Receipt(200, "parked"), _unreadable(runtime, channel, delivery, error))
    if gone and notice.kind is not NoticeKind.APP:
        return left, None
    if notice.kind is NoticeKind.IGNORED:
        return Receipt(200, "ignored"), None
    return Receipt(200, "received"), _Row(
        channel.channel_id,
        notice.kind,
        notice.topic,
        notice.resource,
        notice.resource_key,
        notice.delivery_key,
        notice.body,
    )


def _unreadable(runtime: Runtime, channel: Channel, delivery: Delivery, error: Malformed) -> _Row:
    """What it said is kept, sealed, until a person has looked."""
    sealed = runtime.sealer.seal(delivery.body, bound_to=_bound(channel.channel_id))
    return _Row(
        channel.channel_id, "document", "unreadable", "unknown", "", None, sealed, "parked", error.reason[:KEY_MAX],
        error.detail,
    )  # fmt: skip


def _judge_unknown(runtime: Runtime, delivery: Delivery) -> Receipt:
    """Of a shop that nobody has, or no longer. What our own app is told there, such as a request for privacy, is
    answered: nothing is held. Anybody can name a Shopify shop, so whoever can't sign hears what they would hear of one
    that is connected; WooCommerce's address is a secret of its own."""
    if delivery.platform != Platform.SHOPIFY:
        return Receipt(404, "unknown_shop")
    connector = runtime.connectors[delivery.platform]
    try:
        connector.verify(runtime.settings.shopify.secrets(), delivery.headers, delivery.body)
    except InvalidSignature as error:
        return Receipt(connector.abilities.refused_status, error.reason, error.detail)
    return Receipt(200, "nothing_held")


def _verified_notice(connector: Connector, shop: Shop, delivery: Delivery) -> Notice:
    """A ping is unsigned and says nothing; everything else must be signed. Raises InvalidSignature, Malformed, and
    AccessDenied where what they are signed with can't be read."""
    secrets = shop.credentials.get(WEBHOOK_SECRETS, "").split()  # an empty one would let anybody sign
    try:
        connector.verify(secrets, delivery.headers, delivery.body)
    except InvalidSignature:
        if connector.is_ping(delivery.headers, delivery.body):
            return Notice(NoticeKind.IGNORED, "ping", "app", "")
        raise
    notice = connector.notice(shop, delivery.headers, delivery.body)
    for name in ("delivery_key", "resource", "resource_key"):
        if len(getattr(notice, name) or "") > KEY_MAX:
            raise Malformed("key_too_long", f"longer than {KEY_MAX} characters", field=name)
    return notice


def _insert(session: Session, rows: Sequence[_Row]) -> Counter[int]:
    """How many were new, by channel."""
    if not rows:
        return Counter()
    columns: dict[str, list[Any]] = {
        "channels": [r.channel_id for r in rows],
        "kinds": [r.kind for r in rows],
        "topics": [r.topic for r in rows],
        "resources": [r.resource for r in rows],
        "keys": [r.resource_key for r in rows],
        "delivery_keys": [r.delivery_key for r in rows],
        "bodies": [r.body for r in rows],
        "states": [r.state for r in rows],
        "reasons": [r.reason for r in rows],
        "details": [r.detail for r in rows],
    }
    kept = session.rows(_INSERT, now=session.now, days=DUPLICATE_DAYS, **columns)
    return Counter(row.channel_id for row in kept)


def _count(session: Session, outcomes: Mapping[tuple[int, str], int], duplicates: Mapping[int, int]) -> None:
    """What was not stored, by channel and reason."""
    counts = {outcome: count for outcome, count in outcomes.items() if outcome[1] in _REFUSALS}
    counts |= {(channel_id, DUPLICATE): count for channel_id, count in duplicates.items()}
    if counts:
        session.run(
            """insert into delivery_refusal (merchant_id, channel_id, reason, refused_on, count, last_at)
               select %(merchant_id)s, r.*, %(now)s
               from (select c, r, (%(now)s at time zone 'UTC')::date, n
                     from unnest(%(channels)s::bigint[], %(reasons)s::text[], %(counts)s::bigint[]) u(c, r, n)
                     order by 1, 2) r
               on conflict (merchant_id, channel_id, reason, refused_on)
               do update set count = delivery_refusal.count + excluded.count, last_at = excluded.last_at""",
            now=session.now, channels=[c for c, _ in counts], reasons=[r for _, r in counts],
            counts=list(counts.values()),
        )  # fmt: skip


def _bound(channel_id: int) -> str:
    return f"inbox:{channel_id}"


SEALED = (
    Kept("inbox", "body", {"received_on": "date", "inbox_id": "bigint"}, lambda merchant, row: _bound(row.channel_id),
         also=("channel_id",), where="topic = 'unreadable'"),
)  # fmt: skip
