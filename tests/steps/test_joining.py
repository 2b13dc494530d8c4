"""Joining a WooCommerce shop as steps: a state that is good once, keys that must work where the merchant said, and
nothing of it for anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from app.core.errors import BadRequest, Conflict, NotFound
from app.core.runtime import Runtime
from app.listings import joining
from app.listings.channels import get_channel, shop_of
from app.listings.credentials import WEBHOOK_SECRETS
from app.listings.leaving import leave
from app.listings.states import get_standing
from app.worker import housekeeping
from connectors.errors import ChannelError, Malformed, Refused
from connectors.join import Found
from sandbox.base import Context
from sandbox.inprocess import ShopAdapter
from sandbox.woocommerce import Options, WooShop
from tests.street import Street
from tests.world import World

HTTPS = "https://perpetual.test"


def woo(street: Street, host: str = "new", **options: Any) -> WooShop:
    """A shop that nobody has connected yet, with ten mugs."""
    base = f"https://{host}-{street.world.merchant_id}.test"
    shop = WooShop(Context(lambda: street.world.now, street.rng), Options(base_url=base, tls=True, **options))
    shop.add_product("mug", 10)
    street.session.mount(base, ShopAdapter(shop))
    return shop


def begin(street: Street, shop: WooShop, runtime: Runtime | None = None) -> int:
    found = Found(shop.options.base_url, "Mug shop")
    return joining.begin_joining(runtime or street.runtime, street.world.merchant_id, "woocommerce", found)


def state_of(street: Street, joining_id: int) -> str:
    """What the shop's page is asked with."""
    with street.world.session() as session:
        found = joining.get_joining(session, joining_id)
    url = joining.approval_url(
        street.runtime, street.world.merchant_id, found, return_url=f"{HTTPS}/back", callback_url=f"{HTTPS}/keys"
    )
    return parse_qs(urlsplit(url).query)["user_id"][0]


def grant(street: Street, state: str, shop: WooShop, **changed: str) -> None:
    key = shop.state.make_key("read_write")
    body = {
        "key_id": 1, "user_id": state, "consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret,
        "key_permissions": "read_write", **changed,
    }  # fmt: skip
    joining.accept_grant(street.runtime, "woocommerce", orjson.dumps(body))


def finish(street: Street, joining_id: int, world: World | None = None) -> int:
    merchant_id = (world or street.world).merchant_id
    return joining.finish_joining(street.runtime, merchant_id, joining_id, origin=HTTPS)


def channels(world: World) -> list[str]:
    with world.session() as session:
        rows = session.rows("select name from channel where merchant_id = %(merchant_id)s order by channel_id")
    return [row.name for row in rows]


def test_keys_that_work_at_the_shop_connect_it_in_shadow_with_all_its_webhooks(street: Street) -> None:
    street.world.item("mug")
    shop = woo(street)
    joining_id = begin(street, shop)
    grant(street, state_of(street, joining_id), shop)
    channel_id = finish(street, joining_id)
    assert finish(street, joining_id) == channel_id  # asked again
    with street.world.session() as session:
        channel = get_channel(session, channel_id)
        kept = shop_of(street.runtime, street.world.merchant_id, channel)
        assert get_standing(session, channel_id).state == "shadow"
    assert channel.facts["version"] == "10.9.0"
    topics = {hook.topic for hook in shop.hooks()}
    assert {"action.woocommerce_delete_order", "action.woocommerce_delete_product", "order.updated"} <= topics
    assert {hook.url for hook in shop.hooks()} == {f"{HTTPS}/webhooks/woocommerce/{channel.address}"}
    assert {hook.secret for hook in shop.hooks()} == {kept.credentials[WEBHOOK_SECRETS]}
    assert shop.shown() == {"mug": 10}


def test_a_state_is_good_once_24(street: Street) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    state = state_of(street, joining_id)
    grant(street, state, shop)
    with pytest.raises(BadRequest) as caught:
        grant(street, state, shop)
    assert caught.value.reason == "unknown_state"


