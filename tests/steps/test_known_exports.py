"""Tables that Shopify and Stocky export, recognised by their headers; and costs that a table tells without stock."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.catalog.imports import ItemTable, read_items
from app.ledger.opening import commit_import, preview
from tests.world import World

PRODUCTS = """Handle,Title,Body (HTML),Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,\
Variant Price,Variant Barcode,Image Src,Cost per item
mug,Mug,"<p>A mug,
of clay</p>",Ann,Colour,Blue,MUG-B,7,10.00,4006381333931,https://x/1.jpg,2.50
mug,,,,,Red,MUG-R,-2,10.00,,,2.75
mug,,,,,,,,,,https://x/2.jpg,
bowl,Bowl,,Ann,Title,Default Title,BOWL,,12.00,,,
"""
PRODUCTS_NEW = """Title,URL handle,Description,Vendor,SKU,Barcode,Option1 name,Option1 value,Price,Cost per item,\
Inventory quantity
Mug,mug,,Ann,MUG-B,'4006381333931,Colour,Blue,10.00,2.50,7
,mug,,,MUG-R,,,Red,10.00,2.75,3
"""
INVENTORY = """Handle,Title,Option1 Name,Option1 Value,SKU,HS Code,COO,Location,Bin name,Incoming (not editable),\
Unavailable (not editable),Committed (not editable),Available (not editable),On hand (current),On hand (new)
mug,Mug,Colour,Blue,MUG-B,,,A,,0,0,2,5,7,
mug,Mug,Colour,Blue,MUG-B,,,B,,0,0,0,not stocked,not stocked,
"""
STOCKY = """Supplier,Shopify ID,Product,Variant,SKU,Stock,Average Cost,Cost Price
Ann,123,Mug,Blue,MUG-B,5,2.1234,2.50
Ann,124,Mug,Red,MUG-R,,,2.75
"""


def told(table: ItemTable) -> list[tuple[str, str, int | None, Decimal | None, str]]:
    return [(row.item.sku, row.item.name, row.on_hand, row.unit_cost, row.location) for row in table.rows]


def test_shopifys_products_are_read_with_their_costs_and_lines_of_pictures_are_left_out() -> None:
    table = read_items(PRODUCTS.encode())
    assert list(table.faults) == []
    assert table.source == "Shopify products"
    assert told(table) == [
        ("MUG-B", "Mug - Blue", 7, Decimal("2.50"), ""), ("MUG-R", "Mug - Red", None, Decimal("2.75"), ""),
        ("BOWL", "Bowl", None, None, ""),
    ]  # fmt: skip
    assert table.rows[0].item.barcode == "4006381333931"
    assert [(fault.line, fault.reason) for fault in table.left_out] == [(4, "negative"), (5, "no_sku")]


def test_shopifys_products_in_their_newer_form_are_the_same() -> None:
    table = read_items(PRODUCTS_NEW.encode())
    assert (table.source, told(table)) == (
        "Shopify products",
        [("MUG-B", "Mug - Blue", 7, Decimal("2.50"), ""), ("MUG-R", "Mug - Red", 3, Decimal("2.75"), "")],
    )


def test_of_shopifys_inventory_what_can_be_sold_counts_at_each_location() -> None:
    table = read_items(INVENTORY.encode("utf-16"))
    assert table.source == "Shopify inventory"
    assert told(table) == [("MUG-B", "Mug - Blue", 5, None, "A"), ("MUG-B", "Mug - Blue", None, None, "B")]


def test_stockys_average_cost_comes_before_its_price() -> None:
    table = read_items(STOCKY.replace(",", ";").encode())
    assert (table.source, table.delimiter) == ("Stocky variants", ";")
    assert told(table) == [
        ("MUG-B", "Mug - Blue", 5, Decimal("2.1234"), ""), ("MUG-R", "Mug - Red", None, Decimal("2.75"), "")
    ]  # fmt: skip


def test_a_fault_names_the_column_as_the_file_does() -> None:
    table = read_items(PRODUCTS.replace(",7,10.00", ",1.5,10.00").encode())
    assert [(fault.line, fault.column, fault.reason) for fault in table.faults] == [
        (2, "variant_inventory_qty", "fraction")
    ]


def test_a_plain_table_stays_a_plain_table() -> None:
    table = read_items(b"sku,name,location,handle\nA,B,A,x\n")
    assert (table.source, table.ignored) == ("", ("handle",))


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04", b"\xff\xfe\x00", b'"'])
def test_what_can_not_be_read_is_a_fault_and_never_an_error(body: bytes) -> None:
    assert read_items(body).faults


def test_a_cost_without_stock_is_kept_and_told_again_it_is_the_newer_one(world: World) -> None:
    with world.session() as session:
        assert preview(session, STOCKY.encode()).costs == 1
        assert commit_import(session, STOCKY.encode(), name="stocky.csv").costs == 1
        commit_import(session, b"sku,name,unit_cost\nMUG-R,Mug - Red,3.10\n", name="costs.csv")
        cost = session.value(
            """select k.unit_cost from known_cost k join item i using (merchant_id, item_id)
               where k.merchant_id = %(merchant_id)s and i.sku = 'MUG-R'"""
        )
    assert cost == Decimal("3.10")
