"""What a person does to a channel by clicks: pause it, go on, have it read afresh, say which place is which."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.core.db import Row
from app.listings.channels import get_channel
from sandbox.base import Response
from sandbox.shopify import PretendShopify
from tests.people import People
from tests.street import Street
from tests.unit.web.site import BROWSER, Site
from tests.world import World

OPENING = "opening > available@A"


@pytest.fixture
def shop(street: Street) -> PretendShopify:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    return shop


def post(site: Site, path: str, world: World | None = None, **fields: str) -> TestResponse:
    asked = (world or site.street.world).merchant_id
    token = site.ask("/connect").text.split('name="csrf_token" value="')[1].split('"')[0]
    data = {"csrf_token": token, **fields}
    return site.client.post(f"{path}?merchant={asked}", data=data, headers=BROWSER)


def path_of(site: Site, shop: Any) -> str:
    return f"/channels/{site.street.channel_of(shop)}"


def state_of(street: Street, shop: Any) -> str:
    with street.world.session() as session:
        return get_channel(session, street.channel_of(shop)).state


def last_entry(street: Street) -> Row:
    with street.world.session() as session:
        row = session.row(
            "select action, actor from audit_log where merchant_id = %(merchant_id)s order by number desc limit 1"
        )
    assert row is not None
    return row


def test_a_channel_is_paused_and_goes_on_by_clicks_and_the_log_says_who(site: Site, shop: PretendShopify) -> None:
    street, path = site.street, path_of(site, shop)
    assert post(site, f"{path}/state", state="paused").status_code == 303
    assert "It is now: Paused." in site.ask(f"{path}/check").text
    street.world.move("mug", 1, "available@A > shrinkage")
    street.settle(30)
    assert shop.shown() == {"mug": 10}
    page = site.ask(f"{path}/check").text
    assert "press Make it active" in page
    assert page.count("Make it active</button>") == 2  # beside what is broken, and where the state is changed
    assert post(site, f"{path}/state", state="active").status_code == 303
    assert "It is read first" in site.ask(f"{path}/check").text
    assert tuple(last_entry(street)) == ("channel.state_changed", "this machine")
    street.settle(60)
    assert (state_of(street, shop), shop.shown()) == ("active", {"mug": 9})


def test_a_channel_whose_first_numbers_nobody_approved_does_not_become_active(site: Site, shop: PretendShopify) -> None:
    street, path = site.street, path_of(site, shop)
    with street.world.session() as session:
        session.run("update channel set approved_at = null, state = 'paused' where merchant_id = %(merchant_id)s")
    assert "Make it active</button></form>\n</details>" not in site.ask(f"{path}/check").text
    post(site, f"{path}/state", state="active")
    assert "approved under Set up" in site.ask(f"{path}/check").text
    assert state_of(street, shop) == "paused"


def test_a_channel_is_read_afresh_by_a_click(site: Site, shop: PretendShopify) -> None:
    street, path = site.street, path_of(site, shop)
    street.heard = lambda told: False
    shop.place_order([("mug", 2)])  # nobody tells us of it
    assert post(site, f"{path}/afresh").status_code == 303
    assert "read now" in site.ask(f"{path}/check").text
    street.settle(5)
    assert street.world.available("mug", "A") == 8
    assert state_of(street, shop) == "active"


def test_a_paused_channel_is_not_read_afresh_and_that_is_said(site: Site, shop: PretendShopify) -> None:
    path = path_of(site, shop)
    post(site, f"{path}/state", state="paused")
    site.ask(f"{path}/check")
    post(site, f"{path}/afresh")
    assert 'class="link bad" role="alert"' in site.ask(f"{path}/check").text


@pytest.mark.parametrize("new", [True, False])
def test_orders_of_a_place_that_is_none_of_ours_wait_until_a_click_says_which_it_is(
    site: Site, shop: PretendShopify, new: bool
) -> None:
    street, path = site.street, path_of(site, shop)
    place = shop.add_location("Annex <b>")
    shop.set_stock_by_hand("mug", place, 5)
    shop.set_stock_by_hand("mug", street_place(shop), 0)
    shop.place_order([("mug", 2)])
    street.settle(60)
    assert street.parked() == ["unknown_location"]
    assert f"{path}/places" in site.ask("/").text
    page = site.ask(f"{path}/places").text
    assert "Annex &lt;b&gt;" in page
    assert ">none of yours<" in page
    assert post(site, f"{path}/places", place=place, location="new" if new else str(street.world.b)).status_code == 303
    street.settle(60)
    assert street.parked() == []
    assert ">none of yours<" not in site.ask(f"{path}/places").text
    assert committed(street) == {"Annex <b>" if new else "B": 2}


def committed(street: Street) -> dict[str, int]:
    with street.world.session() as session:
        rows = session.rows(
            """select l.name, v.committed from level v join location l using (merchant_id, location_id)
               where v.merchant_id = %(merchant_id)s and v.committed <> 0"""
        )
    return {row.name: row.committed for row in rows}


def street_place(shop: PretendShopify) -> str:
    return f"gid://shopify/Location/{next(iter(shop.locations))}"


def test_a_place_that_is_ours_already_is_not_given_a_second_one(site: Site, shop: PretendShopify) -> None:
    refused = post(site, f"{path_of(site, shop)}/places", place=street_place(shop), location=str(site.street.world.b))
    assert (refused.status_code, "A is A already" in refused.text) == (422, True)


@pytest.mark.parametrize("location", ["", "new2", "9" * 30, "-1"])
def test_a_location_that_is_none_of_ours_is_refused_beside_its_place_42(
    site: Site, shop: PretendShopify, other: World, location: str
) -> None:
    place = shop.add_location("Annex")
    for asked in (location, str(other.a)):
        refused = post(site, f"{path_of(site, shop)}/places", place=place, location=asked)
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
    assert ">none of yours<" in site.ask(f"{path_of(site, shop)}/places").text


def test_a_shop_with_one_number_shows_the_sum_and_another_place_joins_it_by_a_click(site: Site, street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    woo = street.open_woo({"mug": 10})
    street.settle()
    with street.world.session() as session:
        session.run(
            "delete from channel_location where merchant_id = %(merchant_id)s and location_id = %(b)s",
            b=street.world.b,
        )
    path = path_of(site, woo)
    assert "the sum over these of your places" in site.ask(f"{path}/places").text
    assert post(site, f"{path}/places", place="", location=str(street.world.b)).status_code == 303
    street.world.move("mug", 3, "supplier > available@B", "30")
    street.settle(30)
    assert woo.shown() == {"mug": 13}


def test_a_shop_that_does_not_answer_is_said_so_on_the_page_of_its_places(site: Site, shop: PretendShopify) -> None:
    shop.handle = lambda request: Response(403, {}, b"")  # type: ignore[method-assign]
    page = site.ask(f"{path_of(site, shop)}/places")
    assert (page.status_code, "can't be asked for its places" in page.text) == (200, True)
    refused = post(site, f"{path_of(site, shop)}/places", place="x", location="new")
    assert refused.status_code == 422


def test_another_merchant_meets_none_of_it_21(site: Site, shop: PretendShopify, other: World) -> None:
    path = path_of(site, shop)
    answers = [
        site.get(f"{path}/places?merchant={other.merchant_id}"),
        post(site, f"{path}/places", other, place=street_place(shop), location="new"),
        post(site, f"{path}/state", other, state="paused"),
        post(site, f"{path}/afresh", other),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert state_of(site.street, shop) == "active"


def test_who_may_not_change_channels_is_shown_no_forms_and_refused(people: People, shop: PretendShopify) -> None:
    people.user("owner@example.com")
    people.user("clerk@example.com", "clerk")
    path = f"/channels/{people.street.channel_of(shop)}"
    clerk = people.logged_in("clerk@example.com")
    assert "Pause it</button>" not in clerk.get(f"{path}/check").text
    assert clerk.get(f"{path}/places").status_code == 403
    for form, fields in (("state", {"state": "paused"}), ("afresh", {}), ("places", {"place": "x", "location": "new"})):
        assert clerk.send(f"{path}/{form}", page="/", **fields).status_code == 403
    assert state_of(people.street, shop) == "active"


@pytest.mark.parametrize("form", ["state", "afresh", "places"])
def test_a_form_from_elsewhere_is_refused_36(site: Site, shop: PretendShopify, form: str) -> None:
    merchant = site.street.world.merchant_id
    answer = site.client.post(f"{path_of(site, shop)}/{form}?merchant={merchant}", headers=BROWSER)
    assert answer.status_code == 403


def test_a_state_that_is_none_is_refused_42(site: Site, shop: PretendShopify) -> None:
    for state in ("", "disconnected", "'"):
        assert post(site, f"{path_of(site, shop)}/state", state=state).status_code == 422
    assert state_of(site.street, shop) == "active"
