"""`why` proves a number: from what customers see down to movements, from the rows that the pusher itself uses."""

from __future__ import annotations

import orjson
import pytest

from app.catalog.items import NewItem, create_kit
from app.core.errors import NotFound
from app.listings.channels import set_drift_policy, set_state
from app.publishing.why import MOVEMENTS_MAX, run, why
from app.publishing.why_text import STEPS, WAITING, as_json, as_text
from app.publishing.why_tree import Why
from tests.statements import counted
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"


def ask(world: World, sku: str, channel: str | None = None) -> list[Why]:
    with world.session() as session:
        return why(session, sku, channel)


def a_street_after_a_sale(street: Street) -> Street:
    street.world.move("mug", 10, OPENING, "50")
    street.open_shopify({"mug": 10})
    street.open_woo({"mug": 10})
    street.settle()
    next(iter(street.shops.values())).place_order([("mug", 3)])
    street.settle(1)
    return street


def test_a_number_leads_down_to_the_movements_and_orders_it_is_made_of(street: Street) -> None:
    shopify, woo = ask(a_street_after_a_sale(street).world, "mug")
    assert (shopify.shown, shopify.target, woo.shown, woo.target) == (7, 7, 7, 7)
    assert woo.steps == (("available", 7),)
    part = next(place for place in woo.places if place.name == "A").parts[0]
    assert [(m.change, m.after) for m in part.movements] == [(-3, 7), (10, 10)]
    assert [(o.units, o.channel) for o in part.orders] == [(3, "Shopify 0")]
    assert (part.available, part.committed) == (7, 3)
    assert [o.movement_ids for o in part.orders] == [(part.movements[0].movement_id,)]


