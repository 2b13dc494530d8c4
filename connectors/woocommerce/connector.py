"""WooCommerce as a `connectors.base.Connector`: each method names the file that does it."""

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
from connectors.export import CataloguePage
from connectors.http import Http
from connectors.join import Approval, Found, Grant, Looked
from connectors.parts import NoExports, is_ours
from connectors.woocommerce import (
    catalogue,
    joining,
    orders,
    read_orders,
    requirements,
    shop_facts,
    stock,
    subscriptions,
    webhooks,
)
from connectors.woocommerce.api import Api
from connectors.woocommerce.auth import OneTime


@dataclass(frozen=True)
class WooCommerce(NoExports):
    """Stateless. Credentials: `consumer_key`, `consumer_secret`; each shop has a webhook address of its own."""

    one_time: OneTime = OneTime()  # noqa: RUF009 (frozen, holds two functions)
    platform: Platform = Platform.WOOCOMMERCE
    abilities: Abilities = Abilities(  # noqa: RUF009 (frozen)
        write_mode=WriteMode.RELATIVE,
        has_locations=False,
        replays_by_key=False,
        write_rows_max=stock.WRITE_ROWS_MAX,
        read_rows_max=100,
        read_orders_max=100,
        told_after_s=60.0,  # WordPress's cron with traffic (61 to 67 s; 10.2.4, 2026-11-23)
        write_lanes=2,
        refused_status=202,  # it gives a subscription up at the 7th refusal
    )

    def address(self, headers: Mapping[str, str], path_key: str | None) -> str | None:
        """The unguessable part of the shop's own webhook URL; the source header is not signed and not believed."""
        return path_key

    def verify(self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
        """See `webhooks.verify`."""
        webhooks.verify(secrets, headers, body)

    def is_ping(self, headers: Mapping[str, str], body: bytes) -> bool:
        """The form body that a shop sends once when a webhook is created."""
        return webhooks.is_ping(headers, body)

    def notice(self, shop: Shop, headers: Mapping[str, str], body: bytes) -> Notice:
        """See `webhooks.notice`."""
        return webhooks.notice(headers, body)

    def parse_order(self, body: bytes) -> OrderSnapshot:
        """See `orders.parse_order`."""
        return orders.parse_order(body)

    def read_order_heads(self, http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderHead]]:
        """See `read_orders.read_order_heads`."""
        return read_orders.read_order_heads(self._api(http, shop), window)

    def read_heads_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderHead]:
        """See `read_orders.read_heads_by_key`."""
        return read_orders.read_heads_by_key(self._api(http, shop), keys)

    def read_orders_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderDocument]:
        """See `read_orders.read_orders_by_key`."""
        return read_orders.read_orders_by_key(self._api(http, shop), keys)

    def read_stock(self, http: Http, shop: Shop, keys: Sequence[StockKey]) -> Sequence[StockReading]:
        """See `stock.read_stock`."""
        return stock.read_stock(self._api(http, shop), keys)

    def read_catalogue(self, http: Http, shop: Shop, after: str = "") -> Iterator[CataloguePage]:
        """See `catalogue.read_catalogue`."""
        return catalogue.read_catalogue(self._api(http, shop), after)

    def read_entries(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[CatalogueEntry]:
        """See `catalogue.read_entries`."""
        return catalogue.read_entries(self._api(http, shop), keys)

    def read_locations(self, http: Http, shop: Shop) -> Sequence[ChannelLocation]:
        """None: one number per product is all WooCommerce has."""
        return ()

    def write_stock(self, http: Http, shop: Shop, rows: Sequence[StockWrite], key: str) -> Sequence[WriteOutcome]:
        """See `stock.write_stock`. WooCommerce knows no idempotency key, so `key` is not sent."""
        return stock.write_stock(self._api(http, shop), rows)

    def read_facts(self, http: Http, shop: Shop) -> Mapping[str, str]:
        """See `shop_facts.read_facts`; the result belongs into `Shop.facts`."""
        return shop_facts.read_facts(self._api(http, shop))

    @property
    def topics(self) -> Sequence[str]:
        """See `subscriptions.TOPICS`."""
        return subscriptions.TOPICS

    def read_webhooks(self, http: Http, shop: Shop) -> Sequence[Subscription]:
        """See `subscriptions.read_webhooks`."""
        return subscriptions.read_webhooks(self._api(http, shop))

    def is_our_webhook(self, subscription: Subscription, url: str) -> bool:
        """See `connectors.parts.is_ours`."""
        return is_ours(subscription, url)

    def write_webhooks(
        self, http: Http, shop: Shop, *, url: str, secret: str, renew: bool = False
    ) -> Sequence[Subscription]:
        """See `subscriptions.write_webhooks`; it always writes all of them."""
        return subscriptions.write_webhooks(self._api(http, shop), url, secret)

    def plain_address(self, text: str) -> str:
        """See `joining.plain_address`."""
        return joining.plain_address(text)

    def find_shop(self, http: Http, base_url: str, *, allow_loopback: bool) -> Found:
        """See `joining.find_shop`."""
        return joining.find_shop(http, base_url, allow_loopback=allow_loopback)

    def approval_url(self, base_url: str, approval: Approval) -> str:
        """See `joining.approval_url`."""
        return joining.approval_url(base_url, approval)

    def read_grant(self, body: bytes) -> Grant:
        """See `joining.read_grant`."""
        return joining.read_grant(body)

    def read_keys(self, typed: Mapping[str, str]) -> Mapping[str, str]:
        """See `joining.read_keys`."""
        return joining.read_keys(typed)

    def prove(self, http: Http, shop: Shop) -> None:
        """See `requirements.prove`."""
        requirements.prove(self._api(http, shop))

    def leave(self, http: Http, shop: Shop, url: str) -> int:
        """See `subscriptions.remove_webhooks`."""
        return subscriptions.remove_webhooks(self._api(http, shop), url)

    def check(self, http: Http, shop: Shop) -> Looked:
        """See `requirements.check`."""
        return requirements.check(self._api(http, shop))

    def _api(self, http: Http, shop: Shop) -> Api:
        return Api(http, shop, self.one_time)
