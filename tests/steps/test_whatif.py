"""What if the rule were another: the plan again with it, beside the actual one; nothing is written."""

from __future__ import annotations

import orjson
import pytest

from app.core.errors import InvalidInput
from app.listings.channels import set_state
from app.publishing.whatif import read_suppose
from app.publishing.why import run
from app.publishing.why_text import as_json, as_text
from app.publishing.why_tree import Explained
from app.wiring import CONNECTORS
from tests.statements import counted
from tests.steps.test_why import OPENING, a_street_after_a_sale
from tests.street import Street
from tests.world import World

MODES = {platform: connector.abilities.write_mode for platform, connector in CONNECTORS.items()}


def suppose(world: World, *asked: str, channel: str | None = None) -> Explained:
    with world.session() as session:
        return run(session, "mug", channel, read_suppose(asked, MODES))


def refused(world: World, *asked: str, channel: str | None = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        suppose(world, *asked, channel=channel)
    return caught.value


def test_another_rule_shows_its_target_its_steps_and_what_would_be_written_beside_the_actual_ones(
    street: Street,
) -> None:
    world = a_street_after_a_sale(street).world
    shopify, woo = suppose(world, "buffer=2", "max=4").numbers
    for number in (shopify, woo):
        assert (number.shown, number.target, number.steps) == (7, 7, (("available", 7),))
        assert number.supposed is not None
        assert number.supposed.target == 4
        assert number.supposed.steps == (("available", 7), ("buffer", 5), ("at most", 4))
        assert number.supposed.writes == (7, 4, True)  # a reduction goes out as a difference
    raised = suppose(world, "min=9").numbers
    assert [number.supposed and number.supposed.writes for number in raised] == [(7, 9, False), (7, 9, True)]


def test_a_shop_whose_connector_is_gone_is_planned_for_and_written_by_nobody(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    with world.session() as session:
        found = run(session, "mug", None, read_suppose(("buffer=2",), {"shopify": MODES["shopify"]}))
    assert [(n.supposed.target, n.supposed.writes) for n in found.numbers if n.supposed] == [
        (5, (7, 5, True)),
        (5, None),
    ]


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (["buffer-percent=50"], 3),
        (["buffer_percent=50", "min=6"], 6),
        (["buffer=0"], 7),
        (["max=none"], 7),
        (["oversell=none"], 7),
        (["oversell=0.00001"], 0),
    ],
)
def test_every_field_of_a_rule_can_be_asked_about(street: Street, asked: list[str], target: int) -> None:
    world = a_street_after_a_sale(street).world
    number = suppose(world, *asked, channel="Woo 1").numbers[0]
    assert number.supposed is not None
    assert number.supposed.target == target


def test_only_the_chosen_locations_count_when_they_are_asked_about(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    world.move("mug", 5, "opening > available@B", "5")
    street.settle()
    for asked, target in (("A", 7), ("B", 5), ("A, B", 12), ("all", 12)):
        number = suppose(world, f"locations={asked}", channel="Woo 1").numbers[0]
        assert number.supposed is not None
        assert (number.target, number.supposed.target) == (12, target)


def test_nothing_is_written_by_asking(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    with counted(world.database) as statements:
        suppose(world, "buffer=2", "oversell=0.01", "locations=A")
    assert [s for s in statements if not s.lstrip().startswith(("select", "with"))] == []
    for channel_id in street.shops:
        calls = len(street.adapters[channel_id].calls)
        street.settle()
        assert len(street.adapters[channel_id].calls) == calls


def test_what_keeps_a_number_from_being_written_keeps_the_supposed_one_too(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    with world.session() as session:
        set_state(session, min(street.shops), "paused")
    paused, active = suppose(world, "buffer=2").numbers
    assert paused.supposed is not None
    assert active.supposed is not None
    assert (paused.supposed.target, paused.supposed.writes) == (5, None)
    assert active.supposed.writes == (7, 5, True)


@pytest.mark.parametrize(
    ("asked", "reason", "says"),
    [
        ("bufer=2", "unknown_field", "it has buffer, buffer-percent, oversell, min, max, locations"),
        ("buffer", "no_value", "say what it would be, such as buffer=2"),
        ("buffer=two", "bad_value", "--if buffer: a whole number"),
        ("max=", "bad_value", "--if max: a whole number, or none"),
        ("oversell=nan", "bad_value", "--if oversell: a chance like 0.001, or none"),
        ("locations=", "no_value", "say what it would be"),
        ("buffer=-1", "out_of_bounds", "Shopify 0, buffer: a whole number from 0"),
        ("oversell=2", "out_of_bounds", "oversell_target: a chance from 0.00001 to 0.5"),
        ("locations=Mars", "location_not_feeding", "Woo 1, locations: the channel's number is fed by A, B"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_what_where_and_what_to_do(
    street: Street, asked: str, reason: str, says: str
) -> None:
    error = refused(a_street_after_a_sale(street).world, asked)
    assert error.reason == reason
    assert says in error.detail


def test_every_fault_is_told_at_once_and_a_field_is_named_once(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    error = refused(world, "bufer=2", "min=x", "max=3", "max=4")
    assert [fault.reason for fault in error.faults] == ["unknown_field", "bad_value", "named_twice"]
    assert refused(world, "min=5", "max=4").reason == "min_above_max"


def test_the_supposed_number_reads_as_text_and_is_in_the_json(street: Street) -> None:
    world = a_street_after_a_sale(street).world
    explained = suppose(world, "buffer=2")
    text = as_text(explained)
    assert "with buffer=2 it would show 5" in text
    assert "would be written: 7 → 5, the difference of -2" in text
    told = orjson.loads(as_json(explained))
    assert told["supposing"] == ["buffer=2"]
    assert told["numbers"][1]["supposed"] == {
        "target": 5, "steps": [["available", 7], ["buffer", 5]], "writes": [7, 5, True],
    }  # fmt: skip


def test_a_kit_is_supposed_from_its_scarcest_part_and_a_number_that_is_not_managed_has_none(street: Street) -> None:
    world = street.world
    world.kit("mug", {"cup": 2})
    world.move("cup", 9, OPENING, "9")
    street.open_woo({"mug": 0})
    street.settle()
    number = suppose(world, "buffer=1").numbers[0]
    assert number.supposed is not None
    assert (number.target, number.supposed.target) == (4, 3)
    with world.session() as session:
        session.run("update stock_owner set state = 'untracked' where merchant_id = %(merchant_id)s")
    number = suppose(world, "buffer=1").numbers[0]
    assert number.supposed is not None
    assert number.supposed.target is None
