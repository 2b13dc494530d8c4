"""A shop's keys that can't be opened, since their encryption key was taken away or the row was spoilt: that shop waits
and says why, every other goes on, and it goes on by itself when they can be opened again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.insight.diagnose import diagnose
from app.listings.channels import get_channel
from app.listings.connect import renew_credentials
from app.listings.leaving import leave
from app.listings.states import get_standing
from app.reconcile.check import check
from app.simulation.town import hand_over
from app.web import create_app
from connectors.errors import AccessDenied
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.deliveries import post
from tests.diagnosing import OPENING, later, run
from tests.street import Street


@dataclass
class Row:
    """Two shops of one merchant, and the keys of the second."""

    street: Street
    shopify: PretendShopify
    woo: WooShop

    @property
    def channel_id(self) -> int:
        return self.street.channel_of(self.woo)

    def spoil(self) -> bytes:
        """The last byte of what is sealed is another one; returns what it was."""
        with self.street.world.session() as session:
            kept = bytes(get_channel(session, self.channel_id).sealed_credentials)
        self.write(kept[:-1] + bytes([kept[-1] ^ 1]))
        return kept

    def write(self, sealed: bytes) -> None:
        run(
            self.street,
            """update channel set sealed_credentials = %(sealed)s
               where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
            id=self.channel_id,
            sealed=sealed,
        )


def broken(street: Street) -> list[str]:
    with street.world.session() as session:
        return [finding.link for one in diagnose(session) for finding in one.findings if finding.broken]


@pytest.fixture
def row(street: Street) -> Row:
    street.world.move("mug", 10, OPENING, "50")
    return Row(street, street.open_shopify({"mug": 10}), street.open_woo({"mug": 10}))


def test_a_shop_whose_keys_cant_be_opened_keeps_no_other_from_being_heard_read_and_written(row: Row) -> None:
    street = row.street
    street.settle()
    kept = row.spoil()
    row.woo.place_order([("mug", 2)])
    row.shopify.place_order([("mug", 3)])
    posted = [(shop, one) for shop in (row.woo, row.shopify) for one in shop.due_deliveries()]
    said = {(shop, status) for (shop, _), status in zip(posted, hand_over(street.runtime, posted), strict=True)}
    assert said == {(row.woo, 503), (row.shopify, 200)}
    later(street, times=3)
    assert "keys_unreadable" in broken(street)
    assert (street.shown_at(row.shopify, "mug")["A"], row.woo.shown()["mug"]) == (7, 8)
    row.write(kept)
    later(street, 400, times=3)
    assert "keys_unreadable" not in broken(street)
    assert (street.shown_at(row.shopify, "mug")["A"], row.woo.shown()["mug"]) == (5, 5)


def test_a_delivery_that_cant_be_checked_now_is_asked_for_again_later(row: Row) -> None:
    row.street.settle()
    row.spoil()
    row.woo.place_order([("mug", 2)])
    posted = next(one for one in row.woo.due_deliveries() if one.headers["X-WC-Webhook-Topic"] == "order.created")
    answer = post(create_app(row.street.runtime), posted)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)


def test_a_shop_whose_keys_cant_be_opened_says_so_where_it_is_asked_and_can_be_disconnected(row: Row) -> None:
    street, merchant_id = row.street, row.street.world.merchant_id
    street.settle()
    row.spoil()
    found = {one.name: (one.state, one.reason) for one in check(street.runtime, merchant_id, row.channel_id)}
    assert found["key"] == ("fail", "keys_unreadable")
    with pytest.raises(AccessDenied, match="keys_unreadable"):
        renew_credentials(street.runtime, merchant_id, row.channel_id, {"consumer_key": "ck_new"})
    assert leave(street.runtime, merchant_id, row.channel_id, "test") in ("", "keys_unreadable")
    with street.world.session() as session:
        assert get_standing(session, row.channel_id).state == "disconnected"
