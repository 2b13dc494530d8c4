"""Where every unit of an order is, from the documents of a read."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.base import Units
from tests.unit.shopify.documents import (
    ANNEX,
    RETURN,
    SHELF,
    STORE,
    disposed,
    line,
    owed,
    parsed,
    problems,
    refund,
    shipped,
    units,
)


def test_a_new_order_is_committed_where_its_fulfilment_order_is_assigned() -> None:
    # The trap: order.location_id and physicalLocation name one place, often the wrong one.
    snapshot = parsed(line(3), owed=[owed(2, SHELF), owed(1, ANNEX)], physicalLocation={"id": STORE})
    assert units(snapshot) == {SHELF: Units(SHELF, committed=2, taken=2), ANNEX: Units(ANNEX, committed=1, taken=1)}
    assert snapshot.located
    assert problems(snapshot) == []


def test_the_snapshot_carries_keys_version_price_and_status_as_the_channel_gives_them() -> None:
    snapshot = parsed(line(1), owed=[owed(1)], updatedAt="2026-11-23T10:05:00+02:00")
    (only,) = snapshot.lines
    assert (snapshot.order_key, snapshot.number, snapshot.status) == ("gid://shopify/Order/1", "#1001", "open")
    assert snapshot.version == datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
    assert snapshot.version.utcoffset() == UTC.utcoffset(None)
    assert (only.listing_key, only.stock_key) == ("gid://shopify/ProductVariant/21", "gid://shopify/InventoryItem/31")
    assert (only.ordered, only.unit_price, snapshot.currency) == (1, Decimal("12.50"), "EUR")


@pytest.mark.parametrize("status", ["OPEN", "IN_PROGRESS", "ON_HOLD", "SCHEDULED", "INCOMPLETE"])
def test_a_fulfilment_order_that_is_not_done_still_commits_its_units(status: str) -> None:
    assert units(parsed(line(1), owed=[owed(1, status=status)]))[SHELF].committed == 1


def test_a_moved_fulfilment_order_commits_at_its_new_place_only() -> None:
    snapshot = parsed(line(2), owed=[owed(0, SHELF, "CLOSED"), owed(2, ANNEX)])
    assert units(snapshot) == {ANNEX: Units(ANNEX, committed=2, taken=2)}


def test_a_fulfilment_ships_from_its_own_location_not_from_the_assigned_one() -> None:
    snapshot = parsed(line(2), owed=[owed(1, SHELF)], shipped=[shipped(1, ANNEX)])
    assert units(snapshot) == {SHELF: Units(SHELF, committed=1, taken=1), ANNEX: Units(ANNEX, shipped=1, taken=1)}


@pytest.mark.parametrize("status", ["CANCELLED", "ERROR", "FAILURE"])
def test_a_fulfilment_that_did_not_happen_ships_nothing(status: str) -> None:
    assert units(parsed(line(1), owed=[owed(1)], shipped=[shipped(1, status=status)])) == {
        SHELF: Units(SHELF, committed=1, taken=1)
    }


def test_a_unit_refunded_before_shipping_and_restocked_is_simply_not_committed_any_more() -> None:
    snapshot = parsed(line(3, currentQuantity=2), owed=[owed(2)], refunds=[refund(1, "CANCEL", SHELF)])
    assert units(snapshot) == {SHELF: Units(SHELF, committed=2, taken=2)}
    assert problems(snapshot) == []


def test_a_unit_refunded_before_shipping_without_restock_is_held_and_still_off_the_shops_number() -> None:
    snapshot = parsed(line(3, currentQuantity=2), owed=[owed(2)], refunds=[refund(1, "NO_RESTOCK")])
    assert units(snapshot) == {SHELF: Units(SHELF, committed=2, held=1, taken=3)}


def test_a_return_with_restock_comes_back_at_the_refund_lines_location() -> None:
    snapshot = parsed(
        line(2, currentQuantity=1), owed=[owed(0, status="CLOSED")], shipped=[shipped(2, SHELF)],
        refunds=[refund(1, "RETURN", STORE)],
    )  # fmt: skip
    assert units(snapshot) == {
        SHELF: Units(SHELF, shipped=1, taken=2),
        STORE: Units(STORE, restocked=1, taken=-1),
    }


def test_a_restock_without_a_location_is_booked_where_the_unit_was_shipped_and_shown() -> None:
    snapshot = parsed(line(1, currentQuantity=0), shipped=[shipped(1, ANNEX)], refunds=[refund(1, "RETURN", None)])
    assert units(snapshot) == {ANNEX: Units(ANNEX, restocked=1, taken=0)}
    assert problems(snapshot) == ["restock_location_missing"]


def test_a_shipped_unit_refunded_without_restock_stays_with_the_customer() -> None:
    snapshot = parsed(line(2, currentQuantity=1), shipped=[shipped(2)], refunds=[refund(1, "NO_RESTOCK")])
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=2, taken=2)}
    assert problems(snapshot) == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([], {}),
        ([shipped(1)], {SHELF: Units(SHELF, restocked=1, taken=0)}),
    ],
)
def test_a_legacy_restock_is_a_cancel_or_a_return_by_whether_the_unit_was_shipped(
    sent: list[dict[str, object]], expected: dict[str, Units]
) -> None:
    snapshot = parsed(line(1, currentQuantity=0), shipped=sent, refunds=[refund(1, "LEGACY_RESTOCK", SHELF)])
    assert units(snapshot) == expected


def test_a_line_shortened_by_an_order_edit_gives_its_units_back() -> None:
    assert units(parsed(line(3, currentQuantity=1), owed=[owed(1)])) == {SHELF: Units(SHELF, committed=1, taken=1)}


def test_a_cancelled_order_with_restock_holds_nothing() -> None:
    snapshot = parsed(
        line(2, currentQuantity=0), owed=[owed(0, status="CLOSED")], refunds=[refund(2, "CANCEL", SHELF)],
        cancelledAt="2026-11-23T08:05:00Z",
    )  # fmt: skip
    assert units(snapshot) == {}
    assert (snapshot.status, problems(snapshot)) == ("cancelled", [])


def test_units_that_a_closed_location_swallowed_on_cancelling_are_held_and_shown() -> None:
    # The third unit had been removed by an edit before, and so was put back.
    snapshot = parsed(line(3, currentQuantity=2), owed=[owed(0, ANNEX, "CLOSED")], cancelledAt="2026-11-23T08:05:00Z")
    assert units(snapshot) == {ANNEX: Units(ANNEX, held=2, taken=2)}
    assert problems(snapshot) == ["cancelled_without_restock"]


def test_a_unit_held_before_the_rest_moved_is_still_where_it_lay_then() -> None:
    moved_later = owed(1, ANNEX, since="2026-11-23T08:04:00Z")
    snapshot = parsed(
        line(2, currentQuantity=1), owed=[owed(0, SHELF, "CLOSED"), moved_later], refunds=[refund(1, "NO_RESTOCK")]
    )
    assert units(snapshot) == {SHELF: Units(SHELF, held=1, taken=1), ANNEX: Units(ANNEX, committed=1, taken=1)}


def test_an_unconfirmed_order_reserves_nothing() -> None:
    snapshot = parsed(line(2), owed=[owed(2)], confirmed=False)
    assert units(snapshot) == {}
    assert snapshot.status == "unconfirmed"


@pytest.mark.parametrize(
    "unstocked",
    [line(1, isGiftCard=True), line(1, variant=None, sku=None)],
    ids=["gift card", "tip or custom item"],
)
def test_a_line_that_is_no_thing_has_no_units_and_is_marked_untracked(unstocked: dict[str, object]) -> None:
    snapshot = parsed(unstocked, owed=[owed(1, inventoryItemId=None)])
    assert (snapshot.lines[0].tracked, units(snapshot)) == (False, {})


def test_a_line_that_the_shop_keeps_no_stock_of_says_so_and_where_its_units_are() -> None:
    item = {"id": "gid://shopify/InventoryItem/31", "tracked": False}
    snapshot = parsed(line(1, variant={"id": "gid://shopify/ProductVariant/21", "inventoryItem": item}), owed=[owed(1)])
    assert (snapshot.lines[0].tracked, units(snapshot)[SHELF].committed, problems(snapshot)) == (False, 1, [])
    nowhere = parsed(line(1, variant={"id": "gid://shopify/ProductVariant/21", "inventoryItem": item}), owed=[])
    assert nowhere.located  # nothing waits for the place of what no number is kept of


def test_a_product_deleted_after_the_sale_keeps_its_units() -> None:
    snapshot = parsed(line(1, variant=None), owed=[owed(1)])
    (only,) = snapshot.lines
    assert (only.listing_key, only.stock_key) == (None, "gid://shopify/InventoryItem/31")
    assert units(snapshot)[SHELF].committed == 1


def test_units_that_no_fulfilment_order_names_yet_are_committed_without_a_place() -> None:
    snapshot = parsed(line(2), owed=[])
    assert units(snapshot) == {None: Units(None, committed=2, taken=2)}
    assert not snapshot.located


def test_in_a_shop_with_one_location_units_without_a_place_are_there() -> None:
    snapshot = parsed(line(2), owed=[owed(2, None)], home=SHELF)
    assert units(snapshot) == {SHELF: Units(SHELF, committed=2, taken=2)}
    assert snapshot.located


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("RESTOCKED", Units(ANNEX, restocked=1, taken=-1)),
        ("NOT_RESTOCKED", Units(ANNEX, damaged=1)),
        ("PROCESSING_REQUIRED", Units(ANNEX, held=1)),
    ],
)
def test_a_disposition_says_what_became_of_a_returned_unit(kind: str, expected: Units) -> None:
    snapshot = parsed(line(2), shipped=[shipped(2)], returns=[disposed((kind, 1, ANNEX))], returnStatus="IN_PROGRESS")
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=1, taken=2), ANNEX: expected}


def test_a_missing_returned_unit_never_reaches_the_shelf() -> None:
    snapshot = parsed(line(1), shipped=[shipped(1)], returns=[disposed(("MISSING", 1, None))])
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=1, taken=1)}


def test_a_unit_named_by_both_a_disposition_and_its_returns_refund_is_booked_back_once() -> None:
    snapshot = parsed(
        line(3, currentQuantity=2), shipped=[shipped(3)], returns=[disposed(("RESTOCKED", 1, SHELF))],
        refunds=[refund(1, "RETURN", SHELF, of_return=RETURN)],
    )  # fmt: skip
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=2, restocked=1, taken=2)}


def test_of_a_returns_refund_only_what_the_dispositions_have_not_said_is_booked() -> None:
    snapshot = parsed(
        line(3, currentQuantity=1), shipped=[shipped(3)], returns=[disposed(("PROCESSING_REQUIRED", 1, SHELF))],
        refunds=[refund(2, "RETURN", SHELF, of_return=RETURN)],
    )  # fmt: skip
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=1, restocked=1, held=1, taken=2)}


def test_a_refund_outside_a_return_is_another_unit_than_the_returns() -> None:
    snapshot = parsed(
        line(3, currentQuantity=2), shipped=[shipped(3)], returns=[disposed(("RESTOCKED", 1, SHELF))],
        refunds=[refund(1, "RETURN", SHELF)],
    )  # fmt: skip
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=1, restocked=2, taken=1)}


def test_a_refund_larger_than_the_order_never_invents_units_but_moves_the_shops_number() -> None:
    snapshot = parsed(line(1, currentQuantity=0), shipped=[shipped(1)], refunds=[refund(3, "RETURN", SHELF)])
    assert units(snapshot) == {SHELF: Units(SHELF, restocked=1, taken=-2)}
    assert problems(snapshot) == ["refund_exceeds_order"]


def test_a_restock_that_the_shop_says_did_not_happen_is_held_and_shown() -> None:
    snapshot = parsed(
        line(1, currentQuantity=0), shipped=[shipped(1)], refunds=[refund(1, "RETURN", SHELF, restocked=False)]
    )
    assert units(snapshot) == {SHELF: Units(SHELF, held=1, taken=1)}
    assert problems(snapshot) == ["not_restocked"]


def test_unshipped_units_put_back_at_another_place_move_both_numbers_of_the_shop() -> None:
    snapshot = parsed(line(1, currentQuantity=0), owed=[owed(0, SHELF, "CLOSED")], refunds=[refund(1, "CANCEL", STORE)])
    assert units(snapshot) == {SHELF: Units(SHELF, taken=1), STORE: Units(STORE, taken=-1)}
    assert problems(snapshot) == ["restocked_elsewhere"]


def test_a_line_named_twice_is_counted_once_and_shown() -> None:
    snapshot = parsed(line(1), line(1), owed=[owed(1)])
    assert len(snapshot.lines) == 1
    assert problems(snapshot) == ["duplicate_line"]


def test_a_native_bundle_is_booked_by_its_component_lines_only() -> None:
    group = {"id": "gid://shopify/LineItemGroup/1", "quantity": 1, "variantId": "gid://shopify/ProductVariant/99"}
    component = line(2, lineItemGroup=group)
    (only,) = parsed(component, owed=[owed(2)]).lines
    assert only.listing_key == "gid://shopify/ProductVariant/21"
