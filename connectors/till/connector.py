"""Plain till as a `connectors.base.Connector`: each method names the file that does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.base import (
    Abilities,
    CatalogueEntry,
    ChannelLocation,
    Notice,
    OrderDocument,
    OrderHead,
    OrderSnapshot,
    Shop,
    StockKey,
    StockReading,
    StockWrite,
    Subscription,
    Window,
    WriteMode,
    WriteOutcome,
)
from connectors.export import CataloguePage
from connectors.http import Http
from connectors.parts import NoExports, is_ours
from connectors.till import fields, orders, stock, webhooks
from connectors.till.api import PAGE, Api

FACTS = ("name", "version", "currency")


@dataclass(frozen=True)
class Till(NoExports):
    """Stateless. Credentials: `token`; each shop has a webhook address of its own."""

    platform: str = "till"
    abilities: Abilities = Abilities(  # noqa: RUF009 (frozen)
        write_mode=WriteMode.ABSOLUTE,
        has_locations=False,
        replays_by_key=False,
        write_rows_max=stock.WRITE_ROWS_MAX,
        read_rows_max=stock.READ_ROWS_MAX,
        read_orders_max=PAGE,
        reads_in_order=True,  # by the last change, then by number
        version_tells=False,  # two changes may share a microsecond of the till's clock
        point_of_sale=True,
    )

    def address(self, headers: Mapping[str, str], path_key: str | None) -> str | None:
        """The unguessable part of the shop's own webhook URL."""
        return path_key

    def verify(self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
        """See `webhooks.verify`."""
        webhooks.verify(secrets, headers, body)

    def is_ping(self, headers: Mapping[str, str], body: bytes) -> bool:
        """The till sends no trial deliveries."""
        return False

    def notice(self, shop: Shop, headers: Mapping[str, str], body: bytes) -> Notice:
        """See `webhooks.notice`."""
        return webhooks.notice(body)

    def parse_order(self, body: bytes) -> OrderSnapshot:
        """See `orders.parse_order`."""
        return orders.parse_order(body)

    def read_order_heads(self, http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderHead]]:
        """See `orders.read_order_heads`."""
        return orders.read_order_heads(Api(http, shop), window)

    def read_heads_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderHead]:
        """See `orders.read_heads_by_key`."""
        return orders.read_heads_by_key(Api(http, shop), keys)

    def read_orders_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderDocument]:
        """See `orders.read_orders_by_key`."""
        return orders.read_orders_by_key(Api(http, shop), keys)

    def read_stock(self, http: Http, shop: Shop, keys: Sequence[StockKey]) -> Sequence[StockReading]:
        """See `stock.read_stock`."""
        return stock.read_stock(Api(http, shop), keys)

    def read_catalogue(self, http: Http, shop: Shop, after: str = "") -> Iterator[CataloguePage]:
        """See `stock.read_catalogue`."""
        return stock.read_catalogue(Api(http, shop), after)

    def read_entries(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[CatalogueEntry]:
        """See `stock.read_entries`."""
        return stock.read_entries(Api(http, shop), keys)

    def read_locations(self, http: Http, shop: Shop) -> Sequence[ChannelLocation]:
        """None: a till stands at one counter."""
        return ()

    def read_facts(self, http: Http, shop: Shop) -> Mapping[str, str]:
        """Its name, version and currency."""
        told = Api(http, shop).get("shop")
        return {name: fields.text(told.get(name), f"shop.{name}") for name in FACTS}

    @property
    def topics(self) -> Sequence[str]:
        """See `webhooks.TOPICS`."""
        return webhooks.TOPICS

    def read_webhooks(self, http: Http, shop: Shop) -> Sequence[Subscription]:
        """See `webhooks.read_webhooks`."""
        return webhooks.read_webhooks(Api(http, shop))

    def is_our_webhook(self, subscription: Subscription, url: str) -> bool:
        """See `connectors.parts.is_ours`."""
        return is_ours(subscription, url)

    def write_webhooks(
        self, http: Http, shop: Shop, *, url: str, secret: str, renew: bool = False
    ) -> Sequence[Subscription]:
        """See `webhooks.write_webhooks`; it always writes all of them."""
        return webhooks.write_webhooks(Api(http, shop), url, secret)

    def leave(self, http: Http, shop: Shop, url: str) -> int:
        """See `webhooks.remove_webhooks`; of `connectors.join.Leaves`, which a vendor need not have."""
        return webhooks.remove_webhooks(Api(http, shop), url)

    def write_stock(self, http: Http, shop: Shop, rows: Sequence[StockWrite], key: str) -> Sequence[WriteOutcome]:
        """See `stock.write_stock`. The till knows no idempotency key, so `key` is not sent."""
        return stock.write_stock(Api(http, shop), rows)
