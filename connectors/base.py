"""The contract between Perpetual and a sales channel: plain values in, plain values out.

A connector turns a vendor's bytes into these values and these values into a vendor's calls. It keeps no state, opens no
database and decides nothing about stock. Calls that fail raise an error of `connectors.errors`; a row that the vendor
refuses is a value (`Rejected`), because the rows beside it are still good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from connectors.export import CataloguePage, Export, ExportOf, ExportPage
from connectors.http import Http

ALL_ORDERS_SHOWN = "all_orders_shown"  # a fact of a shop, "yes" where `orders_shown_days` does not hold
QUANTITY_MAX = 1_000_000_000  # Shopify's own limit for a quantity; nothing sane is above it
ORDER_LINES_MAX = 2_000  # a larger order is refused with a reason, not half read


class Platform(StrEnum):
    """The vendors that we speak to ourselves, where own code has to name one. A platform is any slug: packages bring
    others (docs/writing-a-connector.md). It is stored, shown, and part of the address that deliveries come to."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"


class WriteMode(StrEnum):
    """How a channel lets us change a number, best first (see docs/sync-protocol)."""

    COMPARE_AND_SET = "compare_and_set"  # absolute target, refused when the number is not what we expect
    RELATIVE = "relative"  # a difference, applied to whatever is there
    ABSOLUTE = "absolute"  # last write wins


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a vendor's API can do; bounds are rows per call."""

    write_mode: WriteMode
    has_locations: bool
    replays_by_key: bool  # the same idempotency key within 24 h returns the first result
    write_rows_max: int
    read_rows_max: int
    read_orders_max: int
    reads_in_order: bool = False  # a window's orders come oldest update first, so a reading that breaks off can go on
    version_tells: bool = False  # an order of the same version says the same; where it may not, it is compared in full
    listed_after_s: float = 0.0  # how long after a change its window of changes may still leave the order out
    exports_from: int | None = None  # from so many objects on an export is cheaper than pages; None: there are none
    orders_shown_days: int | None = None  # older ones are hidden, unless a fact says ALL_ORDERS_SHOWN; None: none are
    told_after_s: float = 1.0  # how late its deliveries mostly come, until that is measured
    point_of_sale: bool = False  # a counter's till: not for Shopify's App Store (rule 1.1.8)
    write_lanes: int = 1  # writes under way side by side, each for stock owners of its own
    refused_status: int = 401  # answered to a delivery that is not signed as it should be
    gone_status: int = 410  # answered to the deliveries of a shop that was disconnected


@dataclass(frozen=True, slots=True)
class Shop:
    """One connected shop as a connector needs it.

    `base_url` is canonical and has no trailing slash; `credentials` are decrypted and never logged;
    `location_keys` are the vendor's locations that are mapped to ours, empty where the vendor has none.
    """

    base_url: str
    domain: str
    credentials: Mapping[str, str] = field(repr=False)
    location_keys: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)  # read at connect: version, time zone, permalinks …