def test_a_state_that_took_too_long_or_was_made_up_is_refused_24(street: Street, other: World) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    state = state_of(street, joining_id)
    made_up = [
        "", "x", "1-2", f"{state}x", state[:-1], state.replace(state.split("-")[0], str(other.merchant_id), 1),
        f"{street.world.merchant_id}-999999-x", "-1--1-x", "9" * 30 + "-1-x", "٣-1-x", "²-1-x", "1-²-x",
    ]  # fmt: skip
    for wrong in made_up:
        with pytest.raises((BadRequest, Malformed)):
            grant(street, wrong, shop)
    street.world.now += joining.LIFE
    with pytest.raises(BadRequest):
        grant(street, state, shop)
    street.world.now -= timedelta(seconds=1)
    grant(street, state, shop)


def test_keys_that_nobody_came_back_for_in_time_connect_nothing_and_are_not_kept(street: Street) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    grant(street, state_of(street, joining_id), shop)
    street.world.now += joining.LIFE
    with pytest.raises(Conflict) as caught:
        finish(street, joining_id)
    assert caught.value.reason == "joining_over"
    housekeeping(street.runtime)
    with street.world.session() as session:
        assert joining.get_joining(session, joining_id).sealed_keys is None
    assert channels(street.world) == []


def test_keys_of_another_shop_connect_nothing(street: Street) -> None:
    shop, stranger = woo(street), woo(street, "stranger")
    joining_id = begin(street, shop)
    grant(street, state_of(street, joining_id), stranger)
    with pytest.raises(ChannelError) as caught:
        finish(street, joining_id)
    assert caught.value.reason == "keys_not_accepted"
    assert channels(street.world) == []


def test_another_merchant_can_neither_see_finish_nor_return_to_it_21(street: Street, other: World) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    state = state_of(street, joining_id)
    grant(street, state, shop)
    with pytest.raises(NotFound):
        finish(street, joining_id, other)
    with pytest.raises(BadRequest), other.session() as session:
        joining.note_return(session, state, approved=True)
    with pytest.raises(NotFound), other.session() as session:
        joining.get_joining(session, joining_id)
    assert channels(other) == []


def test_a_shop_that_another_merchant_has_connected_stays_theirs(street: Street, other: World) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    grant(street, state_of(street, joining_id), shop)
    finish(street, joining_id)
    loud = shop.options.base_url.upper().replace("HTTPS", "https")
    theirs = joining.begin_joining(
        street.runtime,
        other.merchant_id,
        "woocommerce",
        Found(loud, "Mug shop"),
    )
    key = shop.state.make_key("read_write")
    typed = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}
    with pytest.raises(Conflict) as caught:
        joining.join_by_hand(street.runtime, other.merchant_id, theirs, typed, origin=HTTPS)
    assert (caught.value.reason, channels(other)) == ("channel_taken", [])


def by_hand(street: Street, shop: WooShop, **changed: str) -> int:
    key = shop.state.make_key("read_write")
    typed = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret, **changed}
    joining_id = begin(street, shop)
    return joining.join_by_hand(street.runtime, street.world.merchant_id, joining_id, typed, origin=HTTPS)


def test_a_shop_that_is_connected_again_keeps_its_channel_its_address_and_its_secret(street: Street) -> None:
    street.world.item("mug")
    shop = woo(street)
    first = by_hand(street, shop)
    before = {(hook.url, hook.secret) for hook in shop.hooks()}
    assert by_hand(street, shop) == first
    assert {(hook.url, hook.secret) for hook in shop.hooks()} == before
    assert len(shop.hooks()) == len({hook.topic for hook in shop.hooks()})


