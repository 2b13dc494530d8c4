"""The page of listings and its forms: one merchant's own, refused in place, and safe whatever a product is called."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from markupsafe import escape
from werkzeug.test import TestResponse

from app.catalog.items import NewItem, create_items
from tests.street import Street
from tests.unit.web.site import BROWSER, PASSWORD, Site
from tests.world import World

OPENING = "opening > available@A"
RULE = {"buffer": "", "buffer_percent": "", "shown_min": "", "shown_max": ""}


@pytest.fixture
def site(street: Street) -> Site:
    """Ten mugs on one shop, which also sells a ghost that is no item."""
    street.world.move("mug", 10, OPENING, "50")
    street.open_woo({"mug": 10, "ghost": 5})
    street.settle()
    return Site.of(street)


def post(site: Site, path: str, world: World | None = None, **fields: object) -> TestResponse:
    """Send a form of the merchant's page, with the token that the page gives."""
    merchant = (world or site.street.world).merchant_id
    page = site.get(f"/listings?merchant={site.street.world.merchant_id}").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    separator = "&" if "?" in path else "?"
    return site.client.post(
        f"{path}{separator}merchant={merchant}", data={"csrf_token": token, **fields}, headers=BROWSER
    )


def listing(street: Street, sku: str) -> tuple[int, int | None, bool]:
    with street.world.session() as session:
        row = session.row(
            "select listing_id, item_id, left_out from listing where merchant_id = %(merchant_id)s and sku = %(sku)s",
            sku=sku,
        )
    assert row is not None
    return row.listing_id, row.item_id, row.left_out


def owner(street: Street, sku: str = "mug") -> tuple[int, int, int, int, int | None, list[int] | None]:
    with street.world.session() as session:
        row = session.row(
            """select o.owner_id, o.buffer, o.buffer_percent, o.shown_min, o.shown_max, o.location_ids
               from stock_owner o join listing l using (merchant_id, channel_id, stock_key)
               where o.merchant_id = %(merchant_id)s and l.sku = %(sku)s""",
            sku=sku,
        )
    assert row is not None
    return tuple(row)  # type: ignore[return-value]


def test_the_home_page_leads_from_a_parked_order_to_the_listing_that_it_waits_for(site: Site) -> None:
    site.street.shops[min(site.street.shops)].place_order([("ghost", 2)])
    site.street.settle(5)
    link = re.search(r'href="(/listings\?[^"]*unmapped=1[^"]*)"', site.ask("/").text)
    assert link
    page = site.get(unescape(link[1])).text
    assert "ghost" in page
    assert "<bdi>mug</bdi>" not in page


def test_mapping_on_the_page_leads_back_to_the_same_view_and_books_the_order(site: Site) -> None:
    street = site.street
    street.shops[min(street.shops)].place_order([("ghost", 2)])
    street.settle(5)
    street.world.item("spirit")
    answer = post(site, f"/listings/{listing(street, 'ghost')[0]}/map?unmapped=1", item=" spirit ", was="")
    assert answer.status_code == 303
    assert "unmapped=1" in answer.headers["Location"]
    after = site.get(answer.headers["Location"]).text
    assert "ghost is spirit now." in after
    assert "Every listing is an item." in after
    street.settle(5)
    assert street.parked() == []
    assert street.world.available("spirit") == -2


def test_an_unknown_sku_is_refused_beside_its_field_and_what_was_typed_stays(site: Site) -> None:
    answer = post(site, f"/listings/{listing(site.street, 'ghost')[0]}/map?unmapped=1", item="mugg", was="")
    assert answer.status_code == 422
    field = re.search(r'<input id="(item-\d+)" name="item" value="mugg"[^>]*aria-describedby="([^"]+)"', answer.text)
    assert field
    assert f'id="{field[2]}" role="alert">no item has that SKU; there is mug' in answer.text
    assert listing(site.street, "ghost")[1] is None


def test_who_maps_more_slowly_overwrites_nothing(site: Site) -> None:
    street = site.street
    street.world.item("spirit")
    id_, mug, _ = listing(street, "mug")
    answer = post(site, f"/listings/{id_}/map", item="spirit", was="")
    assert "nothing was changed" in site.get(answer.headers["Location"]).text
    assert listing(street, "mug")[1] == mug
    post(site, f"/listings/{id_}/map", item="mug", was="")
    assert listing(street, "mug")[1] == mug
    post(site, f"/listings/{id_}/map", item="spirit", was=mug)
    assert listing(street, "mug")[1] == street.world.items["spirit"]


