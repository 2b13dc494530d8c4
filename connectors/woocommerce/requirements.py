"""What a WooCommerce shop has to fulfil so that its stock can be kept, looked over on demand.

Asked in the order in which one depends on the other: behind one that fails the rest is unknown, not failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from connectors.errors import AccessDenied, ChannelError
from connectors.join import Looked, Requirement, encrypted
from connectors.woocommerce import fields
from connectors.woocommerce.api import Api
from connectors.woocommerce.shop_facts import read_facts

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
ENCRYPTED, ANSWERS, KEY, RIGHTS = "encrypted", "answers", "key", "rights"
VERSION, STOCK, SELLS, CRON, POSTS = "version", "stock_managed", "sells_all", "cron", "posts_out"
NAMES = (ENCRYPTED, ANSWERS, KEY, RIGHTS, VERSION, STOCK, SELLS, CRON, POSTS)
TRIED = ((10, 2), (10, 9))  # the oldest and the newest version that all of this was tried with
_OF_KEY = frozenset(
    {"keys_not_accepted", "keys_refused", "keys_unreadable", "wrong_secret", "wrong_signature", "missing_credentials"}
)
_OF_RIGHTS = frozenset({"forbidden", "no_permission", "read_only_key"})


def check(api: Api) -> Looked:
    """Every requirement of `NAMES` once, in that order. Raises nothing that a shop does."""
    try:
        facts = read_facts(api)
    except ChannelError as error:
        return _looked(api, _refused(error), {})
    return _looked(api, _told(api, facts), facts)


def _looked(api: Api, told: Iterable[Requirement], facts: Mapping[str, str]) -> Looked:
    found = {one.name: one for one in (encrypted(api.shop.base_url), *told)}
    return Looked([found.get(name, Requirement(name, UNKNOWN)) for name in NAMES], facts)


def _told(api: Api, facts: Mapping[str, str]) -> Iterator[Requirement]:
    yield Requirement(ANSWERS, PASS, detail=facts["name"])
    yield Requirement(KEY, PASS)
    yield _rights(_proving(api, facts))
    yield from _of_facts(facts)


def prove(api: Api) -> None:
    """That the keys read the shop and may write to it. Raises ChannelError."""
    rights = _rights(_proving(api, read_facts(api)))
    if rights.state == FAIL:
        raise AccessDenied(rights.reason)


def _proving(api: Api, facts: Mapping[str, str]) -> Api:
    """The same shop, asked in the way that it accepted."""
    return replace(api, shop=replace(api.shop, facts={**api.shop.facts, **facts}))


def _refused(error: ChannelError) -> Iterator[Requirement]:
    if not isinstance(error, AccessDenied) or error.reason not in _OF_KEY | _OF_RIGHTS:
        yield Requirement(ANSWERS, FAIL, error.reason)
        return
    yield Requirement(ANSWERS, PASS)
    if error.reason in _OF_KEY:
        yield Requirement(KEY, FAIL, error.reason)
        return
    yield Requirement(KEY, PASS)
    yield Requirement(RIGHTS, FAIL, error.reason)


def _rights(api: Api) -> Requirement:
    """A batch of nothing needs the right to write and changes nothing."""
    try:
        api.send("POST", "products/batch", {})
    except AccessDenied as error:
        return Requirement(RIGHTS, FAIL, error.reason)
    except ChannelError as error:
        return Requirement(RIGHTS, UNKNOWN, error.reason)
    return Requirement(RIGHTS, PASS)


def _of_facts(facts: Mapping[str, str]) -> Iterator[Requirement]:
    version = facts.get("version", "")
    tried = TRIED[0] <= _release(version) <= TRIED[1]
    yield Requirement(VERSION, PASS if tried else UNKNOWN, "" if tried else "version_untried", version)
    managed = facts.get("manage_stock") == "yes"
    yield Requirement(STOCK, PASS) if managed else Requirement(STOCK, FAIL, "stock_not_managed")
    kept = facts.get("no_stock_amount", "")  # what is not above it is out of stock
    sells = not fields.is_count(kept) or int(kept) == 0
    yield Requirement(SELLS, PASS) if sells else Requirement(SELLS, UNKNOWN, "keeps_last_units", kept)
    cron = facts.get("wp_cron") == "yes"
    yield Requirement(CRON, PASS) if cron else Requirement(CRON, UNKNOWN, "cron_elsewhere")
    posts = facts.get("remote_post") == "yes"
    yield Requirement(POSTS, PASS) if posts else Requirement(POSTS, FAIL, "cannot_post")


def _release(version: str) -> tuple[int, int]:
    parts = [int(part) for part in version.split(".")[:2] if fields.is_count(part)]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
