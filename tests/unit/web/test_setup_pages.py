"""The pages on the way to the first push, and those for tables: one merchant's own, safe, and refused in words."""

from __future__ import annotations

import io
import re
import resource
import time
import zipfile
from html import unescape

import pytest
from werkzeug.test import TestResponse

from app.listings import matching
from app.web.imports import shown_name
from tests.street import Street
from tests.unit.web.site import BROWSER, Site
from tests.world import World

OPENING = "opening > available@A"
EVIL = ["<script>alert(1)</script>", "{{7*7}}", '"><img src=x onerror=alert(1)>']


@pytest.fixture
def site(street: Street) -> Site:
    """A shop that was just connected: two products with a SKU, one without."""
    street.town.state = "shadow"
    shop = street.open_woo({"mug": 10, "bowl": 4})
    shop.add_product("", 3, name="Nameless")
    street.settle()
    return Site.of(street)


def id_of(site: Site) -> int:
    return min(site.street.shops)


def post(site: Site, path: str, world: World | None = None, **fields: object) -> TestResponse:
    """Send a form with the token that the import page gives."""
    merchant = (world or site.street.world).merchant_id
    page = site.get(f"/import?merchant={site.street.world.merchant_id}").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    return site.client.post(f"{path}?merchant={merchant}", data={"csrf_token": token, **fields}, headers=BROWSER)


def accept(site: Site, *kinds: str) -> TestResponse:
    with site.street.world.session() as session:
        listings, _ = matching.propose(session, id_of(site)).of(kinds)
    return post(site, f"/channels/{id_of(site)}/matching/accept", kind=list(kinds), listings=listings)


def upload(site: Site, body: bytes, name: str = "items.csv") -> str:
    """The preview's path."""
    answer = post(site, "/import", file=(io.BytesIO(body), name))
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].partition("?")[0]


def text_of(answer: TestResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.text)).split())


def test_by_forms_alone_a_shop_is_matched_opened_shown_approved_and_written(site: Site) -> None:
    street, id_ = site.street, id_of(site)
    assert "Go on setting it up" in text_of(site.ask("/"))
    assert "Match the products Next" not in text_of(site.ask(f"/channels/{id_}/setup"))
    assert "2 are certain" in text_of(site.ask(f"/channels/{id_}/matching"))
    assert "2 products become items" in text_of(site.ask(f"/channels/{id_}/matching/accept?kind=new"))
    accept(site, "new")
    assert "Take 14 units from this shop" in text_of(site.ask(f"/channels/{id_}/opening"))
    assert post(site, f"/channels/{id_}/opening", source="shop").status_code == 303
    post(site, f"/channels/{id_}/first-push")
    page = site.ask(f"/channels/{id_}/first-push")
    assert "0 numbers would be written, 2 stay as they are" in text_of(page)
    digest = page.text.split('name="digest" value="')[1].split('"')[0]
    post(site, f"/channels/{id_}/first-push/approve", digest=digest)
    street.settle(60)
    assert "The shop shows what the ledger says" in text_of(site.ask(f"/channels/{id_}/setup"))
    assert "Go on setting it up" not in text_of(site.ask("/"))


def test_numbers_that_moved_are_shown_again_instead_of_being_approved(site: Site) -> None:
    street, id_ = site.street, id_of(site)
    accept(site, "new")
    post(site, f"/channels/{id_}/opening", source="shop")
    post(site, f"/channels/{id_}/first-push")
    digest = site.ask(f"/channels/{id_}/first-push").text.split('name="digest" value="')[1].split('"')[0]
    with street.world.session() as session:
        rows = session.rows("select sku, item_id from item where merchant_id = %(merchant_id)s")
        street.world.items |= {row.sku: row.item_id for row in rows}
    street.world.move("mug", 5, "supplier > available@A", "5")
    post(site, f"/channels/{id_}/first-push/approve", digest=digest)
    assert "1 number has moved since it was shown" in text_of(site.ask(f"/channels/{id_}/first-push"))
    answer = post(site, f"/channels/{id_}/first-push/approve", digest=digest)
    assert "something else was laid out since" in text_of(site.get(answer.headers["Location"]))


def test_row_21_every_page_and_form_is_nothing_at_all_for_another_merchant(site: Site, other: World) -> None:
    accept(site, "new")
    id_, theirs = id_of(site), f"merchant={other.merchant_id}"
    with site.street.world.session() as session:
        batch = matching.list_batches(session, id_)[0].batch_id
    kept = upload(site, b"sku,name,on_hand\na,A,1\n")
    for path in ("setup", "matching", "matching/accept?kind=new", "opening", "first-push", "first-push.csv"):
        separator = "&" if "?" in path else "?"
        assert site.get(f"/channels/{id_}/{path}{separator}{theirs}").status_code == 404, path
    for path in (
        "import", "import/cancel", "matching/again", f"matching/{batch}/undo", "opening", "first-push",
        "first-push/approve",
    ):  # fmt: skip
        answer = post(site, f"/channels/{id_}/{path}", other, source="shop", digest="x")
        assert answer.status_code == 404 or "no such" in text_of(site.get(answer.headers["Location"])), path
    assert post(site, f"/channels/{id_}/matching/accept", other, kind="new", listings=0).status_code == 404
    assert site.get(f"{kept}?{theirs}").status_code == site.get(f"{kept}/faults.csv?{theirs}").status_code == 404
    assert post(site, f"{kept}/commit", other).status_code == 404
    post(site, f"{kept}/commit")
    with site.street.world.session() as session:
        done = session.value("select max(batch_id) from import_batch where merchant_id = %(merchant_id)s")
    assert post(site, f"/import/batches/{done}/undo", other).status_code == 404


