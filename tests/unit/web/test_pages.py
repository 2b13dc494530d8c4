"""Pages: one merchant's, safe whatever a channel or a file called things, and the address is the whole view."""

from __future__ import annotations

import gzip
import re
from html import unescape

import pytest
from markupsafe import escape

from app.catalog.items import NewItem, create_items
from app.listings.channels import NewChannel, create_channel
from app.web.shown import STATIC
from tests.statements import counted
from tests.street import Street
from tests.unit.web.site import Site
from tests.world import World

OPENING = "opening > available@A"
EVIL = ["<script>alert(1)</script>", "{{7*7}}", '"><img src=x onerror=alert(1)>', "{% include 'x' %}", "%(id)s 100%"]


def a_street_with_a_sale(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.open_woo({"mug": 10})
    street.settle()
    shop.place_order([("mug", 3)])
    street.settle(1)


def test_the_home_page_shows_channels_movements_and_what_waits(site: Site) -> None:
    a_street_with_a_sale(site.street)
    page = site.ask("/").text
    for words in ("Shopify 0", "Woo 1", "Working", "Reserved by an order", "Nothing needs attention."):
        assert words in page
    assert f"/items/mug?merchant={site.street.world.merchant_id}" in page


def test_the_home_page_tells_a_broken_link_with_the_one_thing_to_do_and_to_its_own_merchant_alone(
    site: Site, other: World
) -> None:
    a_street_with_a_sale(site.street)
    with site.street.world.session() as session:
        session.run("update stock_owner set state = 'untracked' where merchant_id = %(merchant_id)s")
    page = site.ask("/").text
    for words in ("The shop does not track stock for products", "such as that of mug", "Switch on stock tracking"):
        assert words.lower() in page.lower()
    assert "Nothing needs attention." not in page
    theirs = site.get(f"/?merchant={other.merchant_id}").text
    assert "stock tracking" not in theirs
    assert "Nothing needs attention." in theirs


def test_the_items_page_searches_sorts_and_pages_by_its_address(site: Site) -> None:
    with site.street.world.session() as session:
        create_items(session, [NewItem(f"i{n:03}", f"name {n}") for n in range(103)])
    first = site.ask("/items").text
    assert "i099" in first
    assert "i100" not in first
    following = re.search(r'href="(/items\?[^"]*after=[^"]*)"', first)
    assert following
    assert "i102" in site.get(following[1].replace("&amp;", "&")).text
    assert "i102" in site.ask("/items?sort=-sku").text
    found = site.ask("/items?q=i05").text
    assert "i050" in found
    assert "i060" not in found


def test_an_items_page_proves_its_numbers_down_to_movements(site: Site) -> None:
    a_street_with_a_sale(site.street)
    page = site.ask("/items/mug").text
    for words in ("Available in the ledger", "Last write", "holds 3", "Settled", "$50.00"):
        assert words in page
    numbers = re.findall(r'href="[^"]*#(movement-\d+)"', page)
    assert numbers
    assert all(f'id="{number}"' in page for number in numbers)


def test_the_why_that_the_address_names_is_open(site: Site) -> None:
    a_street_with_a_sale(site.street)
    owner = re.search(r'id="why-(\d+)"', site.ask("/items/mug").text)
    assert owner
    assert f'id="why-{owner[1]}" open' in site.ask(f"/items/mug?why={owner[1]}").text


@pytest.mark.parametrize("text", EVIL)
def test_row_38_markup_in_any_name_is_shown_as_text_on_every_page(site: Site, text: str) -> None:
    world = site.street.world
    world.move(text, 4, OPENING, "1", source=text, reason=text)
    with world.session() as session:
        new = NewChannel(
            "woocommerce", text, f"at {world.merchant_id} {text}", f"https://x-{world.merchant_id}.test", {}, {}
        )
        channel = create_channel(site.street.runtime, session, new)
        session.run(
            """insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, opened_at)
               values (%(merchant_id)s, nextval('case_seq'), %(text)s, %(channel)s, %(text)s, %(text)s, %(now)s)""",
            text=text, channel=channel, now=session.now,
        )  # fmt: skip
        session.run(
            """insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource,
                                  resource_key, observed_at, state, reason, detail, received_at)
               values (%(merchant_id)s, %(now)s::date, nextval('inbox_seq'), %(channel)s, 'document', 'read', 'read',
                       %(text)s, '1', %(now)s, 'parked', %(text)s, %(text)s, %(now)s)""",
            text=text, channel=channel, now=session.now,
        )  # fmt: skip
        session.run(
            """insert into stock_owner (merchant_id, owner_id, channel_id, stock_key, location_key, item_id, state,
                                        reason)
               values (%(merchant_id)s, nextval('stock_owner_seq'), %(channel)s, %(text)s, %(text)s, %(item)s,
                       'refused', %(text)s)""",
            text=text, channel=channel, item=world.items[text],
        )  # fmt: skip
    home = site.ask("/")
    own = re.search(r'href="(/item[^"]+)"><bdi>', home.text)
    assert own
    pages = [home, site.ask("/items"), site.ask("/items?q=" + re.sub(r"%", "%25", text)), site.get(unescape(own[1]))]
    for page in pages:
        assert page.status_code == 200
        assert str(escape(text)) in page.text
        assert "<script>alert" not in page.text
        assert "<img" not in page.text


@pytest.mark.parametrize(
    "sku", ["a/b", "a//b", "..", ".", "a/../b", "/x", "x/", "50%", "a?b", "a#b", "a b", "ä€ع", "+"]
)
def test_every_sku_leads_to_its_own_page(site: Site, sku: str) -> None:
    site.street.world.item(sku)
    link = re.search(r'href="(/item[^"]+)"><bdi>', site.ask("/items").text)
    assert link
    page = site.get(unescape(link[1]))
    assert page.status_code == 200
    assert f"<h1><bdi>{escape(sku)}</bdi>" in page.text


@pytest.mark.parametrize("path", ["/items/{sku}", "/item?sku={sku}"])
def test_another_merchants_item_is_the_same_404_as_an_absent_one(site: Site, other: World, path: str) -> None:
    other.item("theirs")
    site.street.world.item("ours")
    theirs, absent = site.ask(path.format(sku="theirs")), site.ask(path.format(sku="absent"))
    assert theirs.status_code == absent.status_code == 404
    assert theirs.text == absent.text
    assert site.ask(path.format(sku="ours")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/items", "/items?q=theirs", "/items?sort=-name", "/listings"])
def test_no_page_shows_another_merchants_things(site: Site, other: World, path: str) -> None:
    other.move("theirs", 3, OPENING, "1")
    site.street.world.move("ours", 3, OPENING, "1")
    assert "theirs</bdi>" not in site.ask(path).text


def test_with_several_merchants_a_list_asks_which_and_links_carry_the_answer_on(site: Site, other: World) -> None:
    for path in ("/", "/items"):
        page = site.get(path)
        assert page.status_code == 200
        assert f"/?merchant={other.merchant_id}" in page.text
    page = site.ask("/")
    own = f"merchant={site.street.world.merchant_id}"
    links = [link for link in re.findall(r'href="(/[^"]*)"', page.text) if not link.startswith("/static")]
    assert links
    assert all(own in link for link in links if link != "/")


@pytest.mark.parametrize("merchant", ["0", "999999", "x", "1'--", ""])
def test_an_unknown_merchant_is_answered_like_any_absent_address(site: Site, merchant: str) -> None:
    unknown, absent = site.get("/", query_string={"merchant": merchant}), site.ask("/nowhere")
    assert unknown.status_code == absent.status_code == 404


@pytest.mark.parametrize(
    "query",
    ["sort=available%3Bdrop", "after=%25%25", "after=" + "A" * 5_000, "q=" + "x" * 300, "q=%00"],
)
def test_rows_43_and_44_a_list_that_cannot_be_asked_for_is_refused_in_words(site: Site, query: str) -> None:
    page = site.ask(f"/items?{query}")
    assert page.status_code == 422
    assert "Something in it is wrong" in page.text
    assert "drop" not in page.text


@pytest.mark.parametrize("before", ["-1", "x", "1e9", "٣", "9" * 40, ""])
def test_a_page_of_movements_before_nonsense_is_refused(site: Site, before: str) -> None:
    site.street.world.item("mug")
    assert site.ask("/items/mug", query_string=None).status_code == 200
    assert site.ask(f"/items/mug?before={before}").status_code == 422


def test_every_page_is_one_transaction_that_can_only_read(site: Site) -> None:
    a_street_with_a_sale(site.street)
    for path in ("/", "/items", "/items/mug", "/listings"):
        with counted(site.street.world.database) as statements:
            assert site.ask(path).status_code == 200
        assert any("transaction_read_only" in statement for statement in statements)
        assert len(statements) <= 21  # one of them asks who may see it


def test_scripts_and_styles_of_a_first_visit_are_small_and_kept_for_a_year(site: Site) -> None:
    page = site.ask("/").text
    files = set(re.findall(r'"/static/([^"?]+)\?v=', page))
    assert files == {"app.css", "app.js", "icon.svg"}
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in files) <= 60 * 1024
    assert "max-age=31536000" in site.get("/static/app.css").headers["Cache-Control"]


def test_the_language_and_direction_of_a_page_are_stated(site: Site) -> None:
    assert '<html lang="en" dir="ltr">' in site.ask("/").text
