"""A site that may call this machine, and pretend WooCommerce shops that serve there, to join them over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.wiring import http_opener
from sandbox.base import Context
from sandbox.front import Front
from sandbox.woocommerce import Options, WooShop
from tests.ports import free_port
from tests.street import Street
from tests.unit.web.site import Site


def joining_site(street: Street, **server: object) -> Site:
    """As in the demo: addresses may lead to this machine."""
    security = street.settings.security.model_copy(update={"allow_loopback": True})
    settings = street.settings.model_copy(update={"security": security})
    street.runtime = replace(street.runtime, settings=settings, open_http=http_opener(allow_loopback=True))
    return Site.of(street, **server)


@contextmanager
def serving_woo(street: Street, **options: Any) -> Iterator[tuple[WooShop, Front]]:
    """A shop with ten mugs at its own address. Its keys are sent over http too, since nothing here is outside."""
    port = free_port()
    told = {"base_url": f"http://127.0.0.1:{port}", "name": "Mug shop", "callback_over_tls": False, **options}
    shop = WooShop(Context(lambda: street.world.now, street.rng), Options(**{"oauth_window_s": None, **told}))
    shop.add_product("mug", 10)
    with Front(shop, pump=False, port=port) as front:
        yield shop, front