def test_what_the_movements_shown_changed_and_the_earlier_ones_add_up_to_what_is_available(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    for number in range(MOVEMENTS_MAX + 3):
        world.move("mug", 1 + number, OPENING, "1")
    part = next(place for place in ask(world, "mug")[0].places if place.name == "A").parts[0]
    assert len(part.movements) == MOVEMENTS_MAX
    assert part.earlier == 7 + 1 + 2 + 3
    assert part.earlier + sum(m.change for m in part.movements) == part.available == world.available("mug")


def test_a_place_that_the_rule_leaves_out_is_named_and_not_counted(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    world.move("mug", 5, "opening > available@B", "5")
    with world.session() as session:
        session.run(
            "update stock_owner set location_ids = array[%(a)s]::bigint[] where merchant_id = %(merchant_id)s",
            a=world.a,
        )
    number = ask(world, "mug", "Woo 1")[0]
    assert [(place.name, place.units, place.counted) for place in number.places] == [("A", 7, True), ("B", 5, False)]
    assert number.steps[0] == ("available", 7)


def test_the_last_acknowledged_write_is_shown_with_its_key_and_both_numbers(street: Street) -> None:
    shopify, woo = ask(a_street_after_a_sale(street).world, "mug")
    assert woo.last_write is not None
    assert (woo.last_write.expected, woo.last_write.target, woo.last_write.answer) == (10, 7, 7)
    assert woo.last_write.key
    assert shopify.last_write is None  # its own sale moved it: there was nothing to write
    assert shopify.belief_revision > 0


def test_the_units_of_all_places_add_up_to_the_first_step_of_the_plan_for_items_and_for_kits(street: Street) -> None:
    world = street.world
    for sku, units, place in (("cup", 7, "A"), ("cup", 5, "B"), ("saucer", 9, "A"), ("saucer", 2, "B")):
        world.move(sku, units, f"opening > available@{place}", "10")
    with world.session() as session:
        create_kit(session, NewItem("set", "Tea set"), {world.items["cup"]: 2, world.items["saucer"]: 1})
    street.open_woo({"set": 0, "cup": 0})
    street.settle()
    for sku, expected in (("set", [3, 2]), ("cup", [7, 5])):
        (number,) = ask(world, sku)
        assert [place.units for place in number.places] == expected
        assert number.steps[0] == ("available", sum(expected))
    assert [part.per_unit for part in ask(world, "set")[0].places[0].parts] == [2, 1]


def test_a_buffer_and_a_bound_are_steps_of_their_own(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    with world.session() as session:
        session.run("update stock_owner set buffer = 2, shown_max = 4 where merchant_id = %(merchant_id)s")
    number = ask(world, "mug", "Woo 1")[0]
    assert number.steps == (("available", 7), ("buffer", 5), ("at most", 4))
    assert (number.shown, number.target) == (7, 4)
    assert number.due_since == world.now


def test_whatever_a_number_waits_for_is_named_and_has_words(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    with world.session() as session:
        set_state(session, min(street.shops), "paused")
        session.run(
            """update stock_owner set awaiting_since = %(now)s, look_since = %(now)s, observed_revision = 0,
               observed = 5, observed_at = %(now)s, believed = null where merchant_id = %(merchant_id)s""",
            now=session.now,
        )
    reasons = [waiting.reason for waiting in ask(world, "mug")[0].waiting]
    assert reasons == ["channel_paused", "awaiting_orders", "contradicted", "to_be_looked_at", "never_seen"]
    assert set(reasons) <= WAITING.keys()


@pytest.mark.parametrize("state", ["untracked", "bundle", "gone", "refused"])
def test_a_listing_that_is_not_managed_says_why_and_has_no_target(street: Street, state: str) -> None:
    world = a_street_after_a_sale(street).world
    with world.session() as session:
        session.run("update stock_owner set state = %(state)s where merchant_id = %(merchant_id)s", state=state)
    number = ask(world, "mug")[0]
    assert number.target is None
    assert number.waiting[0].reason == f"listing_{state}"
    assert f"listing_{state}" in WAITING


def test_an_open_case_is_shown_at_its_own_number_only(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    shop = list(street.shops.values())[1]
    shop.set_stock_by_hand("mug", 99)
    with world.session() as session:
        set_drift_policy(session, street.channel_of(shop), "ask")
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
    street.settle(60)
    shopify, woo = ask(world, "mug")
    assert [case.kind for case in woo.cases] == ["drift"]
    assert "held_by_case" in {waiting.reason for waiting in woo.waiting}
    assert shopify.cases == ()


def test_the_number_of_statements_does_not_grow_with_channels_orders_or_movements(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    world.item("alone")
    counts = []
    for sku in ("alone", "mug"):
        with counted(world.database) as statements:
            ask(world, sku)
        counts.append(len(statements))
    for number in range(8):
        world.move("mug", 1 + number, OPENING, "1")
    street.open_woo({"mug": 1})
    street.settle()
    with counted(world.database) as statements:
        ask(world, "mug")
    assert len(statements) == counts[1] <= 8
    assert counts[0] <= counts[1]


def test_another_merchants_item_and_channel_are_as_unknown_as_absent_ones(street: Street, other: World) -> None:
    a_street_after_a_sale(street)
    for sku, channel in (("mug", None), ("absent", None)):
        with other.session() as session, pytest.raises(NotFound) as refused:
            run(session, sku, channel)
        assert refused.value.reason == "unknown_sku"
    other.item("mug")
    with other.session() as session, pytest.raises(NotFound) as refused:
        run(session, "mug", "Woo 1")
    assert refused.value.reason == "unknown_channel"


def test_the_tree_reads_as_text_and_is_complete_as_json(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    with world.session() as session:
        explained = run(session, "mug")
    text = as_text(explained)
    assert "Woo 1 shows 7" in text
    assert STEPS["available"] in text
    assert "-3 → 7" in text
    told = orjson.loads(as_json(explained))
    assert told["numbers"][1]["places"][0]["parts"][0]["movements"][0]["change"] == -3
    assert told["sku"] == "mug"


def test_an_item_that_no_channel_lists_says_so(world: World) -> None:
    world.item("alone")
    with world.session() as session:
        assert "no channel lists this item" in as_text(run(session, "alone"))


def test_only_an_acknowledged_write_an_open_hold_and_a_case_of_this_number_count(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    acknowledged = ask(world, "mug", "Woo 1")[0].last_write
    with world.session() as session:
        session.run("update order_position set committed = 0 where merchant_id = %(merchant_id)s")
        session.run(
            """insert into push_attempt (merchant_id, attempt_id, channel_id, key, owner, state, opened_at, deadline)
               select merchant_id, 1000000 + channel_id, channel_id, 'later', 'x', 'done', %(now)s, %(now)s
               from channel where merchant_id = %(merchant_id)s""",
            now=session.now,
        )
        session.run(
            """insert into push_row (merchant_id, attempt_id, owner_id, expected, target, relative, due_since, due_ids,
                                     reasons, outcome)
               select merchant_id, 1000000 + channel_id, owner_id, 7, 1, false, %(now)s, '{}', '[]', 'conflict'
               from stock_owner where merchant_id = %(merchant_id)s""",
            now=session.now,
        )
        session.run(
            """insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, opened_at)
               select merchant_id, nextval('case_seq'), 'drift', channel_id, 'another product', '', %(now)s
               from channel where merchant_id = %(merchant_id)s""",
            now=session.now,
        )
    number = ask(world, "mug", "Woo 1")[0]
    assert number.last_write == acknowledged
    assert number.cases == ()
    assert all(part.orders == () for place in number.places for part in place.parts)
