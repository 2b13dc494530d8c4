"""`diagnose` of mappings, numbers, writes and cases: broken, named with the one thing to do, gone once that is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.core.db import psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.core.errors import Conflict, NotFound
from app.insight import words
from app.insight.home import LATE
from app.insight.remedies import LINKS
from app.listings.cases import dismiss, list_cases
from app.listings.catalogue import map_listing, unmap_listing
from app.listings.channels import set_drift_policy
from app.listings.places import map_place
from app.listings.states import change_state, read_afresh
from app.publishing.decisions import decide
from app.publishing.due import CONFLICTS_MAX
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import gid
from sandbox.woocommerce import WooShop
from tests.diagnosing import OPENING, broken, first, import_again, in_session, later, run, told
from tests.drifting import audit, edit
from tests.flow.test_bad_input import caught
from tests.street import Street


@pytest.fixture(autouse=True)
def worker(server: Embedded) -> Iterator[psycopg.Connection[Any]]:
    """A worker is there."""
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock_shared(presence_key('of any'))")
        yield presence


@pytest.fixture
def shopify(street: Street) -> PretendShopify:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    return shop


@pytest.fixture
def woo(street: Street) -> WooShop:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_woo({"mug": 10})
    street.settle()
    return shop


def test_a_product_that_is_no_item_is_told_until_it_is_mapped_or_said_to_be_none(
    street: Street, shopify: PretendShopify
) -> None:
    place = gid("Location", next(iter(shopify.locations)))
    shopify.add_variant("cup", {place: 1})
    shopify.add_variant("bowl", {place: 1})
    import_again(street, shopify)
    shopify.place_order([("cup", 1)])
    later(street)
    assert broken(street) == ["sku_not_mapped"]
    assert (first(street).count, "1 orders wait" in first(street).detail) == (2, True)
    street.world.item("cup")
    channel = street.channel_of(shopify)
    with street.world.session() as session:
        rows = session.rows("select listing_key, sku from listing where merchant_id = %(merchant_id)s")
        keys = {row.sku: row.listing_key for row in rows}
        map_listing(session, channel, keys["cup"], street.world.items["cup"])
        unmap_listing(session, channel, keys["bowl"])
    later(street)
    assert broken(street) == []


def test_a_place_that_is_none_of_ours_is_told_until_it_is_mapped(street: Street, shopify: PretendShopify) -> None:
    place = shopify.add_location("Annex")
    item = shopify.variant("mug")
    shopify.set_stock_by_hand("mug", place, 5)
    shopify.set_stock_by_hand("mug", gid("Location", next(iter(shopify.locations))), 0)
    shopify.place_order([("mug", 2)])
    later(street, times=2)
    assert item.tracked
    assert "location_not_mapped" in broken(street)
    (finding,) = [finding for finding in told(street).findings if finding.link == "location_not_mapped"]
    assert finding.do == f"`python -m app location map 'Shopify 0' {place} LOCATION`"
    merchant, channel = street.world.merchant_id, street.channel_of(shopify)
    with pytest.raises(NotFound) as refused:
        map_place(street.runtime, merchant, channel, "Mars", street.world.b)
    assert "Annex" in refused.value.detail
    assert map_place(street.runtime, merchant, channel, place, street.world.b) == "Annex"
    later(street, times=3)
    assert "location_not_mapped" not in broken(street)
    assert street.world.level("mug", "B")["committed"] == 2


def test_a_channel_without_any_place_is_told(street: Street, woo: WooShop) -> None:
    run(street, "delete from channel_location where merchant_id = %(merchant_id)s")
    assert "location_not_mapped" in broken(street)
    map_place(street.runtime, street.world.merchant_id, street.channel_of(woo), "", street.world.a)
    later(street)
    assert broken(street) == []


def test_a_product_whose_stock_is_not_tracked_any_more_is_told_until_it_is(street: Street, woo: WooShop) -> None:
    product = next(some for some in woo.state.products.values() if some.sku == "mug")
    product.manage = False
    audit(street, 10)
    assert broken(street) == ["item_untracked"]
    assert "tracking for mug" in first(street).do
    product.manage = True
    audit(street, 10)
    audit(street, 10)
    assert broken(street) == []


def test_a_person_who_dismissed_the_case_about_it_is_not_asked_again_at_every_comparison(
    street: Street, woo: WooShop
) -> None:
    product = next(some for some in woo.state.products.values() if some.sku == "mug")
    product.manage = False
    audit(street, 10)
    (case,) = in_session(street, list_cases)
    in_session(street, dismiss, case.case_id, "ann")
    audit(street, 10)
    assert in_session(street, list_cases) == []
    product.manage = True
    audit(street, 10)
    product.manage = False
    audit(street, 10)
    assert [found.kind for found in in_session(street, list_cases)] == ["unmanaged"]


def test_a_product_that_is_not_stocked_at_a_place_is_told_and_is_nothing_broken(
    street: Street, shopify: PretendShopify
) -> None:
    street.world.item("cup")
    shopify.add_variant("cup")
    import_again(street, shopify)
    audit(street, 10)
    assert [(finding.link, finding.broken) for finding in told(street).findings] == [("not_stocked", False)]


def test_a_product_that_the_shop_has_no_more_is_told_until_it_is_unmapped(street: Street, woo: WooShop) -> None:
    key = str(woo.product_id("mug"))
    woo.delete_product("mug")
    audit(street, 10)
    assert broken(street) == ["listing_gone"]
    assert first(street).do == f"`python -m app listing unmap 'Woo 0' {key}`"
    in_session(street, unmap_listing, street.channel_of(woo), key)
    assert broken(street) == []


def test_a_number_that_the_shop_refuses_is_told(street: Street, shopify: PretendShopify) -> None:
    run(street, "update stock_owner set state = 'refused', reason = 'out of range' where merchant_id = %(merchant_id)s")
    assert broken(street) == ["number_refused"]
    assert "out of range" in first(street).detail
    audit(street, 10)  # the shop shows a number there: it is written again
    assert broken(street) == []


@pytest.mark.parametrize(
    ("stuck", "says"),
    [
        ("unclear_attempt_id = 999", "no clear answer"),
        ("awaiting_since = %(now)s + interval '1 day'", "its orders are read before the next write"),
    ],
)
def test_numbers_that_wait_too_long_are_told_with_the_reason_until_the_channel_is_read_afresh(
    street: Street, shopify: PretendShopify, stuck: str, says: str
) -> None:
    run(street, f"update stock_owner set {stuck}, conflicts = {CONFLICTS_MAX} where merchant_id = %(merchant_id)s")
    street.world.move("mug", 5, OPENING, "5")
    later(street, LATE.total_seconds() + 1)
    assert broken(street) == ["plan_stuck"]
    assert (first(street).count, says in first(street).detail) == (1, True)
    assert "python -m app reading afresh 'Shopify 0'" in first(street).do
    in_session(street, read_afresh, street.channel_of(shopify), "ann")
    later(street, times=3)
    assert broken(street) == []
    assert shopify.shown()["mug"] == 15


def test_a_write_that_was_never_finished_is_told_until_the_channel_is_read_afresh(
    street: Street, shopify: PretendShopify
) -> None:
    run(
        street,
        """insert into push_attempt (merchant_id, attempt_id, channel_id, key, owner, state, opened_at, deadline)
           select merchant_id, 1, channel_id, 'k', 'dead', 'open', %(now)s, %(now)s from channel
           where merchant_id = %(merchant_id)s""",
    )
    run(street, "update channel_poll set due_at = %(now)s + interval '1 day' where merchant_id = %(merchant_id)s "
                "and kind = 'push'")  # fmt: skip
    later(street, 240)
    assert broken(street) == ["attempt_open"]
    in_session(street, read_afresh, street.channel_of(shopify), "ann")
    later(street, times=2)
    assert broken(street) == []


def test_drift_that_waits_for_an_answer_is_told_until_it_is_given(street: Street, woo: WooShop) -> None:
    in_session(street, set_drift_policy, street.channel_of(woo), "ask")
    edit(woo, -3)
    audit(street)
    assert broken(street) == ["drift_waits"]
    case = int(first(street).do.split()[5])
    in_session(street, decide, case, "ledger", "ann")
    later(street)
    assert broken(street) == []


def test_a_document_that_could_not_be_booked_is_told_with_what_to_do(street: Street, shopify: PretendShopify) -> None:
    posted = caught(street, shopify)
    street.hand_over(shopify, street.signed(shopify, posted, posted.body.replace(b'"line_items":', b'"lines":')))
    street.worker.step()
    assert broken(street) == ["orders_parked"]
    assert first(street).do == words.PARKED["topic_body_mismatch"]
    run(street, "update inbox set state = 'done' where merchant_id = %(merchant_id)s and state = 'parked'")
    assert broken(street) == []


def test_a_failed_import_is_told(street: Street, shopify: PretendShopify) -> None:
    run(
        street,
        """insert into channel_import (merchant_id, channel_id, what, since, until, state, last_error, requested_at)
           select merchant_id, channel_id, 'orders', %(now)s, %(now)s, 'failed', 'export_refused', %(now)s from channel
           where merchant_id = %(merchant_id)s""",
    )
    assert broken(street) == ["import_failed"]
    assert "export_refused" in first(street).detail
    run(street, "update channel_import set state = 'paging' where merchant_id = %(merchant_id)s")
    assert [finding.link for finding in told(street).findings] == ["importing"]


def test_the_most_basic_cause_comes_first_and_every_finding_has_something_to_do(
    street: Street, shopify: PretendShopify
) -> None:
    shopify.add_variant("cup")
    import_again(street, shopify)
    shopify.access_token = "shpat_new"
    street.world.move("mug", 5, OPENING, "5")
    for _ in range(8):
        street.world.now += LATE / 4
        street.worker.step()
    assert broken(street) == ["token_refused", "sku_not_mapped", "plan_stuck"]
    places = [list(LINKS).index(link) for link in broken(street)]
    assert places == sorted(places)
    assert all(finding.do and finding.what for finding in told(street).findings)


def test_a_channel_that_is_not_active_is_not_read_afresh(street: Street, shopify: PretendShopify) -> None:
    in_session(street, change_state, street.channel_of(shopify), "paused", "ann")
    with pytest.raises(Conflict):
        in_session(street, read_afresh, street.channel_of(shopify), "ann")
