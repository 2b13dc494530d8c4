"""A file of order lines: orders in its order, the same item once in each, and what is wrong with it said by place."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from app.core.errors import InvalidInput
from app.demo.retail import read_catalogue, read_orders

HEAD = "order_id,occurred_at,sku,quantity,unit_price\n"
LINES = (
    "1,2011-01-01T10:00:00Z,A,2,1.50\n1,2011-01-01T10:00:00Z,B,1,3.00\n1,2011-01-01T10:00:00Z,A,3,1.50\n"
    "C2,2011-03-01T10:00:00Z,A,-1,1.70\n"
)


@pytest.mark.parametrize("packed", [False, True])
def test_lines_of_one_order_that_name_the_same_item_are_one(tmp_path: Path, packed: bool) -> None:
    file, text = tmp_path / "orders", (HEAD + LINES).encode()
    file.write_bytes(gzip.compress(text) if packed else text)
    orders = list(read_orders(file))
    assert [(order.order_id, order.units, order.lines) for order in orders] == [
        ("1", {"A": 5, "B": 1}, 3),
        ("C2", {"A": -1}, 1),
    ]


def test_an_item_has_its_first_price_and_the_units_of_its_first_days(tmp_path: Path) -> None:
    file = tmp_path / "orders"
    file.write_text(HEAD + LINES + "3,2011-06-01T10:00:00Z,A,50,9.00\n")
    item = read_catalogue(file)["A"]
    assert (item.price, item.early_units) == (Decimal("1.50"), 5)


def test_a_file_with_other_columns_or_a_short_line_is_refused_by_place(tmp_path: Path) -> None:
    file = tmp_path / "orders"
    file.write_text("a,b\n")
    with pytest.raises(InvalidInput) as refused:
        list(read_orders(file))
    assert refused.value.reason == "wrong_columns"
    file.write_text(HEAD + "1,2011-01-01T10:00:00Z,A\n")
    with pytest.raises(InvalidInput) as refused:
        list(read_orders(file))
    assert "line 2" in refused.value.detail
