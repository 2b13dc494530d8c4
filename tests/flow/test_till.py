"""A till that a package brings: what it sells reaches the ledger, and nothing of it is accepted where tills are off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.config import Settings
from app.core.errors import Unavailable
from app.inbox.receive import Delivery, receive
from app.listings.channels import get_channel
from app.listings.credentials import read_credentials
from app.listings.leaving import leave
from app.web import create_app
from app.wiring import connectors_of
from app.worker import Worker
from sandbox.base import Delivery as Posted
from sandbox.faults import Faults
from sandbox.till import PretendTill
from tests.diagnosing import broken
from tests.street import Street

OPENING = "opening > available@A"


@pytest.fixture
def till(street: Street) -> PretendTill:
    street.world.move("mug", 10, OPENING, "50")
    street.town.state = "shadow"
    till = street.open_till({"mug": 10})
    street.settle()
    return till


def test_a_sale_at_the_till_is_booked_through_its_whole_life(street: Street, till: PretendTill) -> None:
    order = till.place_order([("mug", 3)])
    assert order is not None
    street.settle()
    assert street.world.level("mug") | {"available": 7, "committed": 3} == street.world.level("mug")
    street.world.now += timedelta(minutes=1)
    till.hand_over(order)
    street.settle()
    assert street.world.level("mug")["on_hand"] == 7
    assert street.world.balance("cost_of_goods_sold") == 15
    street.world.now += timedelta(minutes=1)
    till.refund(order, {"1": 2}, restock=True)
    street.settle()
    assert street.world.available("mug") == 9
    assert street.world.verify() == []
    assert street.cases() == []


def test_a_cancelled_sale_is_free_again_and_goods_kept_behind_the_counter_are_held(
    street: Street, till: PretendTill
) -> None:
    cancelled, refunded = till.place_order([("mug", 2)]), till.place_order([("mug", 3)])
    assert cancelled is not None
    assert refunded is not None
    street.settle()
    street.world.now += timedelta(minutes=1)
    till.cancel(cancelled)
    till.refund(refunded, {"1": 1}, restock=False)
    street.settle()
    assert street.world.available("mug") == 7
    assert street.world.level("mug")["quarantined"] == 1


def test_sales_whose_deliveries_are_lost_or_doubled_are_booked_once(street: Street, till: PretendTill) -> None:
    for number in range(6):
        till.context.faults = Faults(lose=float(number % 2), duplicate=1.0)
        till.place_order([("mug", 1)])
        street.settle(1)
    till.context.faults = Faults()
    street.settle(120)
    assert street.world.available("mug") == 4
    assert street.world.verify() == []


def test_a_sale_while_nobody_was_reading_is_found_by_the_poll(street: Street, till: PretendTill) -> None:
    street.heard = lambda posted: False
    till.place_order([("mug", 4)])
    street.settle(120)
    assert street.world.available("mug") == 6


def test_an_order_that_the_till_deleted_is_frozen_and_a_person_is_asked(street: Street, till: PretendTill) -> None:
    order = till.place_order([("mug", 3)])
    assert order is not None
    street.settle()
    till.delete_order(order)
    street.settle()
    assert street.world.available("mug") == 7
    assert street.cases() == ["order_deleted"]


def caught(street: Street, till: PretendTill) -> Posted:
    """A real delivery of a sale, not handed over."""
    kept: list[Posted] = []
    street.heard = lambda posted: kept.append(posted) is not None
    till.place_order([("mug", 1)])
    street.deliver()
    street.heard = lambda posted: True
    return next(posted for posted in kept if b"order.changed" in posted.body)


def post(street: Street, posted: Posted, **changed: object) -> int:
    client = create_app(replace(street.runtime, **changed)).test_client()  # type: ignore[arg-type]
    path = "/" + posted.url.split("/", 3)[3]
    return client.post(path, data=posted.body, headers=dict(posted.headers)).status_code


def test_a_delivery_of_the_till_is_taken_at_its_own_address_over_http(street: Street, till: PretendTill) -> None:
    posted = caught(street, till)
    forged = replace(posted, headers={**posted.headers, "X-Till-Signature": "0" * 64})
    assert post(street, forged) == 401
    assert post(street, replace(posted, url=posted.url + "x")) == 404
    assert post(street, posted) == 200
    street.settle()
    assert street.world.available("mug") == 9


def test_a_disconnected_till_is_told_to_stop(street: Street, till: PretendTill) -> None:
    posted = caught(street, till)
    street.world.leave()
    assert post(street, posted) == 410


def test_where_tills_are_switched_off_a_delivery_is_answered_like_an_unknown_shop_s(
    street: Street, till: PretendTill
) -> None:
    posted = caught(street, till)
    without = connectors_of(_without_tills(street), street.runtime.connectors)
    assert post(street, posted, connectors=without) == 404
    path = posted.url.split("/")
    asked = Delivery(path[4], path[5], {n.lower(): v for n, v in posted.headers.items()}, posted.body)
    stranger = replace(asked, path_key="nobody-s-key")
    runtime = replace(street.runtime, connectors=without)
    assert receive(runtime, [asked]) == receive(runtime, [stranger])
    with street.world.session() as session:
        assert session.value("select count(*) from inbox where merchant_id = %(merchant_id)s and state = 'open'") == 0


def test_a_till_whose_package_was_taken_away_waits_and_nothing_of_it_is_parked(
    street: Street, till: PretendTill
) -> None:
    till.place_order([("mug", 4)])
    street.deliver()
    without = connectors_of(_without_tills(street), street.runtime.connectors)
    with pytest.raises(Unavailable):
        without["till"]
    worker = Worker(replace(street.runtime, connectors=without), only_merchant=street.world.merchant_id)
    worker.step()
    street.world.now += timedelta(minutes=5)
    worker.step()
    assert street.parked() == []
    assert street.world.available("mug") == 10
    assert "connector_missing" in broken(street)
    street.world.now += timedelta(minutes=2)
    street.settle()
    assert "connector_missing" not in broken(street)
    assert street.world.available("mug") == 6


def test_a_till_whose_package_was_taken_away_can_be_disconnected_and_its_keys_are_forgotten(
    street: Street, till: PretendTill
) -> None:
    runtime = replace(street.runtime, connectors=connectors_of(_without_tills(street), street.runtime.connectors))
    channel_id, merchant_id = street.town.channel_of(till), street.world.merchant_id
    assert leave(runtime, merchant_id, channel_id, "somebody") == "no_connector"
    with street.world.session() as session:
        channel = get_channel(session, channel_id)
        assert read_credentials(runtime.sealer, session, channel_id) == {}
    assert channel.state == "disconnected"


def _without_tills(street: Street) -> Settings:
    shopify = street.settings.shopify.model_copy(update={"point_of_sale": False})
    return street.settings.model_copy(update={"shopify": shopify})
