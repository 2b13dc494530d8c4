"""Breaking a link of a channel and asking `diagnose`: what the tests of it have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from app.insight.diagnose import Diagnosis, Finding, diagnose
from app.listings.channels import get_channel, shop_of
from app.listings.connect import import_catalogue
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"
Shop = PretendShopify | WooShop


def told(street: Street) -> Diagnosis:
    with street.world.session() as session:
        (one,) = diagnose(session)
    return one


def broken(street: Street) -> list[str]:
    return [finding.link for finding in told(street).findings if finding.broken]


def first(street: Street) -> Finding:
    return told(street).findings[0]


def later(street: Street, seconds: float = 31, times: int = 1) -> None:
    """Some time passes, and what falls due is done."""
    for _ in range(times):
        street.world.now += timedelta(seconds=seconds)
        street.settle(1)


def in_session(street: Street, act: Callable[..., Any], *arguments: Any) -> Any:
    with street.world.session() as session:
        return act(session, *arguments)


def run(street: Street, sql: str, **params: Any) -> None:
    with street.world.session() as session:
        session.run(sql, now=session.now, **params)


def import_again(street: Street, shop: PretendShopify) -> None:
    channel_id = street.channel_of(shop)
    with street.world.session() as session:
        channel = get_channel(session, channel_id)
        known = shop_of(street.runtime, street.world.merchant_id, channel)
    connector = street.runtime.connectors[channel.platform]
    import_catalogue(street.runtime, street.world.merchant_id, channel_id, connector, known)