def test_a_listing_is_taken_out_on_the_page(site: Site) -> None:
    id_, mug, _ = listing(site.street, "mug")
    slower = post(site, f"/listings/{id_}/unmap", was=site.street.world.item("spirit"))
    assert "nothing was changed" in site.get(slower.headers["Location"]).text
    assert listing(site.street, "mug")[1] == mug
    answer = post(site, f"/listings/{id_}/unmap", was=mug)
    assert answer.status_code == 303
    assert listing(site.street, "mug")[1:] == (None, True)
    assert "Taken out" in site.ask("/listings").text


def test_a_probable_item_is_one_click_away(site: Site) -> None:
    with site.street.world.session() as session:
        create_items(session, [NewItem("GHOST", "A ghost")])
    page = site.ask("/listings?unmapped=1").text
    assert 'name="item" value="GHOST"' in page
    assert "the same SKU" in page


def test_a_rule_is_set_on_the_items_page_and_shown_there(site: Site) -> None:
    street = site.street
    id_ = owner(street)[0]
    assert f"/numbers/{id_}/rule" in site.ask("/items/mug").text
    answer = post(site, f"/numbers/{id_}/rule", **{**RULE, "buffer": "2", "shown_max": "5"})
    assert answer.status_code == 303
    assert re.match(r"/items/mug\?merchant=\d+#rules", answer.headers["Location"])
    assert owner(street)[1:] == (2, 0, 0, 5, None)
    page = site.get(answer.headers["Location"]).text
    assert "2 held back, at most 5" in page
    assert "The rule is set" in page
    street.settle(60)
    assert street.shops[min(street.shops)].shown()["mug"] == 5


def test_who_sets_a_rule_more_slowly_overwrites_nothing_until_they_have_seen_it_52(site: Site) -> None:
    street, id_ = site.street, owner(site.street)[0]
    seen = re.search(r'name="was" value="([^"]*)"', site.ask("/items/mug").text)
    assert seen
    assert post(site, f"/numbers/{id_}/rule", **{**RULE, "buffer": "3"}, was=seen[1]).status_code == 303
    slower = post(site, f"/numbers/{id_}/rule", **{**RULE, "shown_max": "5"}, was=seen[1])
    assert (slower.status_code, owner(street)[1:]) == (412, (3, 0, 0, None, None))
    assert "somebody else set it meanwhile" in slower.text
    assert "3 held back" in slower.text
    assert f'<input id="shown_max-{id_}" name="shown_max" value="5"' in slower.text
    again = re.search(r'name="was" value="([^"]*)"', slower.text)
    assert again
    assert post(site, f"/numbers/{id_}/rule", **{**RULE, "shown_max": "5"}, was=again[1]).status_code == 303
    assert owner(street)[1:] == (0, 0, 0, 5, None)


def test_a_rule_counts_the_locations_that_are_ticked_and_all_means_all_to_come(site: Site) -> None:
    street, id_ = site.street, owner(site.street)[0]
    some = {**RULE, "some_locations": "1"}
    post(site, f"/numbers/{id_}/rule", **some, locations=["B"])
    assert owner(street)[5] == [street.world.b]
    post(site, f"/numbers/{id_}/rule", **some, locations=["A", "B"])
    assert owner(street)[5] is None
    for wrong in ([], ["C"]):
        answer = post(site, f"/numbers/{id_}/rule", **some, locations=wrong)
        assert answer.status_code == 422
        assert f'id="locations-{id_}-wrong"' in answer.text


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("buffer", "-1"), ("buffer", "two"), ("buffer", "1e3"), ("buffer", "٣"), ("buffer", "9" * 40),
        ("buffer_percent", "101"), ("shown_min", "1.5"), ("shown_max", "3"), ("shown_max", '"><img src=x>'),
    ],
)  # fmt: skip
def test_a_rule_that_is_refused_marks_the_field_and_keeps_what_was_typed(site: Site, field: str, typed: str) -> None:
    id_ = owner(site.street)[0]
    answer = post(site, f"/numbers/{id_}/rule", **{**RULE, "shown_min": "4", field: typed})
    assert answer.status_code == 422
    assert f'id="{field}-{id_}-wrong"' in answer.text
    marked = re.search(
        rf'<input id="{field}-{id_}" name="{field}" value="([^"]*)"[^>]*aria-invalid="true"', answer.text
    )
    assert marked
    assert unescape(marked[1]) == typed
    assert "<img" not in answer.text
    assert owner(site.street)[1:] == (0, 0, 0, None, None)


def test_the_workers_are_woken_once_a_form_has_changed_something(site: Site) -> None:
    rung: list[int] = []
    site.street.runtime = replace(site.street.runtime, ring=lambda: rung.append(owner(site.street)[1]))
    site = Site.of(site.street)
    post(site, f"/numbers/{owner(site.street)[0]}/rule", **{**RULE, "buffer": "-1"})
    assert rung == []
    post(site, f"/numbers/{owner(site.street)[0]}/rule", **{**RULE, "buffer": "2"})
    assert rung == [2]  # what they look for is committed by then


