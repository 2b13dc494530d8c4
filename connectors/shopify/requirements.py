"""What a Shopify shop has to fulfil so that its stock can be kept, looked over on demand.

Whether it keeps stock is a matter of each product there, and Shopify always can call others: neither is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from connectors.base import Shop
from connectors.errors import AccessDenied, ChannelError
from connectors.http import Http
from connectors.join import Looked, Requirement, encrypted
from connectors.shopify import graphql
from connectors.shopify.shop import read_facts, read_missing_scopes

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
ANSWERS, KEY, RIGHTS, VERSION = "answers", "key", "rights", "version"
_OF_RIGHTS = frozenset({"access_denied", "forbidden"})
_OF_SHOP = frozenset({"shop_inactive", "shop_frozen", "shop_locked"})  # refused, whatever the token


def check(http: Http, shop: Shop) -> Looked:
    """Every requirement once; behind one that fails the rest is unknown. Raises nothing that a shop does."""
    try:
        facts = read_facts(http, shop)
    except ChannelError as error:
        return _looked(shop, _refused(http, shop, error), {})
    return _looked(shop, _told(facts), facts)


def _looked(shop: Shop, told: Iterable[Requirement], facts: Mapping[str, str]) -> Looked:
    found = {one.name: one for one in told}
    asked = [found.get(name, Requirement(name, UNKNOWN)) for name in (ANSWERS, KEY, RIGHTS, VERSION)]
    return Looked([encrypted(shop.base_url), *asked], facts)


def _told(facts: Mapping[str, str]) -> Iterator[Requirement]:
    yield Requirement(ANSWERS, PASS, detail=facts["name"])
    yield Requirement(KEY, PASS)
    missing = facts["missing_scopes"]
    yield _missing(missing) if missing else Requirement(RIGHTS, PASS)
    yield _version(facts["api_version"])


def _refused(http: Http, shop: Shop, error: ChannelError) -> Iterator[Requirement]:
    if not isinstance(error, AccessDenied) or error.reason in _OF_SHOP:
        yield Requirement(ANSWERS, FAIL, error.reason)
        return
    yield Requirement(ANSWERS, PASS)
    if error.reason not in _OF_RIGHTS:
        yield Requirement(KEY, FAIL, error.reason)
        return
    yield Requirement(KEY, PASS)
    yield _rights(http, shop, error)


def _rights(http: Http, shop: Shop, error: ChannelError) -> Requirement:
    """A scope was missing for the facts: which ones are, if the shop tells."""
    try:
        missing = read_missing_scopes(http, shop)
    except ChannelError:
        missing = []
    return _missing(",".join(missing)) if missing else Requirement(RIGHTS, FAIL, error.reason, error.detail)


def _missing(scopes: str) -> Requirement:
    return Requirement(RIGHTS, FAIL, "scope_missing", f"missing: {scopes.replace(',', ', ')}")


def _version(answered: str) -> Requirement:
    """A retired version answers as the oldest that there still is."""
    if answered in ("", graphql.API_VERSION):
        return Requirement(VERSION, PASS if answered else UNKNOWN, detail=answered)
    detail = f"it answers as {answered} instead of {graphql.API_VERSION}"
    return Requirement(VERSION, FAIL, "api_version_retired", detail)
