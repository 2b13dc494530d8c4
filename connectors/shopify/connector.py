"""The connector: Shopify's answer to each method of the contract, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.base import (
    Abilities,
    CatalogueEntry,
    ChannelLocation,
    Notice,
    OrderDocument,
    OrderHead,
    OrderSnapshot,
    Platform,
    Shop,
    StockKey,
    StockReading,
    StockWrite,
    Subscription,
    Window,
    WriteMode,
    WriteOutcome,
)
from connectors.export import CataloguePage, Export, ExportOf, ExportPage
from connectors.http import Http
from connectors.join import Looked
from connectors.shopify import bulk, catalogue, orders, requirements, stock, webhooks
from connectors.shopify import shop as shop_facts


class Shopify:
    """Stateless. `shop.base_url` is the shop's origin; `shop.credentials` holds `access_token`."""

    platform = Platform.SHOPIFY
    abilities = Abilities(
        write_mode=WriteMode.COMPARE_AND_SET,
        has_locations=True,
        replays_by_key=True,
        write_rows_max=stock.ROWS_MAX,
        read_rows_max=stock.ROWS_MAX,
        read_orders_max=orders.READ_ORDERS_MAX,
        reads_in_order=True,
        listed_after_s=10.0,  # orders(query:) asks an index; how far that is behind, Shopify does not say
        orders_shown_days=60,
        version_tells=True,
        exports_from=bulk.WORTH_FROM,
        gone_status=200,  # an uninstalled app's deliveries end by themselves
    )

    def address(self, headers: Mapping[str, str], path_key: str | None) -> str | None:
        """The myshopify.com domain in the delivery's header, lower-case, or None. `path_key` is not needed."""
        return webhooks.address(headers)

    def verify(self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
        """See `webhooks.verify`."""
        webhooks.verify(secrets, headers, body)

    def is_ping(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Shopify sends none."""
        return False

    def notice(self, shop: Shop, headers: Mapping[str, str], body: bytes) -> Notice:
        """See `webhooks.notice`."""
        return webhooks.notice(shop, headers, body)

    def parse_order(self, body: bytes) -> OrderSnapshot:
        """See `orders.parse`."""
        return orders.parse(body)

    def read_order_heads(self, http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderHead]]:
        """See `orders.read_heads`."""
        return orders.read_heads(http, shop, window)

    def read_heads_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderHead]:
        """See `orders.read_heads_by_key`."""
        return orders.read_heads_by_key(http, shop, keys)

    def read_orders_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderDocument]:
        """See `orders.read_by_key`."""
        return orders.read_by_key(http, shop, keys)

    def read_stock(self, http: Http, shop: Shop, keys: Sequence[StockKey]) -> Sequence[StockReading]:
        """See `stock.read`."""
        return stock.read(http, shop, keys)

    def read_catalogue(self, http: Http, shop: Shop, after: str = "") -> Iterator[CataloguePage]:
        """See `catalogue.read`."""
        return catalogue.read(http, shop, after)

    def read_entries(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[CatalogueEntry]:
        """See `catalogue.read_entries`."""
        return catalogue.read_entries(http, shop, keys)

    def read_locations(self, http: Http, shop: Shop) -> Sequence[ChannelLocation]:
        """See `catalogue.read_locations`."""
        return catalogue.read_locations(http, shop)

    def write_stock(self, http: Http, shop: Shop, rows: Sequence[StockWrite], key: str) -> Sequence[WriteOutcome]:
        """See `stock.write`."""
        return stock.write(http, shop, rows, key)

    def read_facts(self, http: Http, shop: Shop) -> Mapping[str, str]:
        """See `shop.read_facts`."""
        return shop_facts.read_facts(http, shop)

    def check(self, http: Http, shop: Shop) -> Looked:
        """See `requirements.check`."""
        return requirements.check(http, shop)

    @property
    def topics(self) -> Sequence[str]:
        """See `shop.TOPICS`."""
        return shop_facts.TOPICS

    def read_webhooks(self, http: Http, shop: Shop) -> Sequence[Subscription]:
        """See `shop.read_webhooks`."""
        return shop_facts.read_webhooks(http, shop)

    def is_our_webhook(self, subscription: Subscription, url: str) -> bool:
        """All are: Shopify lists an app's own only."""
        return True

    def write_webhooks(
        self, http: Http, shop: Shop, *, url: str, secret: str = "", renew: bool = False
    ) -> Sequence[Subscription]:
        """See `shop.write_webhooks`; deliveries are signed with the app's secret."""
        return shop_facts.write_webhooks(http, shop, url, renew=renew)

    def leave(self, http: Http, shop: Shop, url: str) -> int:
        """See `shop.remove_webhooks`; those of the app's own configuration end when the app is uninstalled."""
        return shop_facts.remove_webhooks(http, shop, url)

    def start_export(self, http: Http, shop: Shop, what: ExportOf, window: Window) -> Export:
        """See `bulk.start`."""
        return bulk.start(http, shop, what, window)

    def read_export(self, http: Http, shop: Shop, export_key: str) -> Export:
        """See `bulk.read`."""
        return bulk.read(http, shop, export_key)

    def read_export_pages(
        self, http: Http, shop: Shop, export: Export, what: ExportOf, offset: int
    ) -> Iterator[ExportPage]:  # fmt: skip
        """See `bulk.read_pages`."""
        return bulk.read_pages(http, shop, export, what, offset=offset)
