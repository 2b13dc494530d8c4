"""A comparison of all numbers that takes longer than a claim lasts."""

from __future__ import annotations

from datetime import timedelta

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

    with street.world.session() as session:
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s and kind = 'stock'",
                    now=session.now)  # fmt: skip
    shop.handle = slowly  # type: ignore[method-assign]
    since = street.world.now
    found = audit(street.runtime, merchant, channel)
    assert (found.numbers, found.error) == (len(SKUS), "")
    assert len(begun) >= 2
    assert set(begun) == {Audited()}
    with street.world.session() as session:
        completed = session.value(
            "select completed_at from channel_poll where merchant_id = %(merchant_id)s and kind = 'stock'"
        )
    assert completed == since
