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


GOOD = "1,2011-01-01T10:00:00Z,A,2,1.50"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2011-01-01T10:00:00Z,A,two,1.50", "not_a_number"),
        ("1,2011-01-01T10:00:00Z,A,1.5,1.50", "fraction"),
        ("1,2011-01-01T10:00:00Z,A,1e3,1.50", "exponent"),
        ("1,2011-01-01T10:00:00Z,A,,1.50", "blank"),
        ("1,2011-01-01T10:00:00Z,A,99999999999,1.50", "too_large"),
        ("1,2011-01-01T10:00:00Z,A,2,", "blank"),
        ("1,2011-01-01T10:00:00Z,A,2,-1.50", "too_small"),
        ("1,2011-01-01T10:00:00Z,A,2,nan", "not_given"),
        ('1,2011-01-01T10:00:00Z,A,2,"1,50"', "decimal_comma"),
        ("1,yesterday,A,2,1.50", "bad_instant"),
        ("1,2011-01-01T10:00:00,A,2,1.50", "bad_instant"),
        ("1,,A,2,1.50", "bad_instant"),
        (",2011-01-01T10:00:00Z,A,2,1.50", "no_order_id"),
        ("1,2011-01-01T10:00:00Z,,2,1.50", "bad_sku"),
        ("1,2011-01-01T10:00:00Z, A,2,1.50", "bad_sku"),
        ("1,2011-01-01T10:00:00Z,A,2", "wrong_line"),
        ("1,2011-01-01T10:00:00Z,A,2,1.50,more", "wrong_line"),
        ("", "wrong_line"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_what_is_wrong_with_it(
    tmp_path: Path, line: str, reason: str
) -> None:
    file = tmp_path / "orders"
    file.write_text(f"{HEAD}{GOOD}\n{line}\n{GOOD}\n")
    for read in (read_catalogue, lambda path: list(read_orders(path))):
        with pytest.raises(InvalidInput) as refused:
            read(file)
        assert refused.value.reason == reason
        assert "line 3" in refused.value.detail


def test_what_is_no_file_of_text_is_refused_and_never_a_crash(tmp_path: Path) -> None:
    whole = gzip.compress((HEAD + LINES * 500).encode())
    files = {
        "binary": b"\x00\xff\xfe" * 100,
        "latin": (HEAD + "1,2011-01-01T10:00:00Z,caf\xe9,2,1.50\n").encode("latin-1"),
        "torn": whole[: len(whole) // 2],
        "no gzip": b"\x1f\x8bnothing",
        "damaged": whole[:40] + bytes(len(whole) - 40),
        "endless": (HEAD + '"' + "x" * 200_000).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput):
            read_catalogue(tmp_path / name)
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(InvalidInput) as refused:
            list(read_orders(path))
        assert refused.value.reason == "file_unreadable"


@pytest.mark.parametrize("content", ["", HEAD])
def test_a_file_without_a_line_is_refused_rather_than_called_a_success(tmp_path: Path, content: str) -> None:
    file = tmp_path / "orders"
    file.write_text(content)
    with pytest.raises(InvalidInput) as refused:
        read_catalogue(file)
    assert refused.value.reason == ("no_lines" if content else "wrong_columns")


def test_two_orders_that_follow_each_other_stay_two_though_they_hold_the_same(tmp_path: Path) -> None:
    file = tmp_path / "orders"
    file.write_text(HEAD + "".join(f"{n},2011-01-01T10:00:00Z,A,1,1.50\n" for n in (1, 2, 1)))
    assert [order.order_id for order in read_orders(file)] == ["1", "2", "1"]


def test_only_what_was_bought_in_its_first_days_says_how_an_item_sells(tmp_path: Path) -> None:
    file = tmp_path / "orders"
    days = [("01", 2), ("03", -1), ("28", 3), ("29", 50)]
    file.write_text(HEAD + "".join(f"{d},2011-01-{d}T10:00:00Z,A,{n},1.50\n" for d, n in days))
    assert read_catalogue(file)["A"].early_units == 5
