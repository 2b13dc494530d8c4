"""An order that says what nobody can mean is parked, and holds up no other."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import InvalidInput
from app.inbox import process
from sandbox.base import Request, Response
from tests.drifting import PLATFORMS, Shop, audit, numbers, open_shops
from tests.street import Street

SAID = {
    "an amount that no ledger keeps": [
        (rb'"10\.00"', b'"1e30"'),
        (rb'"price":\s*"?10(\.00)?"?', b'"price":999999999999999'),
    ],
    "a day at the end of time": [
        (rb'"(createdAt|created_at)":\s*"[^"]+"', rb'"\1":"9999-12-31T23:59:59Z"'),
        (rb'"date_created_gmt":\s*"[^"]+"', b'"date_created_gmt":"9999-12-31T23:59:59"'),
    ],
    "a day before time": [
        (rb'"(createdAt|created_at)":\s*"[^"]+"', rb'"\1":"0001-01-01T00:00:00+05:00"'),
        (rb'"date_created_gmt":\s*"[^"]+"', b'"date_created_gmt":"0001-01-01T00:00:00+05:00"'),
    ],
}


def spoil(monkeypatch: pytest.MonkeyPatch, street: Street, shop: Shop, said: str) -> None:
    """From now on the shop says that of every order."""
    handle, due = shop.handle, shop.due_deliveries

    def spoilt(body: bytes) -> bytes:
        for was, now in SAID[said]:
            body = re.sub(was, now, body)
        return body

    def answer(request: Request) -> Response:
        found = handle(request)
        return replace(found, body=spoilt(found.body)) if b"rders" in request.body + request.path.encode() else found

    monkeypatch.setattr(shop, "handle", answer)
    monkeypatch.setattr(
        shop, "due_deliveries", lambda: [street.signed(shop, posted, spoilt(posted.body)) for posted in due()]
    )


@PLATFORMS
@pytest.mark.parametrize("said", SAID)
def test_an_order_that_says_what_nobody_can_mean_is_parked_and_later_ones_are_booked(
    street: Street, monkeypatch: pytest.MonkeyPatch, platform: str, said: str
) -> None:
    shop, other = open_shops(street, platform, "ask")
    with monkeypatch.context() as spoiling:
        spoil(spoiling, street, shop, said)
        shop.place_order([("mug", 3)])
        street.settle(30)
        assert street.parked()
    shop.place_order([("mug", 1)])
    audit(street)
    assert numbers(street, shop, other) == (16, 16, 16)


def test_what_is_parked_is_the_document_that_was_refused_and_none_that_comes_next(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.world.item("mug")
    shop = street.open_shopify({"mug": 20})
    street.settle()
    for _ in range(2):
        shop.place_order([("mug", 1)])
    street.deliver()
    channel, claim = street.channel_of(shop), process._claim
    opened = open_documents(street)
    assert len(opened) >= 2
    others = street.world.database.engine.connect()

    def refuse(*_: Any) -> int:
        raise InvalidInput("refused", "by this test")

    def claimed(session: Any, channel_id: int, limit: int, only: Any = None) -> Any:
        if only is not None and not others.in_transaction():  # somebody else is quicker
            others.exec_driver_sql("select set_config('app.merchant_id', %(m)s, true)", {"m": str(session.merchant_id)})
            others.exec_driver_sql(f"select from inbox where inbox_id = {only[0]} for update")
        return claim(session, channel_id, limit, only)

    monkeypatch.setattr(process, "_orders", refuse)
    monkeypatch.setattr(process, "_claim", claimed)
    told = process.process(street.runtime, street.world.merchant_id, channel)
    others.rollback()
    others.close()
    assert (told.parked, open_documents(street)) == (0, opened)


def open_documents(street: Street) -> list[int]:
    with street.world.session() as session:
        rows = session.rows(
            """select inbox_id from inbox where merchant_id = %(merchant_id)s and kind = 'document' and state = 'open'
               order by 1"""
        )
    return [row.inbox_id for row in rows]
