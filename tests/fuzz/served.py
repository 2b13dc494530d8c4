"""The API as it is fuzzed: a merchant with something of everything, served on a loopback port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from flask import Flask

from app.accounts.keys import create_key
from app.web import create_app
from tests.fuzz.fuzzing import Fuzzer, Known
from tests.serve import serving
from tests.street import Street

_IDS = {
    "item_id": "select item_id from item",
    "movement_id": "select movement_id from movement",
    "order_id": "select order_id from sales_order",
    "channel_id": "select channel_id from channel",
    "listing_id": "select listing_id from listing",
    "number_id": "select owner_id from stock_owner",
    "case_id": "select case_id from case_file",
    "location_id": "select location_id from location",
    "endpoint_id": "select endpoint_id from webhook_endpoint",
}


def furnish(street: Street) -> None:
    """Two shops, stock, orders, something that is no item, open cases."""
    world = street.world
    for number in range(20):
        world.move(f"i{number}", 1_000, "opening > available@A", "5000")
    world.kit("pair", {"i0": 2, "i1": 1})
    stock = {f"i{number}": 1_000 for number in range(10)}
    shop = street.open_shopify({**stock, "poster": 4})
    street.open_woo(stock)
    street.settle()
    for number in range(5):
        shop.place_order([(f"i{number}", 1), ("i9", 2)])
    street.settle(1)
    with world.session() as session:
        session.run(
            """insert into case_file (merchant_id, case_id, kind, subject, detail, opened_at)
               select %(merchant_id)s, nextval('case_seq'), 'goods_to_check', 'box ' || n, 'look', %(now)s
               from generate_series(1, 30) n""",
            now=session.now,
        )


def known(street: Street) -> Known:
    """What there is to be named."""
    with street.world.session() as session:
        ids = {
            name: [row[0] for row in session.rows(f"{sql} where merchant_id = %(merchant_id)s order by 1")] or [1]
            for name, sql in _IDS.items()
        }
        rows = session.rows("select sku from item where merchant_id = %(merchant_id)s and kind = 'stock' order by 1")
    return Known(ids, [row.sku for row in rows])


@contextmanager
def fuzzing(street: Street, seed: int, broken: Callable[[Flask], None] = lambda app: None) -> Iterator[Fuzzer]:
    """A fuzzer of the street's merchant, with a key that may do everything as often as it likes."""
    settings = street.runtime.settings
    wide = settings.model_copy(update={"api": settings.api.model_copy(update={"requests_per_minute": 1_000_000})})
    with street.world.session() as session:
        _, token = create_key(session, name="fuzz", scopes=["all"], expires_at=None)
    app = create_app(replace(street.runtime, settings=wide))
    broken(app)
    with serving(app) as address:
        yield Fuzzer(address, token, known(street), seed)
