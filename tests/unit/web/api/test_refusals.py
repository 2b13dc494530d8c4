"""What a program says wrongly is refused by its own reason and place, and nothing is half written. The numbers are the
rows of docs/bad-input.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.accounts.keys import create_key, revoke_key
from app.web import create_app
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site
from tests.world import World

OPENING = "opening > available@A"


def refused(program: Program, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
    answer = program.call(method, path, body, **more)
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["reason"], answer.json.get("where", "")


def movements(world: World) -> int:
    with world.session() as session:
        count: int = session.value("select count(*) from movement where merchant_id = %(merchant_id)s")
    return count


def test_without_a_key_or_with_one_that_is_none_nothing_is_told(program: Program) -> None:
    for token in (None, "Basic abc", "Bearer", "Bearer perp_00", f"Bearer {program.token[:-1]}0"):
        answer = program.call("GET", "/items", headers={"Authorization": token})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="perpetual"')


def test_a_key_that_is_revoked_or_expired_is_refused_as_unknown_row_49(site: Site, program: Program) -> None:
    world = site.street.world
    with world.session() as session:
        key_id, token = create_key(session, name="old", scopes=["all"], expires_at=world.now + timedelta(hours=1))
    old = Program(site.client, token)
    assert old.call("GET", "/items").status_code == 200
    world.now += timedelta(hours=2)
    assert refused(old, "GET", "/items")[:2] == (401, "bad_key")
    own = program.ask("/merchant")["key_name"]
    with world.session() as session:
        keys = session.rows("select key_id from api_key where merchant_id = %(merchant_id)s and name = %(n)s", n=own)
        revoke_key(session, keys[0].key_id)
    assert refused(program, "GET", "/items")[:2] == (401, "bad_key")
    assert key_id != keys[0].key_id


def test_a_key_without_the_scope_is_told_which_one_it_lacks_row_49(site: Site) -> None:
    reader = Program.of(site, scopes=["items:read"])
    assert reader.call("GET", "/items").status_code == 200
    answer = reader.call("POST", "/items", {"sku": "a", "name": "a"})
    assert (answer.status_code, answer.json["reason"]) == (403, "scope_missing")
    assert "items:write" in answer.json["detail"]


@pytest.mark.parametrize("field", ["merchant_id", "item_id", "kind", "cost", "role"])
def test_a_field_that_nobody_may_set_is_named_and_refused_row_18(program: Program, field: str) -> None:
    assert refused(program, "POST", "/items", {"sku": "a", "name": "a", field: 1}) == (422, "extra_field", field)
    assert program.ask("/items")["data"] == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 100_000, "nested_too_deeply"),
        (b'{"sku": NaN}', "not_json"),
        (b'{"sku": Infinity}', "not_json"),
        (b'{"sku": 1e999}', "not_json"),
        (b'{"sku": "\\ud800"}', "lone_surrogate"),
        (b'{"sku": "a\\u0000"}', "nul_in_string"),
        (b'{"sku": ' + b"9" * 5_000 + b"}", "not_json"),
        (b'{"sku": ' + b"9" * 30 + b"}", "integer_too_large"),
        (b'{"sku": "a", "sku": "b"}', "repeated_key"),
        (b"", "empty_body"),
        (b"{", "not_json"),
        (b'{"sku": "\xff"}', "not_json"),
        ('{"sku": "a"}'.encode("utf-16"), "not_json"),
    ],
    ids=[
        "13",
        "14_nan",
        "14_infinity",
        "14_huge",
        "15_half",
        "15_nul",
        "16",
        "16_thirty",
        "17",
        "19_empty",
        "19",
        "20",
        "20_utf16",
    ],
)
def test_json_that_is_none_is_refused_with_its_own_reason(program: Program, body: bytes, reason: str) -> None:
    status, told, _ = refused(program, "POST", "/items", body)
    assert (status, told) == (400, reason)


def test_a_body_of_another_kind_has_other_words_than_one_of_another_shape_row_19(program: Program) -> None:
    def as_form(kind: str) -> tuple[int, str, str]:
        return refused(program, "POST", "/items", b"{}", headers={"Content-Type": kind})

    assert as_form("application/x-www-form-urlencoded")[:2] == (415, "wrong_content_type")
    assert as_form("application/json; charset=utf-16")[:2] == (415, "wrong_content_type")
    assert refused(program, "POST", "/items", b"{}", headers={"Content-Encoding": "gzip"})[:2] == (
        415,
        "compressed_body",
    )
    assert refused(program, "POST", "/items", []) == (422, "not_an_object", "body")
    assert refused(program, "POST", "/items", b" " * 1_000_001)[:2] == (413, "body_too_large")
    answer = program.call("POST", "/items", {"sku": "", "name": 7})
    assert {fault["where"] for fault in answer.json["errors"]} == {"sku", "name"}


def test_another_format_than_json_is_not_pretended(program: Program) -> None:
    assert refused(program, "GET", "/items", headers={"Accept": "text/csv"})[:2] == (406, "not_acceptable")
    for accepted in ("*/*", "application/*", "application/json;q=0.1", "application/problem+json", None):
        assert program.call("GET", "/items", headers={"Accept": accepted}).status_code == 200


def test_another_method_is_told_what_there_is_and_head_is_get_without_its_body(program: Program) -> None:
    answer = program.call("DELETE", "/items")
    assert (answer.status_code, answer.json["reason"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    assert set(program.call("OPTIONS", "/items").headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    head = program.call("HEAD", "/items")
    assert (head.status_code, head.data) == (200, b"")
    assert refused(program, "GET", "/nowhere")[:2] == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("sort=sku;drop table item", "query.sort"),
        ("sort=(select 1)", "query.sort"),
        ("order_by=name", "query.order_by"),
        ("q=a&q=b", "query.q"),
        ("q=%00", "query.q"),
    ],
    ids=["43_sort", "43_select", "43_column", "43_twice", "43_nul"],
)
def test_only_what_is_allowed_is_sorted_and_filtered_by(program: Program, query: str, where: str) -> None:
    status, _, told = refused(program, "GET", f"/items?{query}")
    assert (status, told) == (422, where)


@pytest.mark.parametrize("wrong", ["0", "-1", "abc", "1.5", "٣", str(2**63), "9" * 40, "9" * 5_000])
def test_what_is_no_id_is_nothing_by_any_method(program: Program, wrong: str) -> None:
    for method, body in (("GET", None), ("PATCH", {"name": "a"})):
        assert refused(program, method, f"/items/{wrong}", body)[:2] == (404, "not_found")


@pytest.mark.parametrize("limit", ["1000000000", "0", "-1", "1.5", "x", "9" * 400])
def test_a_page_of_another_size_than_there_is_is_refused_row_44(program: Program, limit: str) -> None:
    assert refused(program, "GET", f"/items?limit={limit}")[::2] == (422, "query.limit")


def test_a_cursor_is_only_what_the_page_before_gave_row_44(program: Program, site: Site, other: World) -> None:
    for number in range(3):
        site.street.world.move(f"i{number}", 1, OPENING, "1")
        other.move(f"i{number}", 1, OPENING, "1")
    cursor = program.ask("/movements?limit=1")["next_cursor"]
    theirs = Program.of(site, other).ask("/movements?limit=1")["next_cursor"]
    other_start = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    for wrong in ("-1", "", "a" * 3_000, cursor[:-1], other_start, theirs):
        assert refused(program, "GET", f"/movements?cursor={wrong}") == (422, "bad_cursor", "cursor"), wrong
    assert refused(program, "GET", f"/movements?source=api&cursor={cursor}")[1] == "bad_cursor"
    assert refused(program, "GET", f"/orders?cursor={cursor}")[1] == "bad_cursor"
    assert len(program.ask(f"/movements?limit=2&cursor={cursor}")["data"]) == 2


def test_a_search_for_signs_finds_those_signs_row_45(program: Program) -> None:
    for sku in ("50%_off", "plain"):
        program.do("POST", "/items", {"sku": sku, "name": sku})
    assert [item["sku"] for item in program.ask("/items?q=%25_")["data"]] == ["50%_off"]
    assert program.ask("/items?q=(a%2B)%2B%24")["data"] == []


def test_what_takes_too_long_is_given_up_in_words_row_45(program: Program, site: Site) -> None:
    world = site.street.world
    app: Flask = create_app(site.street.runtime)
    original = app.view_functions["api.get_merchant"]

    def slowly() -> Any:
        with world.session() as session:
            session.run("set local statement_timeout = 50")
            session.value("select pg_sleep(5)")
        return original()

    app.view_functions["api.get_merchant"] = slowly
    answer = Program(app.test_client(), program.token).call("GET", "/merchant")
    assert (answer.status_code, answer.json["reason"], answer.headers["Retry-After"]) == (503, "took_too_long", "5")


def test_a_key_of_idempotency_is_asked_for_and_checked(program: Program) -> None:
    for key, reason in (
        (None, "idempotency_key_missing"),
        ("a b", "bad_idempotency_key"),
        ("x" * 201, "bad_idempotency_key"),
    ):
        told = refused(program, "POST", "/items", {"sku": "a", "name": "a"}, headers={"Idempotency-Key": key})
        assert told == (400, reason, "Idempotency-Key")


def test_stock_is_not_taken_below_zero_and_the_answer_says_what_is_there_row_51(program: Program, site: Site) -> None:
    world = site.street.world
    world.move("mug", 3, OPENING, "3")
    before = movements(world)
    lines = [{"sku": "mug", "change": -1}, {"sku": "mug", "change": -4}]
    answer = program.call("POST", "/adjustments", {"location_id": world.a, "lines": lines})
    assert (answer.status_code, answer.json["reason"], answer.json["available"]) == (409, "insufficient_stock", 3)
    assert (answer.json["item_id"], answer.json["location_id"]) == (world.items["mug"], world.a)
    lines = [{"sku": "mug", "quantity": 4}]
    moved = {"from_location_id": world.a, "to_location_id": world.b, "lines": lines}
    assert refused(program, "POST", "/transfers", moved)[:2] == (409, "insufficient_stock")
    assert movements(world) == before


def test_a_change_of_what_somebody_else_changed_shows_both_values_row_52(program: Program) -> None:
    made = program.call("POST", "/items", {"sku": "mug", "name": "A mug"})
    path, seen = f"/items/{made.json['item_id']}", made.headers["ETag"]
    program.do("PATCH", path, {"name": "Theirs"}, headers={"If-Match": seen})
    answer = program.call("PATCH", path, {"name": "Ours"}, headers={"If-Match": seen})
    assert (answer.status_code, answer.json["reason"]) == (412, "changed_meanwhile")
    assert (answer.json["current"]["name"], answer.json["wanted"]["name"]) == ("Theirs", "Ours")
    assert program.ask(path)["name"] == "Theirs"
    assert refused(program, "PATCH", path, {"name": "Ours"})[:2] == (428, "if_match_missing")
    assert program.do("PATCH", path, {"name": "Ours"}, headers={"If-Match": "*"})["name"] == "Ours"


def test_rules_and_mappings_are_changed_only_as_they_were_read_row_52(program: Program, site: Site) -> None:
    street = site.street
    street.world.move("mug", 3, OPENING, "3")
    street.open_woo({"mug": 3})
    listing = program.ask("/listings")["data"][0]
    rule, mapping = f"/numbers/{listing['numbers'][0]['number_id']}/rule", f"/listings/{listing['listing_id']}/mapping"
    for method, path, body in (
        ("PATCH", rule, {"buffer": 1}),
        ("PUT", mapping, {"sku": "mug"}),
        ("DELETE", mapping, None),
    ):
        assert refused(program, method, path, body)[:2] == (428, "if_match_missing")
        assert refused(program, method, path, body, headers={"If-Match": '"old"'})[:2] == (412, "changed_meanwhile")
    assert program.ask(mapping)["sku"] == "mug"
    assert program.ask(rule)["buffer"] == 0


def test_what_is_unchanged_is_not_sent_again(program: Program) -> None:
    made = program.call("POST", "/items", {"sku": "mug", "name": "A mug"})
    path = f"/items/{made.json['item_id']}"
    again = program.call("GET", path, headers={"If-None-Match": made.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("cost", ["-1", "1.00001", "1e3", "NaN", "", "1,50", 1.5, 1, "9" * 13, None])
def test_a_cost_that_is_none_is_refused_row_53(program: Program, site: Site, cost: object) -> None:
    world = site.street.world
    world.item("mug")
    line = {"sku": "mug", "quantity": 1, "unit_cost": cost}
    answer = program.call("POST", "/receipts", {"location_id": world.a, "lines": [line]})
    if cost is None:  # not known yet
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json["where"]) == (422, "lines.0.unit_cost")
    assert movements(world) == 0


def test_costs_in_another_currency_are_refused_row_53(program: Program, site: Site) -> None:
    world = site.street.world
    world.item("mug")
    body = {"location_id": world.a, "lines": [{"sku": "mug", "quantity": 1, "unit_cost": "1"}]}
    other = {**body, "currency": "EUR"}
    assert refused(program, "POST", "/receipts", other) == (422, "other_currency", "rate")
    assert refused(program, "POST", "/receipts", {**other, "rate": "1.08"}) == (422, "other_currency", "rate_on")
    assert refused(program, "POST", "/receipts", {**body, "rate": "1.08"}) == (422, "missing", "currency")
    told = {**other, "rate": "1.08", "rate_on": "2026-11-20"}
    assert refused(program, "POST", "/receipts", {**told, "currency": "USD"}) == (422, "own_currency", "rate")
    for rate in ("0", "0.000", "-1", "1.123456789", "1e3", "NaN", 1.08):
        assert refused(program, "POST", "/receipts", {**told, "rate": rate})[2] == "rate"
    for day in ("2026-02-30", "2099-01-01", "yesterday"):
        assert refused(program, "POST", "/receipts", {**told, "rate_on": day})[2] == "rate_on"
    worth = {**told, "rate": "999999999", "lines": [{"sku": "mug", "quantity": 10**6, "unit_cost": "1"}]}
    assert refused(program, "POST", "/receipts", worth) == (422, "too_large", "lines.0.unit_cost")
    assert movements(world) == 0
    for currency in ("dollars", "ZZZ", "usd", "XTS", "XAU", ""):
        assert refused(program, "POST", "/receipts", {**told, "currency": currency}) == (422, "invalid", "currency")
        assert refused(program, "POST", "/receipts", {**body, "currency": currency})[2] == "currency"
    huge = {"location_id": world.a, "lines": [{"sku": "mug", "quantity": 10**12, "unit_cost": "999999999999"}]}
    assert refused(program, "POST", "/receipts", huge) == (422, "too_large", "lines.0.unit_cost")


@pytest.mark.parametrize(
    "instant",
    [
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1999-12-31T23:59:59Z", "2026-02-30T00:00:00Z",
        "2026-03-29T02:30:00", "2026-11-23", "2026-11-23T12:06:00Z", "2026-11-23T24:00:00Z", "yesterday", 1763899200,
        "2026-11-23T12:00:00+99:00",
    ],
)  # fmt: skip
def test_an_instant_that_is_none_or_has_not_come_is_refused_row_54(
    program: Program, site: Site, instant: object
) -> None:
    world = site.street.world
    world.item("mug")
    body = {"location_id": world.a, "occurred_at": instant, "lines": [{"sku": "mug", "change": 1}]}
    assert refused(program, "POST", "/adjustments", body)[::2] == (422, "occurred_at")
    assert movements(world) == 0


@pytest.mark.parametrize("day", ["0000-01-01", "9999-12-31", "2026-02-30", "20261123", "2026-11-23T00:00:00Z", ""])
def test_a_day_that_is_none_is_refused_row_54(program: Program, day: str) -> None:
    assert refused(program, "GET", f"/ledger/value?as_of={day}")[::2] == (422, "query.as_of")
    assert refused(program, "GET", "/ledger/value?as_of=2026-01-01&since=2026-01-02")[1] == "since_after_as_of"


@pytest.mark.parametrize("barcode", ["1" * 10_000, "a\tb", "a\u200bb", "", 4006381333931])
def test_a_barcode_that_can_not_be_is_refused_row_56(program: Program, barcode: object) -> None:
    assert refused(program, "POST", "/items", {"sku": "a", "name": "a", "barcode": barcode})[::2] == (422, "barcode")


def test_a_barcode_whose_check_digit_is_wrong_is_taken_with_a_warning_row_56(program: Program) -> None:
    for sku, barcode, warnings in (
        ("a", "4006381333931", []),
        ("b", "4006381333932", ["barcode_check_digit"]),
        ("c", "own-12", []),
        ("d", "036000291452", []),
    ):
        assert program.do("POST", "/items", {"sku": sku, "name": sku, "barcode": barcode})["warnings"] == warnings


def test_kits_of_nothing_of_kits_or_of_themselves_are_refused(program: Program) -> None:
    program.do("POST", "/items", {"sku": "mug", "name": "A mug"})
    part = {"sku": "mug", "quantity": 2}
    program.do("POST", "/items", {"sku": "pair", "name": "Two", "components": [part]})
    nested = {"sku": "four", "name": "Four", "components": [{"sku": "pair", "quantity": 2}]}
    assert refused(program, "POST", "/items", nested)[:2] == (422, "kit_in_kit")
    twice = {"sku": "four", "name": "Four", "components": [part, part]}
    assert refused(program, "POST", "/items", twice) == (422, "repeated", "components")
    gone = {"sku": "four", "name": "Four", "components": [{"sku": "gone", "quantity": 2}]}
    assert refused(program, "POST", "/items", gone) == (404, "unknown_sku", "components.0.sku")
    assert refused(program, "POST", "/items", {"sku": "mug", "name": "again"})[:2] == (409, "sku_taken")
    assert [item["sku"] for item in program.ask("/items")["data"]] == ["mug", "pair"]


def test_a_kit_takes_no_stock_of_its_own(program: Program, site: Site) -> None:
    world = site.street.world
    world.kit("pair", {"mug": 2})
    body = {"location_id": world.a, "lines": [{"sku": "mug", "change": 1}, {"sku": "pair", "change": 1}]}
    assert refused(program, "POST", "/adjustments", body) == (422, "kit_stock", "lines.1.sku")
    assert movements(world) == 0


def test_a_rule_that_can_not_be_names_each_of_its_faults(program: Program, site: Site) -> None:
    street = site.street
    street.world.move("mug", 3, OPENING, "3")
    street.open_woo({"mug": 3})
    rule = f"/numbers/{program.ask('/listings')['data'][0]['numbers'][0]['number_id']}/rule"
    answer = program.call(
        "PATCH", rule, {"shown_min": 9, "shown_max": 2, "locations": ["Nowhere"]}, headers={"If-Match": "*"}
    )
    assert answer.status_code == 422
    assert {fault["where"] for fault in answer.json["errors"]} == {"shown_max", "locations"}
    assert refused(program, "PATCH", rule, {"buffer": None}, headers={"If-Match": "*"})[::2] == (422, "buffer")


def test_a_program_that_asks_too_often_waits_and_others_do_not(site: Site) -> None:
    settings = site.street.runtime.settings
    tight = settings.model_copy(update={"api": settings.api.model_copy(update={"requests_per_minute": 3})})
    own = Site(site.street, create_app(replace(site.street.runtime, settings=tight)))
    busy, calm = Program.of(own), Program.of(own)
    answers = [busy.call("GET", "/merchant") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit"] == '"key";r=2;t=20'
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
    assert (answers[3].json["reason"], answers[3].headers["Retry-After"]) == ("too_many_requests", "20")
    assert calm.call("GET", "/merchant").status_code == 200
    site.street.world.now += timedelta(seconds=20)
    assert [busy.call("GET", "/merchant").status_code for _ in range(2)] == [200, 429]