def test_a_shop_whose_keys_cant_be_opened_any_more_is_connected_again_by_new_ones(street: Street) -> None:
    street.world.item("mug")
    shop = woo(street)
    channel_id = by_hand(street, shop)
    with street.world.session() as session:
        session.run(
            """update channel set sealed_credentials = '\\x00'
               where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
            id=channel_id,
        )
    before = {hook.secret for hook in shop.hooks()}
    assert by_hand(street, shop) == channel_id
    with street.world.session() as session:
        kept = shop_of(street.runtime, street.world.merchant_id, get_channel(session, channel_id))
    assert {hook.secret for hook in shop.hooks()} == {kept.credentials[WEBHOOK_SECRETS]} != before


def test_two_shops_of_one_name_are_told_apart_by_their_hosts(street: Street) -> None:
    first, second = woo(street), woo(street, "second")
    by_hand(street, first)
    by_hand(street, second)
    host = urlsplit(second.options.base_url).netloc
    assert channels(street.world) == ["Mug shop", f"Mug shop ({host})"]


def test_a_disconnected_shop_is_told_to_ring_no_more_and_its_keys_are_forgotten(street: Street) -> None:
    street.world.item("mug")
    shop = woo(street)
    channel_id = by_hand(street, shop)
    strangers = shop.add_hook("order.updated", "https://elsewhere.test/hook", "theirs")
    assert leave(street.runtime, street.world.merchant_id, channel_id, "test") == ""
    assert shop.hooks() == [strangers]
    with street.world.session() as session:
        kept = shop_of(street.runtime, street.world.merchant_id, get_channel(session, channel_id))
        assert (get_standing(session, channel_id).state, kept.credentials) == ("disconnected", {})
    assert by_hand(street, shop) == channel_id
    street.settle(60)
    with street.world.session() as session:
        assert get_standing(session, channel_id).state == "shadow"  # nobody approved its numbers yet


def test_a_shop_that_is_gone_can_be_disconnected_all_the_same(street: Street, other: World) -> None:
    shop = woo(street)
    channel_id = by_hand(street, shop)
    shop.state.keys.clear()
    with pytest.raises(NotFound):
        leave(street.runtime, other.merchant_id, channel_id, "test")
    assert leave(street.runtime, street.world.merchant_id, channel_id, "test") == "keys_not_accepted"
    with street.world.session() as session:
        assert get_standing(session, channel_id).state == "disconnected"


def test_keys_are_sent_over_https_only(street: Street) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    with street.world.session() as session:
        found = joining.get_joining(session, joining_id)

    def ask(runtime: Runtime, found: joining.Joining, callback: str) -> str:
        merchant_id = street.world.merchant_id
        return joining.approval_url(runtime, merchant_id, found, return_url=callback, callback_url=callback)

    plain = replace(found, base_url="http://shop.example.com")
    local = "http://127.0.0.1:8000/keys"
    for wrong, callback in ((plain, HTTPS), (found, "http://us.example"), (found, local)):
        with pytest.raises(Refused) as caught:
            ask(street.runtime, wrong, callback)
        assert caught.value.reason == "needs_https"
    allowed = street.settings.security.model_copy(update={"allow_loopback": True})
    lax = replace(street.runtime, settings=street.settings.model_copy(update={"security": allowed}))
    assert ask(lax, found, local)
    with pytest.raises(Refused):
        ask(lax, plain, local)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("https://127.0.0.1", "address_not_allowed"),
        ("https://2130706433/shop", "address_not_allowed"),
        ("https://[64:ff9b::7f00:1]", "address_not_allowed"),
        ("gopher://127.0.0.1", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("https://me:secret@127.0.0.1", "address_with_password"),
        ("https://127.0.0.1:22", "address_not_allowed"),
    ],
)
def test_no_address_inside_is_asked_for_a_shop_29_30(street: Street, typed: str, reason: str) -> None:
    with pytest.raises(ChannelError) as caught:
        joining.find_shop(street.runtime, "woocommerce", typed)
    assert caught.value.reason == reason


def test_what_is_stored_of_keys_that_came_is_sealed_and_goes_when_it_was_used(street: Street) -> None:
    shop = woo(street)
    joining_id = begin(street, shop)
    state = state_of(street, joining_id)
    grant(street, state, shop)

    def stored() -> Mapping[str, Any]:
        with street.world.session() as session:
            row = session.row("select * from shop_joining where merchant_id = %(merchant_id)s")
        assert row is not None
        return dict(row._mapping)

    key = list(shop.state.keys.values())[-1]
    everything = repr(stored()).encode()
    assert not any(secret.encode() in everything for secret in (key.consumer_secret, key.consumer_key, state))
    finish(street, joining_id)
    assert stored()["sealed_keys"] is None
