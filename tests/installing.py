"""A street whose Perpetual is an app on Shopify: shops that can install it, and a site to open it on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr
from werkzeug.test import TestResponse

from app.accounts.merchants import list_merchants
from app.listings.channels import get_channel
from app.listings.credentials import read_credentials
from app.listings.install import find_installed
from app.simulation.town import ORIGIN
from app.worker import Worker
from sandbox.inprocess import ShopAdapter
from sandbox.shopify import PretendShopify
from sandbox.shopify.apps import App, read_app
from tests.street import Street
from tests.unit.web.site import BROWSER, Site

CLIENT_ID = "perpetual-app"
SECRET = "shpss_0123456789abcdef0123456789abcdef"
FORMER = "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"
FILE = (Path(__file__).parents[1] / "shopify.app.toml").read_text("utf-8")


def pretend_app(
    *, origin: str = ORIGIN, client_id: str = CLIENT_ID, secrets: tuple[str, ...] = (SECRET,), own: bool = False
) -> App:
    """Ours as its file says; or one that a shop's owner made for it alone, which subscribes to nothing by itself."""
    app = read_app(FILE, secrets=secrets, origin=origin, client_id=client_id, own=own)
    return replace(app, topics=(), privacy=()) if own else app


@dataclass
class Installing:
    """`shop` makes shops that know the app, `open` opens the app in one's admin as a browser there does."""

    street: Street
    origin: str = ORIGIN
    site: Site = field(init=False)

    def __post_init__(self) -> None:
        street = self.street
        told = street.settings.shopify.model_copy(
            update={
                "client_id": CLIENT_ID,
                "client_secret": SecretStr(SECRET),
                "former_client_secret": SecretStr(FORMER),
            }
        )
        server = street.settings.server.model_copy(update={"public_url": self.origin})
        street.settings = street.settings.model_copy(update={"shopify": told, "server": server})
        street.runtime = replace(street.runtime, settings=street.settings)
        street.worker = Worker(street.runtime)
        self.site = Site.of(street, password=True)

    def shop(self, name: str, stock: dict[str, int] | None = None, app: App | None = None) -> PretendShopify:
        """A new shop that knows the app; it is not installed yet."""
        domain = f"{name}-{self.street.world.merchant_id}.myshopify.com"
        shop = PretendShopify(self.street.town.context(), domain=domain, sells_below_zero=True)
        place = shop.add_location("A")
        for sku, units in (stock or {"mug": 5}).items():
            shop.add_variant(sku, {place: units})
        shop.admin.register(app or pretend_app())
        shop.admin.origin = f"https://{domain}"
        adapter = ShopAdapter(shop)
        self.street.session.mount(f"https://{domain}", adapter)
        number = -1 - len(self.street.shops)
        self.street.shops[number], self.street.adapters[number] = shop, adapter
        return shop

    def query(self, pretend: PretendShopify, **more: str) -> dict[str, str]:
        """What the admin opens the app with."""
        admin, app = pretend.admin, pretend.admin.apps[CLIENT_ID]
        return admin.app_query(app, **{"embedded": "1", "id_token": admin.session_token(CLIENT_ID), **more})

    def open(self, pretend: PretendShopify, path: str = "/shopify/app", **more: str) -> TestResponse:
        """The app's page in the shop's admin."""
        return self.get(path, self.query(pretend, **more))

    def get(self, path: str, query: dict[str, str], **headers: str) -> TestResponse:
        address = f"{path}?{urlencode(query)}"
        return self.site.client.get(address, headers={**BROWSER, **headers}, base_url=ORIGIN)

    def installed(self, shop: PretendShopify) -> TestResponse:
        """Agreed to and opened."""
        shop.admin.install(CLIENT_ID)
        return self.open(shop)

    def found(self, shop: PretendShopify) -> tuple[int, int]:
        """(merchant, channel) of a shop."""
        found = find_installed(self.street.runtime, "shopify", shop.domain)
        assert found is not None
        return found.merchant_id, found.channel_id

    def credentials(self, shop: PretendShopify) -> dict[str, str]:
        merchant_id, channel_id = self.found(shop)
        with self.street.runtime.begin(merchant_id, self.street.world.now) as session:
            return read_credentials(self.street.runtime.sealer, session, channel_id)

    def state(self, shop: PretendShopify) -> str:
        merchant_id, channel_id = self.found(shop)
        with self.street.runtime.begin(merchant_id, self.street.world.now) as session:
            return get_channel(session, channel_id).state

    def merchant_name(self, shop: PretendShopify) -> str:
        merchant_id, _ = self.found(shop)
        merchants = list_merchants(self.street.runtime.database, self.street.world.now)
        return next(one.name for one in merchants if one.merchant_id == merchant_id)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
