"""The transport without sockets answers as the shop does and fails as the network does."""

from __future__ import annotations

import pytest
import requests

from sandbox.faults import Faults
from sandbox.inprocess import ShopAdapter, session
from tests.unit.sandbox.woo import Bench


def test_a_session_reaches_the_shop_with_query_and_body() -> None:
    bench = Bench()
    answer = session(bench.shop).get("https://shop.example/wp-json/", params={"_fields": "name"})
    assert answer.json() == {"name": "Pretend Woo"}


@pytest.mark.parametrize(("faults", "handled"), [(Faults(timeout_before=1.0), 0), (Faults(timeout_after=1.0), 1)])
def test_a_timeout_says_nothing_about_whether_the_shop_acted(faults: Faults, handled: int) -> None:
    bench = Bench()
    product = bench.shop.add_product("A", 5)
    bench.context.faults = faults
    made = session(bench.shop)
    url = f"https://shop.example/wp-json/wc/v3/products/{product}"
    key = bench.shop.options.keys[0]
    with pytest.raises(requests.ReadTimeout):
        made.put(url, json={"inventory_delta": -1}, auth=(key.consumer_key, key.consumer_secret))
    assert bench.shop.shown()["A"] == 5 - handled


def test_a_throttled_call_is_answered_in_the_shop_s_own_words() -> None:
    bench = Bench()
    bench.context.faults = Faults(throttle=1.0)
    answer = session(bench.shop).get("https://shop.example/wp-json/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_every_call_is_written_down() -> None:
    bench = Bench()
    made = requests.Session()
    adapter = ShopAdapter(bench.shop)
    made.mount("https://", adapter)
    made.get("https://shop.example/wp-json/?a=1")
    assert [(call.method, call.path, call.query) for call in adapter.calls] == [("GET", "/wp-json/", (("a", "1"),))]