def test_a_table_is_shown_imported_and_taken_back(site: Site) -> None:
    path = upload(site, b"sku;name;on_hand;unit_cost\nvase;A vase;7;2.50\n")
    page = text_of(site.ask(path))
    assert "separated by semicolon" in page
    assert "Opening stocks 1 Units 7 Worth $17.50" in page
    post(site, f"{path}/commit")
    site.street.world.items["vase"] = item(site, "vase")
    assert site.street.world.available("vase") == 7
    batch = re.search(r"/import/batches/(\d+)/undo", site.ask("/import").text)
    assert batch
    post(site, f"/import/batches/{batch[1]}/undo")
    assert site.street.world.available("vase") == 0
    assert "taken back" in text_of(site.ask("/import"))
    again = post(site, f"/import/batches/{batch[1]}/undo")
    assert "already" in text_of(site.get(again.headers["Location"]))
    path = upload(site, b"sku,name,on_hand\nvase,A vase,9\n")
    post(site, f"{path}/commit")
    assert site.street.world.available("vase") == 9
    assert site.street.world.verify() == []


def item(site: Site, sku: str) -> int:
    with site.street.world.session() as session:
        found: int = session.value(
            "select item_id from item where merchant_id = %(merchant_id)s and sku = %(sku)s", sku=sku
        )
    return found


def test_what_has_been_sold_since_is_not_taken_back(site: Site) -> None:
    path = upload(site, b"sku,name,on_hand\nvase,A vase,7\n")
    post(site, f"{path}/commit")
    site.street.world.items["vase"] = item(site, "vase")
    site.street.world.move("vase", 1, "available@A > customer")
    batch = re.search(r"/import/batches/(\d+)/undo", site.ask("/import").text)
    assert batch
    answer = post(site, f"/import/batches/{batch[1]}/undo")
    assert "sold or moved since (vase)" in text_of(site.get(answer.headers["Location"]))
    assert site.street.world.available("vase") == 6


def test_row_40_every_fault_is_shown_and_downloaded_with_its_line_and_nothing_is_written(site: Site) -> None:
    path = upload(site, b"sku,name,on_hand\na,A,1.5\nb,B,1e3\n,C,1\n")
    assert "3 faults" in text_of(site.ask(path))
    table = site.ask(f"{path}/faults.csv")
    assert table.headers["Content-Disposition"].startswith("attachment")
    assert [line.split(",")[:2] for line in table.get_data(as_text=True).splitlines()[1:]] == [
        ["2", "on_hand"], ["3", "on_hand"], ["4", "sku"],
    ]  # fmt: skip
    answer = post(site, f"{path}/commit")
    assert "Nothing was imported" in text_of(site.get(answer.headers["Location"]))
    assert item(site, "a") is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "<script>alert(1)<x>", "{{7*7}}"])
def test_rows_38_and_42_a_files_name_is_only_text_and_its_last_part(site: Site, name: str) -> None:
    page = site.ask(upload(site, b"sku,name\na,A\n", name))
    assert page.status_code == 200
    head = page.text.split("<h1>")[1].split("</h1>")[0]
    assert "/etc" not in head
    assert "\\" not in head
    assert "<script>alert" not in page.text
    assert "49" not in head


def test_rows_42_and_47_a_files_name_keeps_no_line_end_and_no_folder() -> None:
    assert shown_name("../a\r\nSet-Cookie: x.csv") == "aSet-Cookie: x.csv"
    assert shown_name("\r\n") == "file"
    assert shown_name('"><img src=x>') == '"><img src=x>'  # text; templates escape it
    assert len(shown_name("x" * 1_000)) == 200


@pytest.mark.parametrize("path", ["/import/../../etc/passwd", "/import/abc", "/import/99999999999999999999"])
def test_row_42_an_address_that_climbs_out_of_its_place_is_nothing(site: Site, path: str) -> None:
    assert site.ask(path).status_code == 404


