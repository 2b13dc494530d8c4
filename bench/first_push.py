"""How long it takes from connecting a shop to the first correct number in it, when somebody clicks at once: a pretend
shop over loopback, a real worker, and the acts of the pages in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from time import perf_counter

from app.accounts.merchants import create_merchant
from app.catalog.locations import create_location
from app.core.clock import system_clock
from app.ledger.models import Movement, State
from app.ledger.post import post
from app.listings import matching
from app.listings.channels import NewChannel
from app.listings.connect import connect, read_history
from app.listings.credentials import WEBHOOK_SECRETS
from app.listings.opening import open_from_shop
from app.publishing.first_push import approve, lay_out
from bench import process
from bench.scratch import HOST, Scratch, free_port
from sandbox.base import Context
from sandbox.front import Front
from sandbox.shopify import PretendShopify
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.woocommerce import Key, Options, WooShop

PRODUCTS, STOCK, PLACE = 100, 10, "Main"
DOMAIN, WOO_ADDRESS, WOO_SECRET = "bench-first.myshopify.com", "bench-first-key", "benchfirstsecret"
WAIT_MAX_S, LOOK_EVERY_S = 300.0, 0.1
Shop = PretendShopify | WooShop


def run(home: Scratch) -> dict[str, float]:
    """Seconds by platform. The worker runs."""
    took = {}
    for platform, opened in (("shopify", _shopify), ("woocommerce", _woo)):
        with opened() as (front, shop, new):
            took[platform] = round(_first_push(home, front, shop, new), 1)
    return took


def _first_push(home: Scratch, front: Front, shop: Shop, new: NewChannel) -> float:
    runtime = home.runtime
    merchant_id = create_merchant(runtime.database, runtime.clock(), name=new.name)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        place = create_location(session, PLACE)
    began = perf_counter()
    channel_id = connect(runtime, merchant_id, new, webhook_url=f"{home.origin}/webhooks/{new.platform}")
    read_history(runtime, merchant_id, channel_id)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        listings, _ = matching.propose(session, channel_id).of(["new"])
        matching.accept(session, channel_id, ["new"], listings=listings, by="bench")
        open_from_shop(session, channel_id)
        first = session.value("select min(item_id) from item where merchant_id = %(merchant_id)s")
        come = Movement(first, 1, State.SUPPLIER, State.AVAILABLE, "bench", "1", session.now, to_location_id=place)
        post(session, [come])
        shown = lay_out(session, channel_id)
        approve(session, channel_id, shown.digest, by="bench")
    _wait(front, shop)
    return perf_counter() - began


def _wait(front: Front, shop: Shop) -> None:
    """Until one number is one more and all others are what they were. Raises TimeoutError."""
    until = perf_counter() + WAIT_MAX_S
    while perf_counter() < until:
        with front.lock:
            numbers = sorted(shop.shown().values())
        if numbers == [STOCK] * (PRODUCTS - 1) + [STOCK + 1]:
            return
        process.rest(LOOK_EVERY_S)
    raise TimeoutError(f"the first push does not come; the shop shows {numbers}")


@contextmanager
def _shopify() -> Iterator[tuple[Front, Shop, NewChannel]]:
    shop = PretendShopify(Context(system_clock, Random(1)), domain=DOMAIN)
    place = shop.add_location(PLACE)
    for number in range(PRODUCTS):
        shop.add_variant(f"{number}", {place: STOCK})
    tokens = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
    with Front(shop, pump=False) as front:
        yield front, shop, NewChannel("shopify", "Shopify", DOMAIN, front.base_url, tokens, {}, "shadow")


@contextmanager
def _woo() -> Iterator[tuple[Front, Shop, NewChannel]]:
    port = free_port()
    shop, key = WooShop(Context(system_clock, Random(1)), Options(base_url=f"http://{HOST}:{port}")), Key()
    for number in range(PRODUCTS):
        shop.add_product(f"{number}", STOCK)
    keys = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret, WEBHOOK_SECRETS: WOO_SECRET}
    with Front(shop, port=port, pump=False) as front:
        yield front, shop, NewChannel("woocommerce", "Woo", WOO_ADDRESS, front.base_url, keys, {}, "shadow")
