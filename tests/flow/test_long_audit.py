"""A comparison of all numbers that takes longer than a claim lasts."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.reconcile.audit import Audited, audit
from sandbox.base import Request, Response
from tests.street import Street

SKUS = [f"sku-{number}" for number in range(120)]  # more than are read in one call


def test_a_comparison_that_takes_longer_than_a_claim_lasts_is_not_begun_by_others_meanwhile_and_ends(
    street: Street,
) -> None:
    for sku in SKUS:
        street.world.item(sku)
    shop = street.open_woo(dict.fromkeys(SKUS, 0))
    channel, merchant = street.channel_of(shop), street.world.merchant_id
    street.settle(5)
    begun = list[Audited]()
    handle = shop.handle

    def slowly(request: Request) -> Response:
        street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s * 0.6)
        begun.append(audit(street.runtime, merchant, channel))
        return handle(request)

    ask(street, channel)
    shop.handle = slowly  # type: ignore[method-assign]
    since = street.world.now
    found = audit(street.runtime, merchant, channel)
    assert (found.numbers, found.error) == (len(SKUS), "")
    assert len(begun) >= 2
    assert set(begun) == {Audited()}
    assert completed_at(street) == since


def test_a_comparison_that_the_shop_breaks_off_again_and_again_goes_on_where_it_was_and_ends(street: Street) -> None:
    for sku in SKUS:
        street.world.item(sku)
    shop = street.open_woo(dict.fromkeys(SKUS, 0))
    channel, merchant = street.channel_of(shop), street.world.merchant_id
    street.settle(5)
    begun, handle, calls = street.world.now + timedelta(seconds=1), shop.handle, list[Request]()

    def now_and_then(request: Request) -> Response:
        calls.append(request)
        return handle(request) if len(calls) % 8 == 1 else Response(429, {}, b"")

    shop.handle = now_and_then  # type: ignore[method-assign]
    street.world.now = begun
    ask(street, channel)
    found = [audit(street.runtime, merchant, channel)]
    while found[-1].error and len(found) < 20:
        street.world.now += timedelta(seconds=60)
        found.append(audit(street.runtime, merchant, channel))
    assert sum(one.numbers for one in found) == len(SKUS)
    assert len(found) > 1
    assert completed_at(street) == begun
    street.world.now += timedelta(hours=2)
    ask(street, channel)
    shop.handle = handle  # type: ignore[method-assign]
    assert audit(street.runtime, merchant, channel).numbers == len(SKUS)
    assert completed_at(street) == street.world.now


def ask(street: Street, channel: int) -> None:
    with street.world.session() as session:
        session.run(
            """update channel_poll set due_at = %(now)s
               where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'stock'""",
            now=session.now, channel=channel,
        )  # fmt: skip


def completed_at(street: Street) -> datetime | None:
    with street.world.session() as session:
        at: datetime | None = session.value(
            "select completed_at from channel_poll where merchant_id = %(merchant_id)s and kind = 'stock'"
        )
    return at