def workbook(part: str, body: bytes, times: int = 1) -> bytes:
    """A workbook as far as its container goes, with one part, compressed as Excel does."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("[Content_Types].xml", b"<Types/>")
        with container.open(f"xl/{part}", "w") as stream:
            for _ in range(times):
                stream.write(body)
    return file.getvalue()


ENTITY = b"""<?xml version="1.0"?><!DOCTYPE sheet [<!ENTITY file SYSTEM "file:///etc/passwd">]>
<worksheet><sheetData><row><c t="inlineStr"><is><t>&file;</t></is></c></row></sheetData></worksheet>"""
WORKBOOKS = {
    "zeros.xlsx": b"PK\x03\x04" + b"\0" * 100,
    "bomb.xlsx": workbook("worksheets/sheet1.xml", b"0" * 1_000_000, 400),  # 1 : 1000
    "bomb.csv": workbook("worksheets/sheet1.xml", b"0" * 1_000_000, 20),  # called what it is not
    "entity.xlsx": workbook("worksheets/sheet1.xml", ENTITY),
    "macro.xlsm": workbook("vbaProject.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"Auto_Open"),
    "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2_000,
}


@pytest.mark.parametrize("name", WORKBOOKS)
def test_row_41_a_workbook_is_refused_in_words_and_never_opened(site: Site, name: str) -> None:
    body = WORKBOOKS[name]
    assert len(body) < 1_000_000
    path = upload(site, body, name)
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = text_of(site.ask(path))
    assert "Excel workbook" in told
    assert "root:" not in told
    assert post(site, f"{path}/commit").status_code == 303
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 50_000  # kB


def test_an_upload_without_a_file_or_over_the_bound_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(site, "/import").status_code == 422
    monkeypatch.setattr("app.web.imports.BYTES_MAX", 1_000)
    assert post(site, "/import", file=(io.BytesIO(b"x" * 2_000), "big.csv")).status_code == 413
    assert post(site, "/import", file=(io.BytesIO(b"x" * 200_000), "big.csv")).status_code == 413


@pytest.mark.parametrize("text", EVIL)
def test_row_38_what_a_product_is_called_is_text_on_every_page_of_the_way(site: Site, text: str) -> None:
    shop, id_ = site.street.shops[id_of(site)], id_of(site)
    shop.add_product(text, 2, name=text)  # type: ignore[union-attr]
    site.street.settle(60)
    post(site, f"/channels/{id_}/matching/again")
    pages = [site.ask(f"/channels/{id_}/{path}").text for path in ("matching", "matching/accept?kind=new")]
    accept(site, "new")
    pages.append(site.ask(f"/channels/{id_}/opening").text)
    post(site, f"/channels/{id_}/first-push")
    pages.append(site.ask(f"/channels/{id_}/first-push").text)
    for page in pages:
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "49" not in page.split("<main")[1] or text != "{{7*7}}"


def test_row_39_the_first_numbers_leave_as_a_table_in_which_no_formula_runs(site: Site) -> None:
    shop, id_ = site.street.shops[id_of(site)], id_of(site)
    shop.add_product("=HYPERLINK(1)", 2, name="@SUM(1)")  # type: ignore[union-attr]
    site.street.settle(60)
    accept(site, "new")
    post(site, f"/channels/{id_}/first-push")
    table = site.ask(f"/channels/{id_}/first-push.csv").get_data(as_text=True)
    assert "'=HYPERLINK(1),'@SUM(1),,2,0,-2,unknown,available in the ledger: 0" in table


@pytest.mark.parametrize("page", ["matching", "first-push"])
@pytest.mark.parametrize(
    ("query", "status"),
    [("kind=drop table", 422), ("after=-1", 422), ("after=x", 422), ("q=" + "x" * 300, 422), ("q=%25_%25", 200)],
)
def test_rows_43_to_45_filters_are_allow_listed_and_searches_mean_their_text(
    site: Site, page: str, query: str, status: int
) -> None:
    accept(site, "new")
    post(site, f"/channels/{id_of(site)}/first-push")
    answer = site.ask(f"/channels/{id_of(site)}/{page}?{query}")
    assert answer.status_code == status
    assert status != 200 or "Nothing found" in answer.text


def test_row_56_a_barcode_that_no_item_can_have_is_not_taken(site: Site) -> None:
    shop = site.street.shops[id_of(site)]
    shop.add_product("odd", 1, barcode="9" * 10_000)  # type: ignore[union-attr]
    site.street.settle(60)
    accept(site, "new")
    with site.street.world.session() as session:
        assert session.value("select barcode from item where merchant_id = %(merchant_id)s and sku = 'odd'") is None
    fault = text_of(site.ask(upload(site, b"sku,name,barcode\na,A," + b"9" * 200 + b"\n")))
    assert "at most 100 characters" in fault


def test_kinds_that_a_person_has_to_decide_are_not_accepted_in_bulk(site: Site) -> None:
    answer = post(site, f"/channels/{id_of(site)}/matching/accept", kind="blank", listings=1)
    assert answer.status_code == 422
    answer = post(site, f"/channels/{id_of(site)}/matching/accept", kind="new", listings=7)
    assert "look again" in text_of(site.get(unescape(answer.headers["Location"])))


def test_an_acceptance_is_taken_back_on_the_page(site: Site) -> None:
    accept(site, "new")
    undo = re.search(r"/channels/\d+/matching/\d+/undo", site.ask(f"/channels/{id_of(site)}/matching").text)
    assert undo
    post(site, undo[0])
    assert item(site, "mug") is None
    assert "2 are certain" in text_of(site.ask(f"/channels/{id_of(site)}/matching"))
