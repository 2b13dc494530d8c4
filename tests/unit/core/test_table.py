"""A table that people bring is read in full or refused with the place of every fault; nothing leaves as a formula."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import table
from app.core.figures import read_money, read_quantity
from app.core.table import CellFault, Table, read_table, write_table

SIMPLE = "sku,on_hand\nA-1,3\n"


def read(text: str, encoding: str = "utf-8") -> Table:
    return read_table(text.encode(encoding), ["sku", "on_hand"], ["name"])


def only_fault(answer: Table) -> CellFault:
    (fault,) = answer.faults
    return fault


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_common_separators_and_encodings_are_understood_40(encoding: str, delimiter: str) -> None:
    answer = read(f"SKU{delimiter}On hand{delimiter}Name\nA-1{delimiter}3{delimiter}قميص\n", encoding)
    assert not answer.faults
    assert [dict(row.cells) for row in answer.rows] == [{"sku": "A-1", "on_hand": "3", "name": "قميص"}]


def test_utf16_of_either_byte_order_is_understood_40() -> None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert not read_table(mark + SIMPLE.encode(encoding), ["sku"]).faults


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        ("sku,on_hand\nقميص أزرق كبير,1\n".encode("cp1256"), "other_encoding", "Windows-1256"),
        ("sku,on_hand\nрубашка синяя,1\n".encode("cp1251"), "other_encoding", "Windows-1251"),
        ("sku,on_hand\ncafé crème,1\n".encode("cp1252"), "other_encoding", "Windows-1252"),
        (SIMPLE.encode("utf-16-le"), "utf16_without_mark", "UTF-16"),
        ("sku,on_hand\nقميص,1\n".encode("utf-16-be"), "utf16_without_mark", "UTF-16"),
        (b"\xff\xfe\x00\xd8a\x00", "bad_utf16", "UTF-16"),
        (b"\xef\xbb\xbfsku,on_hand\n\xff,1", "bad_utf8", "line 2"),
        (b"PK\x03\x04...", "not_text", "Excel"),
        (b"", "empty_file", "empty"),
        (b"\n\n  \n", "empty_file", "empty"),
        (b'sku,on_hand\n"A-1,3\n', "bad_quotes", "quote"),
    ],
)
def test_a_file_that_cant_be_read_is_refused_by_what_it_is_40(data: bytes, reason: str, word: str) -> None:
    answer = read_table(data, ["sku", "on_hand"])
    fault = next(iter(answer.faults))
    assert (fault.reason, not answer.rows) == (reason, True)
    assert word in fault.message


def test_a_wrong_separator_says_which_ones_are_right_40() -> None:
    faults = list(read("sku|on_hand\nA-1|3\n").faults)
    assert {(fault.line, fault.column, fault.reason) for fault in faults} == {
        (1, "sku", "missing_column"),
        (1, "on_hand", "missing_column"),
    }
    assert "semicolon" in faults[0].message


def test_a_missing_and_a_doubled_header_are_named_40() -> None:
    assert only_fault(read("sku,name\nA,b\n")) == CellFault(
        1, "on_hand", "missing_column", "there is no column on_hand: the first line names the columns"
    )
    assert only_fault(read("sku,on_hand,SKU\nA,1,B\n")).reason == "duplicate_column"


def test_columns_that_nobody_asked_for_are_shown_as_ignored() -> None:
    answer = read("sku,Colour,on_hand\nA,red,1\n")
    assert (answer.ignored, not answer.faults) == (("Colour",), True)
    assert dict(answer.rows[0].cells) == {"sku": "A", "on_hand": "1", "name": ""}


def test_a_doubled_sku_names_the_line_of_the_first_one_40() -> None:
    answer = read("sku,on_hand\nA,1\nB,1\nA,2\n")
    answer.note_duplicates("sku")
    assert only_fault(answer) == CellFault(4, "sku", "duplicate", "the same sku is already on line 2")


def test_every_bad_number_is_reported_with_its_line_and_column_40() -> None:
    answer = read('sku,on_hand\n"A\nwith a line break",1e3\n\nB,٣\nC,\nD,7\nE,N/A\n')
    values = [row.read("on_hand", read_quantity, answer.faults) for row in answer.rows]
    assert values == [None, None, None, 7, None]
    assert [(fault.line, fault.column, fault.reason) for fault in answer.faults] == [
        (2, "on_hand", "exponent"),
        (5, "on_hand", "other_digits"),
        (6, "on_hand", "blank"),
        (8, "on_hand", "not_given"),
    ]


def test_a_row_with_too_many_or_too_few_cells_is_reported_40() -> None:
    answer = read("sku,on_hand\nA,1,000\nB\nC,2\n")
    assert [(fault.line, fault.reason) for fault in answer.faults] == [(2, "wrong_cell_count"), (3, "wrong_cell_count")]


def test_a_nul_in_a_sku_is_reported_with_its_place_15() -> None:
    fault = only_fault(read("sku,on_hand\nA\x00B,1\n"))
    assert (fault.line, fault.column, fault.reason) == (2, "sku", "control_character")


def test_a_line_of_ten_megabytes_is_refused_by_its_number_40() -> None:
    assert only_fault(read(f"sku,on_hand\nA,1\n{'x' * 10_000_000},1\n")).reason == "line_too_long"


def test_a_quote_that_never_closes_can_not_swallow_the_file() -> None:
    text = 'sku,on_hand\n"A,1\n' + "B,2\n" * 50_000
    assert only_fault(read(text)).reason == "bad_quotes"


def test_more_rows_than_the_bound_are_refused_whole_40(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROWS_MAX", 3)
    assert len(read("sku,on_hand\n" + "A,1\n" * 3).rows) == 3
    answer = read("sku,on_hand\n" + "A,1\n" * 4)
    assert (only_fault(answer).reason, only_fault(answer).line, list(answer.rows)) == ("too_many_rows", 5, [])


def test_a_file_over_the_bound_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BYTES_MAX", 10)
    assert only_fault(read(SIMPLE)).reason == "file_too_large"


def test_a_flood_of_faults_is_counted_and_not_kept() -> None:
    answer = read("sku,on_hand\n" + "A\n" * 700)
    assert (len(answer.faults.found), answer.faults.more) == (500, 200)


def test_a_unicode_line_separator_inside_a_cell_is_no_new_line() -> None:
    assert read("sku,on_hand,name\nA,1,one\u2028two\n").rows[0].cells["name"] == "one\u2028two"


def test_a_fault_never_repeats_the_cell() -> None:
    answer = read("sku,on_hand\nA,canary\n")
    answer.rows[0].read("on_hand", read_quantity, answer.faults)
    assert "canary" not in str(list(answer.faults))


@pytest.mark.parametrize(
    "cell", ['=HYPERLINK("http://evil","x")', "@SUM(1+1)", "-1+cmd|' /C calc'!A0", "+1", "\t=1", "＝1"]
)
def test_a_formula_is_read_as_text_and_leaves_with_an_apostrophe_39(cell: str) -> None:
    out = write_table(["sku", "on_hand"], [[cell, 1]])
    assert f"'{cell.replace(chr(34), chr(34) * 2)}" in out.decode("utf-8-sig")
    (row,) = read_table(out, ["sku", "on_hand"]).rows
    assert row.cells["sku"] == cell.strip() if "\t" not in cell else True


def test_our_own_numbers_leave_as_numbers_also_when_negative_39() -> None:
    assert write_table(["a", "b", "c"], [[-3, Decimal("-1E+3"), None]]) == b"\xef\xbb\xbfa,b,c\r\n-3,-1000,\r\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), min_size=1, max_size=5))
def test_what_leaves_as_a_table_comes_back_as_it_was(names: list[str]) -> None:
    wanted = [name.strip() for name in names]
    answer = read_table(write_table(["sku", "name"], [["x", name] for name in wanted]), ["sku", "name"])
    assert [row.cells["name"] for row in answer.rows] == wanted


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_the_reader_raise(data: bytes) -> None:
    answer = read_table(data, ["sku"], ["name"])
    assert answer.faults or answer.columns


def test_an_amount_is_read_through_the_same_door() -> None:
    answer = read("sku,on_hand,name\nA,1,12.50\n")
    assert answer.rows[0].read("name", read_money, answer.faults) == Decimal("12.50")
