"""Any value of an answer or a delivery may be of another kind: that is an error in words, or read past; no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest

from app.simulation.spoiling import WRONG, places
from connectors.base import NoticeKind, StockWrite
from connectors.errors import ChannelError, Malformed
from sandbox.base import Delivery, Request, Response, Shop
from tests.contract.rig import Clock, Rig
from tests.contract.shopify_rig import ShopifyRig
from tests.contract.suite import heads, row, until_now
from tests.contract.till_rig import TillRig
from tests.contract.woo_rig import WooRig

ANSWERS_MAX = 3  # of one call
VENDORS: dict[str, Callable[[], Rig]] = {
    "shopify": lambda: ShopifyRig(Clock()), "woocommerce": lambda: WooRig(Clock()), "till": lambda: TillRig(Clock()),
}  # fmt: skip


@pytest.fixture(params=VENDORS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = VENDORS[request.param]()
    with made.front:
        yield made
    made.http.session.close()


class _Spoiling:
    """The shop itself, but for one value of one of its answers. `values`: how many there are in that."""

    def __init__(self, shop: Shop, answer: int, place: int, wrong: Any) -> None:
        self._shop, self._left, self._place, self._wrong = shop, answer, place, wrong
        self.values = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shop, name)

    def handle(self, request: Request) -> Response:
        answer = self._shop.handle(request)
        self._left -= 1
        return self._spoilt(answer) if self._left == -1 else answer

    def _spoilt(self, answer: Response) -> Response:
        whole = {"all": orjson.loads(answer.body)}
        found = list(places(whole))
        self.values = len(found)
        holder, key = found[self._place]
        holder[key] = self._wrong
        return Response(answer.status, answer.headers, orjson.dumps(whole["all"]))


def _orders(rig: Rig, key: str) -> None:
    listed = [head.document for head in heads(rig, until_now(rig))]
    read = rig.connector.read_orders_by_key(rig.http, rig.shop, [key])
    for document in (*filter(None, listed), *read):
        with suppress(Malformed):
            rig.connector.parse_order(document.body)


def _write(rig: Rig, wanted: StockWrite) -> None:
    rig.connector.write_stock(rig.http, rig.shop, [wanted], f"key {rig.clock()}")


@pytest.mark.parametrize("call", ["orders", "stock", "catalogue", "entries", "places", "facts", "webhooks", "write"])
def test_whatever_value_of_an_answer_is_of_another_kind_what_comes_of_it_is_said_in_words(rig: Rig, call: str) -> None:
    rig.subscribe()
    stock, order = rig.add("A", 500), rig.order("A", 2)
    rig.add("B", 7)
    rig.refund(order, 1, restock=True)
    connector, http, shop = rig.connector, rig.http, rig.shop
    listed = [entry.listing_key for page in connector.read_catalogue(http, shop) for entry in page.entries]
    calls: dict[str, Callable[[], object]] = {
        "orders": lambda: _orders(rig, order),
        "stock": lambda: connector.read_stock(http, shop, [stock]),
        "catalogue": lambda: list(connector.read_catalogue(http, shop)),
        "entries": lambda: connector.read_entries(http, shop, listed),
        "places": lambda: connector.read_locations(http, shop),
        "facts": lambda: connector.read_facts(http, shop),
        "webhooks": lambda: connector.read_webhooks(http, shop),
        "write": lambda: _write(rig, row(rig, stock, 498, 497)),
    }
    tried = sum(_each_value(rig, answer, calls[call]) for answer in range(ANSWERS_MAX))
    assert tried > ANSWERS_MAX * (len(WRONG) + 1) or call == "places"  # some know of one place without asking


def _each_value(rig: Rig, answer: int, call: Callable[[], object]) -> int:
    """Make the call with each value of that one of its answers as something else; how many times."""
    place = tried = 0
    values = 1
    while place < values:
        for wrong in (None, *WRONG):
            shop = _Spoiling(rig.pretend, answer, place, wrong)
            rig.front.shop = shop  # type: ignore[assignment]
            rig.clock.tick(1)
            with suppress(ChannelError):
                call()
            tried, values = tried + 1, shop.values
        place += 1
    return tried


def _all_kinds(rig: Rig) -> list[Delivery]:
    """Deliveries of orders, of what becomes of them, of numbers and of products."""
    rig.subscribe()
    rig.add("A", 500)
    order, gone = rig.order("A", 3), rig.order("A", 2)
    rig.ship(order)
    rig.refund(order, 1, restock=True)
    rig.cancel(gone)
    found = [delivery for delivery in rig.pretend.due_deliveries() if delivery.hook_key]
    for _ in range(5):
        rig.clock.tick(60)
        found += rig.pretend.due_deliveries()
    return found


def _each_spoilt(body: bytes) -> Iterator[bytes]:
    """Each of its values as something else."""
    whole = {"all": orjson.loads(body)}
    for holder, key in list(places(whole)):
        kept = holder[key]
        for wrong in (None, *WRONG):
            holder[key] = wrong
            yield orjson.dumps(whole["all"])
        holder[key] = kept


def test_whatever_value_of_a_delivery_is_of_another_kind_what_comes_of_it_is_said_in_words(rig: Rig) -> None:
    tried = 0
    for delivery in _all_kinds(rig):
        for body in _each_spoilt(delivery.body):
            tried += 1
            with suppress(Malformed):
                notice = rig.connector.notice(rig.shop, delivery.headers, body)
                if notice.kind is NoticeKind.DOCUMENT:
                    rig.connector.parse_order(notice.body or b"")
    assert tried > 500
