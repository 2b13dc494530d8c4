"""Bringing items: every fault has its line and column, all of it is imported or nothing, and twice is once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from app.catalog.items import NewItem, create_items, create_kit, get_item, list_components, set_components
from app.catalog.locations import create_location
from app.core.errors import InvalidInput
from app.ledger.opening import ImportPlan, ImportResult, commit_import, preview
from tests.world import World

HEADER = "sku,name,barcode,location,on_hand,unit_cost,total_cost,kind\n"
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "items.csv"


def load(world: World, text: str, encoding: str = "utf-8") -> ImportResult:
    with world.session() as session:
        result = commit_import(session, text.encode(encoding), name="items.csv")
    return result


def look(world: World, data: bytes) -> ImportPlan:
    with world.session() as session:
        return preview(session, data)


def faults(world: World, text: str) -> list[tuple[int, str, str]]:
    return [(f.line, f.column, f.reason) for f in look(world, (HEADER + text).encode()).faults]


def counts(world: World) -> tuple[int, int]:
    with world.session() as session:
        return (
            session.value("select count(*) from item where merchant_id = %(merchant_id)s"),
            session.value("select count(*) from movement where merchant_id = %(merchant_id)s"),
        )


def find(world: World, *skus: str) -> None:
    """Let the world know items that an import made."""
    with world.session() as session:
        world.items |= {sku: get_item(session, sku).item_id for sku in skus}


def test_the_example_of_the_guide_is_imported_with_stock_and_exact_cost(world: World) -> None:
    with world.session() as session:
        create_location(session, "Warehouse")
        create_location(session, "Shop")
    plan = look(world, EXAMPLE.read_bytes())
    assert (plan.items_new, plan.openings, plan.units, plan.value) == (4, 3, 214, Decimal("647.9000"))
    assert not plan.faults
    assert load(world, EXAMPLE.read_text("utf-8")) == ImportResult(4, 3, 0)
    find(world, "MUG-BLUE", "CUP-RED", "GIFT-SET")
    with world.session() as session:
        parts = {part.sku: part.quantity for part in list_components(session, world.items["GIFT-SET"])}
    assert parts == {"MUG-BLUE": 1, "CUP-RED": 2}
    assert world.worth("MUG-BLUE") == (134, Decimal("435.5"))
    assert world.worth("CUP-RED") == (80, Decimal("212.4"))
    assert world.balance("opening_balance") == Decimal("-647.9")
    assert world.verify() == []


def test_units_times_unit_cost_is_the_value_to_the_last_decimal(world: World) -> None:
    load(world, HEADER + "a,A,,A,333333,0.3333,,\n")
    find(world, "a")
    assert world.worth("a") == (333_333, Decimal("111099.8889"))


def test_the_same_file_again_does_nothing(world: World) -> None:
    text = HEADER + "a,A,,A,5,2.50,,\na,A,,B,3,,9,\nb,B,,,,,,\n"
    assert load(world, text) == ImportResult(2, 2, 0)
    before = counts(world)
    assert load(world, text) == ImportResult(0, 0, 2)
    assert counts(world) == before
    assert look(world, text.encode()).repeated == 2


def test_a_row_that_was_opened_otherwise_is_a_fault_and_never_added(world: World) -> None:
    load(world, HEADER + "a,A,,A,5,2.50,,\nb,B,,A,5,,,\n")
    assert faults(world, "a,A,,A,6,2.50,,\n") == [(2, "on_hand", "opened_otherwise")]
    assert faults(world, "a,A,,A,5,2.51,,\n") == [(2, "unit_cost", "opened_otherwise")]
    assert faults(world, "b,B,,A,5,0,,\n") == [(2, "unit_cost", "opened_otherwise")]


def test_an_item_that_has_moved_is_counted_and_not_opened(world: World) -> None:
    world.move("mug", 1, "supplier > available@A", "3")
    assert faults(world, "mug,mug,,B,5,,,\n") == [(2, "on_hand", "has_movements")]
    load(world, HEADER + "mug,mug,,,,,,\n")
    assert world.available("mug") == 1


def test_an_item_that_is_there_keeps_its_name_and_gets_its_opening(world: World) -> None:
    item = world.item("mug")
    assert load(world, HEADER + "mug,Other name,,,4,,,\n") == ImportResult(0, 1, 0)
    with world.session() as session:
        assert get_item(session, "mug").name == "mug"
        assert get_item(session, "mug").item_id == item
    assert world.available("mug") == 4


def test_stock_without_a_cost_is_worth_nothing_and_marked(world: World) -> None:
    assert look(world, (HEADER + "a,A,,,4,,,\n").encode()).without_cost == 1
    load(world, HEADER + "a,A,,,4,,,\n")
    with world.session() as session:
        assert session.value("select provisional from journal where merchant_id = %(merchant_id)s") is True


def test_a_file_with_one_fault_among_many_rows_writes_nothing_40(world: World) -> None:
    text = HEADER + "".join(f"s{n},S,,A,{n},1,,\n" for n in range(1, 300)) + 'x,X,,A,"1.234,50",1,,\n'
    with pytest.raises(InvalidInput) as refused:
        load(world, text)
    assert [(f.reason, f.where) for f in refused.value.faults] == [("grouped", "line 301, column on_hand")]
    assert counts(world) == (0, 0)


def test_every_fault_of_a_file_is_reported_at_once_with_line_and_column_40(world: World) -> None:
    text = (
        ",No sku,,,,,,\n"
        "a,,,,,,,\n"
        "b,B,,Moon,1,,,\n"
        "c,C,,,1e3,,,\n"
        "d,D,,,٣,,,\n"
        "e,E,,,N/A,,,\n"
        "f,F,,,1,1,1,\n"
        "g,G,,,,,5,\n"
        "h,H,,,1,,,bundle\n"
        "i,I,,,1,,,kit\n"
        "j,J,,A,1,,,\n"
        "j,J,,a,1,,,\n"
        "k,K,,A,1,,,\n"
        "k,Other,,B,1,,,\n"
        "l,L,,A,1,,,\n"
        "l,L,,,1,,,\n"
    )
    assert sorted(faults(world, text)) == [
        (2, "sku", "blank"), (3, "name", "blank"), (4, "location", "unknown_location"), (5, "on_hand", "exponent"),
        (6, "on_hand", "other_digits"), (7, "on_hand", "not_given"), (8, "total_cost", "two_costs"),
        (9, "total_cost", "cost_without_stock"), (10, "kind", "bad_kind"), (11, "on_hand", "kit_stock"),
        (13, "sku", "duplicate"), (15, "name", "differs"), (17, "location", "duplicate"),
    ]  # fmt: skip


@pytest.mark.parametrize(("data", "reason"), [
    pytest.param(b"sku|name\na|A\n", "missing_column", id="wrong delimiter-40"),
    pytest.param(HEADER.encode() + "قميص,قميص أزرق كبير,,,,,,\n".encode("cp1256"), "other_encoding", id="cp1256-40"),
    pytest.param((HEADER + "a,A,,,,,,\n").encode("utf-16-le"), "utf16_without_mark", id="UTF-16 without mark-40"),
    pytest.param(b"sku,on_hand\na,1\n", "missing_column", id="missing header-40"),
    pytest.param(HEADER.encode() + b"x" * 10_000_000, "line_too_long", id="10 MB line-40"),
    pytest.param(HEADER.encode() + b"a,A,,,,,,\n" * 200_001, "too_many_rows", id="300k rows-40"),
    pytest.param(b"", "empty_file", id="empty-40"),
    pytest.param(HEADER.encode() + b"a\x00b,A,,,,,,\n", "control_character", id="NUL in sku-15"),
    pytest.param(HEADER.encode() + b"a\xed\xa0\x80,A,,,,,,\n", "other_encoding", id="lone surrogate-15"),
    pytest.param(HEADER.encode() + b"a,A,,,1,-1,,\n", "too_small", id="negative cost-53"),
    pytest.param(HEADER.encode() + b"a,A,,,1,0.00000000000000000001,,\n", "too_precise", id="20 decimals-53"),
    pytest.param(HEADER.encode() + b"a,A,,,1,1e-3,,\n", "exponent", id="float-53"),
    pytest.param(HEADER.encode() + b"a,A,,,1,USD 3,,\n", "not_a_number", id="currency-53"),
    pytest.param(HEADER.encode() + b"a,A,,,1000000000,1000000000,,\n", "too_large", id="too much value-53"),
])  # fmt: skip
def test_a_file_that_cant_be_meant_is_refused_by_name(world: World, data: bytes, reason: str) -> None:
    plan = look(world, data)
    assert reason in {fault.reason for fault in plan.faults}
    assert (plan.items_new == 0) == (not plan.rows)
    with pytest.raises(InvalidInput), world.session() as session:
        commit_import(session, data, name="bad.csv")
    assert counts(world) == (0, 0)


@pytest.mark.parametrize("cell", [
    pytest.param("<script>alert(1)</script>", id="script-38"), pytest.param("{{7*7}}", id="template-38"),
    pytest.param('"><img onerror=x>', id="attribute-38"), pytest.param('=HYPERLINK("x";"y")', id="formula-39"),
    pytest.param("@SUM(1+1)", id="at-39"), pytest.param("-1+cmd", id="minus-39"),
    pytest.param("'; drop table item; --", id="sql-43"),
])  # fmt: skip
def test_what_looks_like_code_is_imported_as_the_text_it_is(world: World, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    load(world, f"{HEADER}{quoted},{quoted},{quoted},A,2,1,,\n")
    find(world, cell)
    with world.session() as session:
        assert get_item(session, cell).name == cell
        assert get_item(session, cell).barcode == cell
    assert world.available(cell) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheets_own_dialect_is_understood_40(world: World, encoding: str, delimiter: str) -> None:
    load(world, "SKU,Name,On hand,Colour\na,قميص,3,red\n".replace(",", delimiter), encoding)
    find(world, "a")
    assert world.available("a") == 3


def test_a_blank_location_is_the_one_that_serves_first(world: World) -> None:
    load(world, HEADER + "a,A,,,3,,,\n")
    find(world, "a")
    assert (world.available("a", "A"), world.available("a", "B")) == (3, 0)


def test_another_merchants_location_and_items_are_unknown_here_21(world: World, other: World) -> None:
    with other.session() as session:
        create_location(session, "Theirs")
    other.move("mug", 5, "supplier > available@A", "5")
    assert faults(world, "a,A,,Theirs,1,,,\n") == [(2, "location", "unknown_location")]
    assert load(world, HEADER + "mug,Mine,,,2,,,\n") == ImportResult(1, 1, 0)
    assert other.available("mug") == 5


def test_more_openings_than_one_posting_holds_are_one_import(world: World) -> None:
    text = HEADER + "".join(f"s{n},S {n},,A,1,0.01,,\n" for n in range(5_001))
    assert load(world, text) == ImportResult(5_001, 5_001, 0)
    assert world.balance("inventory") == Decimal("50.01")
    assert load(world, text).repeated == 5_001


def test_a_kit_of_itself_and_a_kit_of_kits_are_refused_so_that_no_circle_can_be_57(world: World) -> None:
    with world.session() as session:
        mug = create_items(session, [NewItem("mug", "Mug")])["mug"]
        inner = create_kit(session, NewItem("inner", "Inner"), {mug: 2})
    with pytest.raises(InvalidInput) as itself, world.session() as session:
        set_components(session, inner, {inner: 1})
    assert itself.value.reason == "kit_cycle"
    assert "inner > inner" in itself.value.detail
    assert itself.value.where == "components"
    with pytest.raises(InvalidInput) as nested, world.session() as session:
        create_kit(session, NewItem("outer", "Outer"), {inner: 1})
    assert nested.value.reason == "kit_in_kit"
    assert "inner" in nested.value.detail