class NoticeKind(StrEnum):
    """What a delivery is to us."""

    DOCUMENT = "document"  # the whole order as it now is
    DOORBELL = "doorbell"  # look at this resource again
    OBSERVATION = "observation"  # a stock number that the channel shows: compared, never a movement
    APP = "app"  # about our app in the shop: uninstalled, or a request for privacy
    IGNORED = "ignored"  # a ping, or a topic that says nothing about stock


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified delivery, stripped of every customer field.

    `delivery_key` is the vendor's own once-only id, None where it has none (WooCommerce's is shared within a second).
    `body` is the redacted document (JSON, UTF-8) for DOCUMENT and OBSERVATION, and what it says without any person for
    APP (`triggered_at`, `orders` it is about); None otherwise.
    """

    kind: NoticeKind
    topic: str
    resource: str  # order | stock | product | app
    resource_key: str
    delivery_key: str | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """Units of one order line at one of the channel's locations, by where they are. All counts ≥ 0 except `taken`.

    `location_key` None means that the channel does not say where: we choose, and the choice stays.
    `taken` is what the channel has taken off its *own* shown number for them (it moves our belief, not the ledger);
    WooCommerce's `_reduced_stock` can make it negative.
    """

    location_key: str | None = None
    committed: int = 0
    shipped: int = 0
    restocked: int = 0
    damaged: int = 0
    held: int = 0
    taken: int = 0


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line as it now is. `listing_key` is the vendor's sellable (variant or product), None once it forgot it.

    `stock_key` is what carries the stock number there (Shopify inventory item; WooCommerce product, variation or the
    parent that manages it), None when unknown. `tracked` False: the channel keeps no stock for it.
    """

    line_key: str
    listing_key: str | None
    stock_key: str | None
    sku: str | None
    ordered: int
    unit_price: Decimal | None
    units: tuple[Units, ...]
    tracked: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should see; the rest of the order is still processed. `reason` is a slug."""

    reason: str
    detail: str
    line_key: str | None = None


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """A whole order as the channel shows it now; the ledger posts only the difference from what it holds.

    `version` is the channel's own "updated at"; equal versions with other content are read again. `located` False:
    the body says what, not where (units carry location None and are placed provisionally until a read says where).
    `frozen` True: trashed or deleted; what is posted stays as it is and a person is asked.
    """

    order_key: str
    number: str
    version: datetime
    placed_at: datetime
    status: str
    currency: str | None
    lines: tuple[OrderLine, ...]
    problems: tuple[Problem, ...] = ()
    located: bool = True
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A closed window of the channel's "updated at", both ends included; aware UTC."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class OrderDocument:
    """One order fetched from the channel: the redacted body that `parse_order` reads. `missing`: it has none."""

    order_key: str
    version: datetime | None
    body: bytes
    missing: bool = False


@dataclass(frozen=True, slots=True)
class OrderHead:
    """An order that a listing names. `document`: the whole order, where the listing shows it anyway; else it is read by
    its key, if it is not known in this version."""

    order_key: str
    version: datetime | None
    document: OrderDocument | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook as the shop lists it. `topic` in the vendor's own form; `status` is active, or what it is instead."""

    subscription_key: str
    topic: str
    url: str
    status: str = "active"


@dataclass(frozen=True, slots=True)
class StockKey:
    """Where a channel keeps one number: Shopify (inventory item, location), WooCommerce (`product` or
    `parent/variation`, "")."""

    stock_key: str
    location_key: str = ""


@dataclass(frozen=True, slots=True)
class StockReading:
    """The number a channel shows, or None with the reason why there is none (untracked, bundle_parent, gone …)."""

    key: StockKey
    quantity: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StockWrite:
    """One row to write. Absolute: make it `target` if it is `expected`. Relative: add `target − expected`."""

    key: StockKey
    expected: int
    target: int
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """Accepted. `quantity` is the number the channel answered, None when it does not say."""

    key: StockKey
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Refused because the number was not the expected one; `quantity` is what it is, when told."""

    key: StockKey
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for this row alone. `permanent`: only a person or a new mapping can cure it."""

    key: StockKey
    reason: str
    detail: str
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class Unsent:
    """Not applied and not to blame: another row of an all-or-nothing batch was refused, or the sending stopped before
    this row. Again, under a new key."""

    key: StockKey


@dataclass(frozen=True, slots=True)
class Unknown:
    """Maybe applied: its part of a batch that takes several calls got no answer, other parts did. Read it back."""

    key: StockKey
    reason: str


WriteOutcome = Written | Conflict | Rejected | Unsent | Unknown


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One sellable of the channel's catalogue."""

    listing_key: str
    stock_key: str
    sku: str | None
    title: str
    barcode: str | None
    tracked: bool
    price: Decimal | None
    unit_cost: Decimal | None
    stock: tuple[StockReading, ...] = ()
    bundle: bool = False

    def speaks_of(self, key: str) -> bool:
        """Whether it is what somebody named by this key: its own, its number's, or that of the product it is part of
        (WooCommerce's `13/14` of `13`)."""
        return key in (self.listing_key, self.stock_key) or self.listing_key.startswith(f"{key}/")


@dataclass(frozen=True, slots=True)
class ChannelLocation:
    """A place the channel keeps stock at."""

    location_key: str
    name: str
    active: bool = True