@pytest.mark.parametrize("form", ["map", "unmap", "rule"])
def test_another_merchants_listing_or_number_is_the_same_404_as_an_absent_one(
    site: Site, other: World, form: str
) -> None:
    path = {"map": "/listings/{}/map", "unmap": "/listings/{}/unmap", "rule": "/numbers/{}/rule"}[form]
    own = owner(site.street)[0] if form == "rule" else listing(site.street, "mug")[0]
    other.item("theirs")
    before = owner(site.street), listing(site.street, "mug")
    fields = {**RULE, "buffer": "3", "item": "theirs"}
    crossed = post(site, path.format(own), other, **fields)
    absent = post(site, path.format(2**62), other, **fields)
    beyond = post(site, path.format(2**63), other, **fields)
    assert (crossed.status_code, absent.status_code, beyond.status_code) == (404, 404, 404)
    assert crossed.text == absent.text
    assert (owner(site.street), listing(site.street, "mug")) == before


def test_another_merchants_item_can_not_be_mapped_to(site: Site, other: World) -> None:
    other.item("theirs")
    answer = post(site, f"/listings/{listing(site.street, 'ghost')[0]}/map", item="theirs", was="")
    assert answer.status_code == 422
    assert "there is theirs" not in answer.text
    assert listing(site.street, "ghost")[1] is None


def test_the_page_shows_no_listing_channel_or_item_of_another_merchant(
    site: Site, other: World, street: Street
) -> None:
    other.item("ghost")
    page = site.get(f"/listings?merchant={other.merchant_id}").text
    assert "Woo 0" not in page
    assert "ghost" not in page
    assert "the same SKU" not in site.ask("/listings").text
    channel = min(street.shops)
    assert "ghost" not in site.get(f"/listings?merchant={other.merchant_id}&channel={channel}").text


@pytest.mark.parametrize("path", ["/listings/1/map", "/listings/1/unmap", "/numbers/1/rule"])
def test_row_36_a_form_without_its_token_or_from_another_site_or_a_stranger_is_refused(
    site: Site, path: str, street: Street
) -> None:
    assert site.client.post(path, data=RULE, headers=BROWSER).status_code == 403
    crossed = site.client.post(path, data=RULE, headers={**BROWSER, "Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    assert site.client.get(path, headers=BROWSER).status_code == 405
    locked = Site.of(street, password=True)
    assert locked.client.post(path, data=RULE, headers=BROWSER).status_code == 401
    locked.log_in(PASSWORD)
    assert locked.ask("/listings").status_code == 200


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "{{7*7}}", '"><img src=x onerror=alert(1)>', "%(id)s 100%"]
)
def test_row_38_a_product_of_any_name_stays_text_on_the_page_and_in_what_is_said(site: Site, text: str) -> None:
    street = site.street
    street.world.item(text)
    with street.world.session() as session:
        session.run(
            """update listing set title = %(text)s, sku = %(text)s, listing_key = %(text)s
               where merchant_id = %(merchant_id)s and sku = 'ghost'""",
            text=text,
        )
        session.run("update channel set name = %(text)s where merchant_id = %(merchant_id)s", text=text)
        session.run("update location set name = name || %(text)s where merchant_id = %(merchant_id)s", text=text)
    answer = post(site, f"/listings/{listing(street, text)[0]}/map", item=text, was="")
    pages = [
        site.ask("/listings?unmapped=1"), site.get(answer.headers["Location"]),
        site.ask(f"/item?sku={re.sub('%', '%25', text)}"), site.ask("/items/mug"),
        post(site, f"/listings/{listing(street, text)[0]}/map", item=f"{text}!", was=""),
    ]  # fmt: skip
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert ">49" not in page.text
    assert str(escape(text)) in pages[1].text


@pytest.mark.parametrize("query", ["channel=x", "after=-1", "q=" + "x" * 300, "q=%00", "after=" + "9" * 30])
def test_a_list_of_listings_that_cannot_be_asked_for_is_refused_in_words(site: Site, query: str) -> None:
    page = site.ask(f"/listings?{query}")
    assert page.status_code == 422
    assert "Something in it is wrong" in page.text


def test_the_list_is_paged_and_keeps_its_view(street: Street) -> None:
    street.open_woo({f"sku-{n:03}": 1 for n in range(55)})
    street.settle()
    site = Site.of(street)
    first = site.ask("/listings?unmapped=1&q=sku").text
    following = re.search(r'href="(/listings\?[^"]*after=[^"]*)" rel="next"', first)
    assert following
    assert "unmapped=1" in following[1]
    second = site.get(unescape(following[1])).text
    assert first.count('class="note-head"') == 50
    assert second.count('class="note-head"') == 5
