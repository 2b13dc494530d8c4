"""What pages read: items by key and by search, movements with their cost, and how each channel stands."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.items import NewItem, create_items, create_kit
from app.core.errors import InvalidInput
from app.insight import home, words
from app.insight.home import Home, read_home
from app.insight.items import PAGE_ROWS, SORTS, ItemPage, get_item_row, list_items, list_levels
from app.insight.movements import MovementPage, list_movements, list_recent
from app.listings.channels import set_state
from tests.statements import counted
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"


def search(world: World, text: str = "", **how: str) -> ItemPage:
    with world.session() as session:
        return list_items(session, search=text, **how)


def skus(page: ItemPage) -> list[str]:
    return [row.sku for row in page.rows]


def look(world: World) -> Home:
    with world.session() as session:
        return read_home(session)


def reasons(world: World, channel: int = 0) -> list[str]:
    return [link.reason for link in look(world).channels[channel].health]


def movements(world: World, sku: str, before: int | None = None) -> MovementPage:
    with world.session() as session:
        return list_movements(session, world.items[sku], before)


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_pages_follow_each_other_without_gap_or_repetition_in_every_order(world: World, sort: str) -> None:
    with world.session() as session:
        create_items(session, [NewItem(f"i{n:03}", f"name {n % 7}") for n in range(PAGE_ROWS * 2 + 5)])
    seen: list[str] = []
    page = search(world, sort=sort)
    seen += skus(page)
    while page.next_cursor:
        page = search(world, sort=sort, cursor=page.next_cursor)
        seen += skus(page)
    assert len(seen) == len(set(seen)) == PAGE_ROWS * 2 + 5
    if sort == "-sku":
        assert seen == sorted(seen, reverse=True)


def test_an_item_is_found_by_any_part_of_its_sku_name_or_barcode_in_any_case(world: World) -> None:
    with world.session() as session:
        create_items(session, [NewItem("MUG-1", "Blue mug", "4006381333931"), NewItem("CUP-1", "Red cup")])
    assert skus(search(world, "mug")) == skus(search(world, "LUE M")) == skus(search(world, "6381")) == ["MUG-1"]
    assert skus(search(world, "-1")) == ["CUP-1", "MUG-1"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "%_%"])
def test_a_wildcard_in_a_search_means_itself(world: World, text: str) -> None:
    with world.session() as session:
        create_items(session, [NewItem("plain", "plain"), NewItem("odd", f"odd {text} name")])
    assert skus(search(world, text)) == ["odd"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"sort": "available; drop table item"}, "unknown_sort"),
        ({"cursor": "%%%"}, "bad_cursor"),
        ({"cursor": "bnVsbA"}, "bad_cursor"),
        ({"cursor": "W10"}, "bad_cursor"),
        ({"text": "x" * 201}, "search_too_long"),
        ({"text": "\0"}, "search_too_long"),
    ],
)
def test_a_page_that_cannot_be_asked_for_is_refused_by_its_field(
    world: World, how: dict[str, str], reason: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        search(world, **how)
    assert refused.value.reason == reason
    assert refused.value.where


def test_an_items_units_are_summed_over_its_places_and_worth_what_was_paid(world: World) -> None:
    world.move("mug", 7, OPENING, "35")
    world.move("mug", 3, "opening > available@B", "15")
    world.move("mug", 2, "available@A > committed@A")
    (row,) = search(world, "mug").rows
    assert (row.available, row.committed, row.on_hand, row.value) == (8, 2, 10, Decimal(50))
    with world.session() as session:
        assert [(p.location, p.available, p.committed) for p in list_levels(session, row.item_id)] == [
            ("A", 5, 2),
            ("B", 3, 0),
        ]


def test_a_kit_shows_what_its_components_allow_at_each_place(world: World) -> None:
    for sku, units, place in (("cup", 7, "A"), ("saucer", 2, "A"), ("cup", 5, "B"), ("saucer", 9, "B")):
        world.move(sku, units, f"opening > available@{place}", "1")
    with world.session() as session:
        kit = create_kit(session, NewItem("set", "Tea set"), {world.items["cup"]: 2, world.items["saucer"]: 1})
        assert get_item_row(session, kit).available == 2 + 2


def test_an_items_movements_are_paged_newest_first_with_what_they_cost(world: World) -> None:
    world.post(*[world.movement("mug", 1, OPENING, "2.50") for _ in range(PAGE_ROWS + 3)])
    first = movements(world, "mug")
    rest = movements(world, "mug", first.next_before)
    ids = [row.movement_id for row in (*first.rows, *rest.rows)]
    assert ids == sorted(ids, reverse=True)
    assert (len(first.rows), len(rest.rows), rest.next_before) == (PAGE_ROWS, 3, None)
    assert first.rows[0].cost == Decimal("2.50")
    world.move("mug", 1, "available@A > committed@A")
    assert movements(world, "mug").rows[0].cost is None


def test_a_movement_of_an_order_names_the_order_and_its_channel(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    shop.place_order([("mug", 3)])
    street.settle(1)
    with world.session() as session:
        row = list_recent(session)[0]
    assert (row.sku, row.quantity, row.channel) == ("mug", 3, "Shopify 0")
    assert row.order_number
    assert words.happened(row.from_state, row.to_state) == "Reserved by an order"


def test_a_channel_that_works_says_so_and_when_it_was_last_read_and_written(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    street.open_woo({"mug": 4})
    street.settle()
    (channel,) = look(world).channels
    assert [link.reason for link in channel.health] == ["nothing_wrong"]
    assert channel.last_read_at is not None
    assert channel.last_push_at is not None
    assert (channel.due, channel.due_since) == (0, None)


def test_every_broken_link_of_a_channel_is_named(street: Street) -> None:
    world = street.world
    world.item("mug")
    street.open_woo({"mug": 4})
    street.settle()
    with world.session() as session:
        session.run(
            """update channel_poll set failures = 1, last_error = 'keys_not_accepted', due_at = %(now)s
               where merchant_id = %(merchant_id)s""",
            now=session.now - timedelta(minutes=3),
        )
        session.run(
            """insert into delivery_refusal (merchant_id, channel_id, reason, refused_on, count, last_at)
               select merchant_id, channel_id, 'invalid_signature', %(now)s::date, 4, %(now)s from channel
               where merchant_id = %(merchant_id)s""",
            now=session.now,
        )
    links = look(world).channels[0].health
    assert [link.reason for link in links] == [
        "reading_orders_fails",
        "sweeping_orders_fails",
        "reading_stock_fails",
        "checking_orders_fails",
        "checking_webhooks_fails",
        "reading_products_fails",
        "writing_fails",
        "looking_fails",
        "clock_not_running",
        "webhooks_refused",
    ]
    assert {link.level for link in links} == {"bad"}
    assert links[-1].count == 4
    assert words.failure(links[0].failure).startswith("it does not accept our key")


def test_numbers_that_wait_too_long_are_said_to_be_late(street: Street) -> None:
    world = street.world
    world.item("mug")
    street.open_woo({"mug": 4})
    street.settle()
    world.move("mug", 9, OPENING, "9")
    world.now += home.LATE + timedelta(seconds=1)
    assert "writing_is_late" in reasons(world)
    assert look(world).channels[0].due == 1


@pytest.mark.parametrize("state", ["paused", "shadow", "disconnected"])
def test_a_channel_that_is_not_active_says_only_that_it_is_not(street: Street, state: str) -> None:
    street.open_woo({"mug": 4})
    street.settle()
    with street.world.session() as session:
        set_state(session, min(street.shops), state)
    assert reasons(street.world) == [state]


def test_parked_rows_are_grouped_and_say_what_to_do(street: Street) -> None:
    shop = street.open_shopify({"unknown": 9})
    street.settle()
    for _ in range(3):
        shop.place_order([("unknown", 1)])
    street.settle(2)
    (group,) = [group for group in look(street.world).parked if group.reason == "unknown_listing"]
    assert (group.channel, group.resource) == ("Shopify 0", "order")
    assert group.rows >= 3
    assert group.reason in words.PARKED


def test_an_open_case_names_the_item_it_is_about(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    shop = street.open_woo({"mug": 10})
    street.settle()
    shop.set_stock_by_hand("mug", 99)
    with world.session() as session:
        session.run("update channel set drift_policy = 'ask' where merchant_id = %(merchant_id)s")
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
    street.settle(60)
    assert [(case.kind, case.sku) for case in look(world).cases] == [("drift", "mug")]


def test_the_home_page_takes_as_many_statements_for_many_channels_as_for_none(street: Street) -> None:
    world = street.world
    with counted(world.database) as alone:
        look(world)
    world.move("mug", 10, OPENING, "50")
    street.open_shopify({"mug": 10})
    street.open_woo({"mug": 10, "unknown": 1})
    street.settle()
    with counted(world.database) as many:
        look(world)
    assert len(alone) == len(many) <= 7


def test_one_merchant_reads_nothing_of_another(street: Street, other: World) -> None:
    street.world.move("mug", 10, OPENING, "50")
    street.open_woo({"mug": 10})
    street.settle()
    seen = look(other)
    assert (seen.channels, seen.movements, seen.parked, seen.cases) == ([], [], [], [])
    assert skus(search(other)) == []
    with other.session() as session:
        assert list_movements(session, street.world.items["mug"]).rows == []