class Connector(Protocol):
    """A vendor. Pure methods take bytes; `read_` and `write_` methods cross the network through the given `Http`."""

    @property
    def platform(self) -> str:
        """Which vendor: a slug."""

    @property
    def abilities(self) -> Abilities:
        """What its API can do."""

    def address(self, headers: Mapping[str, str], path_key: str | None) -> str | None:
        """Which shop a delivery claims to come from (the registry key), or None. Not proof: `verify` is."""

    def verify(self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
        """Accept raw bytes signed with any of the secrets (two while one is changed), else raise
        `InvalidSignature` with reason `missing_signature` or `invalid_signature`."""

    def is_ping(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether it is the vendor's unsigned trial delivery, which says nothing and is answered 200."""

    def notice(self, shop: Shop, headers: Mapping[str, str], body: bytes) -> Notice:
        """What a verified delivery says. Raises `Malformed` when the topic and the body do not fit."""

    def parse_order(self, body: bytes) -> OrderSnapshot:
        """A redacted document (webhook or read) as a snapshot. Raises `Malformed` naming the field."""

    def read_order_heads(self, http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderHead]]:
        """Pages of all orders updated inside the window, trashed ones included; complete or an error."""

    def read_heads_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderHead]:
        """Those of the orders that the channel still shows, trashed ones included, as cheaply as can be."""

    def read_orders_by_key(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[OrderDocument]:
        """At most `read_orders_max` orders; one the channel no longer has comes back `missing`."""

    def read_stock(self, http: Http, shop: Shop, keys: Sequence[StockKey]) -> Sequence[StockReading]:
        """At most `read_rows_max` numbers, one reading per key, in any order."""

    def read_catalogue(self, http: Http, shop: Shop, after: str = "") -> Iterator[CataloguePage]:
        """Pages of the whole catalogue, or of what lies behind the page that told `after`, even if the catalogue has
        changed since."""

    def read_entries(self, http: Http, shop: Shop, keys: Sequence[str]) -> Sequence[CatalogueEntry]:
        """What the channel sells under at most `read_orders_max` listing or stock keys, by now: a key of which no entry
        speaks (`CatalogueEntry.speaks_of`) is nothing that it sells."""

    def read_locations(self, http: Http, shop: Shop) -> Sequence[ChannelLocation]:
        """The channel's locations; empty where it has none."""

    def read_facts(self, http: Http, shop: Shop) -> Mapping[str, str]:
        """What is worth knowing about the shop at connect (version, time zone, settings), for `Shop.facts`."""

    @property
    def topics(self) -> Sequence[str]:
        """What we listen to, in the vendor's own form."""

    def read_webhooks(self, http: Http, shop: Shop) -> Sequence[Subscription]:
        """Every subscription that the shop lists to us, other people's too where it shows them."""

    def is_our_webhook(self, subscription: Subscription, url: str) -> bool:
        """Whether a listed subscription is ours, who want deliveries at `url`; it may deliver to an older address."""

    def write_webhooks(
        self, http: Http, shop: Shop, *, url: str, secret: str, renew: bool = False
    ) -> Sequence[Subscription]:
        """Subscribe `url` to all `topics`: missing ones are made, ours that deliver elsewhere are moved, what is paused
        is woken, other people's are left alone. `renew` writes those again that look right. Safe to repeat. A vendor
        that signs with the app's own secret ignores `secret`."""

    def start_export(self, http: Http, shop: Shop, what: ExportOf, window: Window) -> Export:
        """Have the channel prepare a file: the catalogue, or the orders updated in the window. One that was started for
        the same thing since `window.since` is taken up instead. Raises `Transient` while others keep it busy, `Refused`
        where there are no exports."""

    def read_export(self, http: Http, shop: Shop, export_key: str) -> Export:
        """How far it is."""

    def read_export_pages(
        self, http: Http, shop: Shop, export: Export, what: ExportOf, offset: int
    ) -> Iterator[ExportPage]:
        """The file from a byte on, in pieces of bounded size."""

    def write_stock(self, http: Http, shop: Shop, rows: Sequence[StockWrite], key: str) -> Sequence[WriteOutcome]:
        """Send one batch under an idempotency key; one outcome per row. Raises `OutcomeUnknown` when the vendor may or
        may not have applied it, `Transient` when it surely did not. A vendor that needs several calls for it answers
        `Unknown` and `Unsent` for the rows concerned when other rows' outcomes are known."""
