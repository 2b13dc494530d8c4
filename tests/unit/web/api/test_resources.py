"""What a program reads and does through the API is what the capabilities have and do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.accounts.audit import list_entries
from tests.street import Street
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site

OPENING = "opening > available@A"


@pytest.fixture
def trading(site: Site) -> Street:
    """Two shops that sell mugs; three are sold, and one thing is sold that is no item."""
    street = site.street
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10, "poster": 4})
    street.open_woo({"mug": 10})
    street.settle()
    shop.place_order([("mug", 3)])
    street.settle(1)
    return street


def test_a_program_is_told_whose_key_it_has_and_what_that_may_do(program: Program, site: Site) -> None:
    told = program.ask("/merchant")
    assert (told["merchant_id"], told["currency"], told["key_name"]) == (site.street.world.merchant_id, "USD", "till")
    assert "stock:write" in told["scopes"]


def test_items_are_made_found_read_and_changed_and_kits_name_their_components(program: Program, site: Site) -> None:
    mug = program.call("POST", "/items", {"sku": "mug", "name": "A mug", "barcode": "4006381333931"})
    assert mug.status_code == 201
    assert mug.headers["Location"].endswith(f"/api/v1/items/{mug.json['item_id']}")
    kit = program.do("POST", "/items", {"sku": "pair", "name": "Two", "components": [{"sku": "mug", "quantity": 2}]})
    assert (kit["kind"], kit["components"][0]["sku"], kit["components"][0]["quantity"]) == ("kit", "mug", 2)
    with site.street.world.session() as session:
        made = [(entry.action, entry.subject) for entry in list_entries(session)][:2]
    assert made == [("item.created", "item pair"), ("item.created", "item mug")]
    path = f"/items/{mug.json['item_id']}"
    changed = program.do("PATCH", path, {"name": "The mug"}, headers={"If-Match": mug.headers["ETag"]})
    assert (changed["name"], changed["barcode"]) == ("The mug", "4006381333931")
    bare = program.do("PATCH", path, {"barcode": None}, headers={"If-Match": program.etag(path)})
    assert (bare["name"], bare["barcode"]) == ("The mug", None)
    assert [item["sku"] for item in program.ask("/items?q=mug")["data"]] == ["mug"]
    assert [item["sku"] for item in program.ask("/items?sort=-sku")["data"]] == ["pair", "mug"]
    assert [item["sku"] for item in program.ask("/items?sku=pair")["data"]] == ["pair"]


def test_the_components_of_a_kit_are_changed_by_its_version_and_not_once_it_was_sold(
    program: Program, site: Site
) -> None:
    world = site.street.world
    world.kit("pair", {"mug": 2, "bowl": 1})
    path = f"/items/{world.items['pair']}"
    told = {"components": [{"sku": "mug", "quantity": 3}]}
    assert program.call("PATCH", path, told, headers={"If-Match": '"other"'}).status_code == 412
    changed = program.do("PATCH", path, told, headers={"If-Match": program.etag(path)})
    assert [(part["sku"], part["quantity"]) for part in changed["components"]] == [("mug", 3)]
    for item, components, status, reason in (
        ("mug", [{"sku": "bowl", "quantity": 1}], 422, "not_a_kit"), ("pair", [], 422, "invalid"),
        ("pair", None, 422, "invalid"), ("pair", [{"sku": "gone", "quantity": 1}], 404, "unknown_sku"),
    ):  # fmt: skip
        answer = program.call(
            "PATCH", f"/items/{world.items[item]}", {"components": components}, headers={"If-Match": "*"}
        )
        assert (answer.status_code, answer.json and answer.json["reason"]) == (status, reason)
    assert program.ask(path)["components"] == changed["components"]


def test_a_place_is_put_first_and_out_of_use_by_its_version(program: Program, site: Site) -> None:
    world = site.street.world
    path = f"/locations/{world.b}"
    told = program.do("PATCH", path, {"priority": 0, "active": False}, headers={"If-Match": program.etag(path)})
    assert (told["priority"], told["active"]) == (0, False)
    assert [place["name"] for place in program.ask("/locations")["data"]] == ["B", "A"]
    for at, body, status, reason in (
        (world.b, {"priority": None}, 422, "invalid"), (world.b, {"priority": -1}, 422, "invalid"),
        (world.a, {"active": False}, 409, "location_needed"), (world.b, {"name": "C"}, 422, "extra_field"),
    ):  # fmt: skip
        answer = program.call("PATCH", f"/locations/{at}", body, headers={"If-Match": "*"})
        assert (answer.status_code, answer.json and answer.json["reason"]) == (status, reason)
    assert program.call("PATCH", path, {"priority": 1}, headers={"If-Match": '"old"'}).status_code == 412
    assert program.ask(path) == told


def test_pages_lead_on_by_their_cursor_and_miss_and_repeat_nothing(program: Program, site: Site) -> None:
    for number in range(7):
        site.street.world.move(f"i{number}", 1, OPENING, "1")
    for path, key in (
        ("/items?sort=-sku&limit=3", "sku"),
        ("/movements?limit=3", "movement_id"),
        ("/stock?limit=3", "sku"),
    ):
        seen: list[object] = []
        page = program.ask(path)
        while True:
            seen += [row[key] for row in page["data"]]
            if page["next_cursor"] is None:
                break
            page = program.ask(f"{path}&cursor={page['next_cursor']}")
        assert len(seen) == len(set(seen)) == 7, path


def test_goods_paid_in_another_currency_are_booked_at_their_rate_and_what_was_paid_is_kept(
    program: Program, site: Site
) -> None:
    world = site.street.world
    world.item("mug")
    lines = [{"sku": "mug", "quantity": 3, "unit_cost": "33.3333"}, {"sku": "mug", "quantity": 1}]
    body = {"location_id": world.a, "currency": "EUR", "rate": "1.08247", "rate_on": "2026-11-20", "lines": lines}
    received = program.do("POST", "/receipts", body)
    paid, free = (program.ask(f"/movements/{one}")["purchase"] for one in received["movement_ids"])
    assert paid == {"amount": "99.9999", "currency": "EUR", "rate": "1.08247000", "rate_on": "2026-11-20"}
    assert free is None
    assert program.ask("/ledger/value")["inventory_value"] == "108.2469"
    assert program.ask("/ledger/verification") == {"sound": True, "findings": []}
    till = Program.of(site, scopes=("stock:read",))
    assert till.ask(f"/movements/{received['movement_ids'][0]}")["purchase"] is None


def test_stock_goes_up_with_receipts_over_to_another_place_and_follows_counted_differences(
    program: Program, site: Site
) -> None:
    world = site.street.world
    world.item("mug")
    received = program.do(
        "POST", "/receipts", {"location_id": world.a, "currency": "USD", "reason": "delivery 7",
                              "lines": [{"sku": "mug", "quantity": 10, "unit_cost": "2.5000"}]},
    )  # fmt: skip
    assert (received["stock"][0]["available"], len(received["movement_ids"])) == (10, 1)
    moved = program.do(
        "POST", "/transfers", {"from_location_id": world.a, "to_location_id": world.b,
                               "lines": [{"sku": "mug", "quantity": 4}]},
    )  # fmt: skip
    assert {row["location_id"]: row["available"] for row in moved["stock"]} == {world.a: 6, world.b: 4}
    lost = program.do("POST", "/adjustments", {"location_id": world.b, "lines": [{"sku": "mug", "change": -1}]})
    assert lost["stock"][0]["available"] == 3
    levels = program.ask(f"/stock?item_id={world.items['mug']}&location_id={world.b}")["data"]
    assert [(row["available"], row["on_hand"]) for row in levels] == [(3, 3)]
    history = program.ask(f"/movements?item_id={world.items['mug']}&source=api")["data"]
    assert [row["to_state"] for row in history] == ["shrinkage", "available", "available"]
    assert program.ask(f"/movements/{history[-1]['movement_id']}")["reason"] == "delivery 7"
    value = program.ask("/ledger/value")
    assert (value["inventory_value"], value["currency"]) == ("22.5000", "USD")
    assert program.ask("/ledger/verification") == {"sound": True, "findings": []}


def test_movements_are_found_by_the_time_they_happened(program: Program, site: Site) -> None:
    world = site.street.world
    for days in (3, 2, 1):
        world.move("mug", 1, OPENING, "1", occurred_at=world.now - timedelta(days=days))
    since = (world.now - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    until = (world.now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert len(program.ask(f"/movements?since={since}&until={until}")["data"]) == 1


def test_stock_and_value_are_those_of_a_day_as_they_were_known_at_an_instant(program: Program, site: Site) -> None:
    world = site.street.world
    world.move("mug", 10, OPENING, "50", occurred_at=world.now - timedelta(days=2))
    world.move("cup", 1, OPENING, "1")
    day, known = (world.now - timedelta(days=1)).date(), f"{world.now - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"

    def units(query: str) -> list[tuple[str, int]]:
        return [(row["sku"], row["on_hand"]) for row in program.ask(f"/stock?{query}")["data"]]

    assert units(f"as_of={day}") == [("mug", 10), ("cup", 0)]
    assert units(f"as_of={day}&known_at={known}") == units(f"known_at={known}") == [("mug", 0), ("cup", 0)]
    assert units(f"as_of={world.now.date()}") == units("") == [("mug", 10), ("cup", 1)]
    assert units(f"as_of={day}&item_id={world.items['mug']}&location_id={world.b}") == []
    page = program.ask(f"/stock?as_of={day}&limit=1")
    assert units(f"as_of={day}&limit=1&cursor={page['next_cursor']}") == [("cup", 0)]
    assert program.ask(f"/ledger/value?as_of={day}")["inventory_value"] == "50.0000"
    assert program.ask(f"/ledger/value?as_of={day}&known_at={known}")["inventory_value"] == "0"


def test_value_and_cost_of_goods_sold_are_those_of_the_day_asked_about(program: Program, trading: Street) -> None:
    with trading.world.session() as session:
        assert session.value("select count(*) from journal where merchant_id = %(merchant_id)s")
    yesterday = (trading.world.now - timedelta(days=1)).date()
    assert program.ask(f"/ledger/value?as_of={yesterday}")["inventory_value"] == "0"
    today = program.ask(f"/ledger/value?as_of={trading.world.now.date()}&since={trading.world.now.date()}")
    assert today["inventory_value"] == "50.0000"  # reserved is not sold yet


def test_a_key_that_reads_items_and_no_reports_learns_no_costs(site: Site, trading: Street) -> None:
    for scopes, told in ((("items:read", "stock:read", "orders:read", "channels:read"), False), (("all",), True)):
        program = Program.of(site, scopes=scopes)
        rows = program.ask("/items")["data"] + program.ask("/items?sku=mug")["data"]
        assert {row["value"] is not None for row in rows} == {told}
    for path in ("/movements", "/stock", "/orders", "/listings", "/channels"):
        assert not {"cost", "unit_cost", "value"} & {name for row in program.ask(path)["data"] for name in row}, path


def test_orders_channels_and_listings_are_as_the_shops_have_them(program: Program, trading: Street) -> None:
    orders = program.ask("/orders")["data"]
    assert [(order["channel"], order["booked"]) for order in orders] == [("Shopify 0", True)]
    lines = program.ask(f"/orders/{orders[0]['order_id']}")["lines"]
    assert [(line["item_sku"], line["quantity"], line["committed"]) for line in lines] == [("mug", 3, 3)]
    channels = program.ask("/channels")["data"]
    assert [(c["name"], c["state"], c["health"][0]["reason"]) for c in channels] == [
        ("Shopify 0", "active", "nothing_wrong"), ("Woo 1", "active", "nothing_wrong"),
    ]  # fmt: skip
    listings = program.ask("/listings?q=mug")["data"]
    assert {(row["channel"], row["item_sku"], row["numbers"][0]["target"]) for row in listings} == {
        ("Shopify 0", "mug", 7), ("Woo 1", "mug", 7),
    }  # fmt: skip
    assert [row["sku"] for row in program.ask("/listings?unmapped=true")["data"]] == ["poster"]


def test_a_listing_is_mapped_taken_out_and_given_a_rule(program: Program, trading: Street) -> None:
    trading.world.move("poster", 9, OPENING, "9")
    listing = program.ask("/listings?unmapped=true")["data"][0]
    path = f"/listings/{listing['listing_id']}/mapping"
    mapped = program.do("PUT", path, {"sku": "poster"}, headers={"If-Match": program.etag(path)})
    assert (mapped["sku"], mapped["left_out"]) == ("poster", False)
    rule = f"/numbers/{listing['numbers'][0]['number_id']}/rule"
    changed = program.do(
        "PATCH", rule, {"buffer": 2, "shown_max": 5, "locations": ["A"]}, headers={"If-Match": program.etag(rule)}
    )
    assert (changed["buffer"], changed["shown_max"], changed["locations"]) == (2, 5, ["A"])
    assert program.ask(f"/listings/{listing['listing_id']}")["numbers"][0]["target"] == 5
    out = program.do("DELETE", path, headers={"If-Match": program.etag(path)})
    assert (out["item_id"], out["left_out"]) == (None, True)


def test_why_answers_per_channel_down_to_the_movements(program: Program, trading: Street) -> None:
    item = program.ask("/items?sku=mug")["data"][0]
    whole = program.ask(f"/items/{item['item_id']}/why")
    assert [(number["channel"], number["target"]) for number in whole["numbers"]] == [("Shopify 0", 7), ("Woo 1", 7)]
    channel = program.ask("/channels")["data"][1]["channel_id"]
    one = program.ask(f"/items/{item['item_id']}/why?channel_id={channel}")
    assert [number["channel"] for number in one["numbers"]] == ["Woo 1"]
    assert one["numbers"][0]["places"][0]["parts"][0]["movements"]


def test_a_channel_is_paused_by_a_program_and_its_name_is_kept(program: Program, trading: Street) -> None:
    channel = program.ask("/channels")["data"][0]["channel_id"]
    assert program.do("PUT", f"/channels/{channel}/state", {"state": "paused"})["state"] == "paused"
    with trading.world.session() as session:
        by = session.value(
            "select state_by from channel where merchant_id = %(merchant_id)s and channel_id = %(c)s", c=channel
        )
    assert by == "API key till"


def test_what_a_program_changes_is_told_in_the_audit_log_with_its_key_and_address(program: Program) -> None:
    made = program.call("POST", "/items", {"sku": "mug", "name": "A mug"})
    path = f"/items/{made.json['item_id']}"
    program.do("PATCH", path, {"name": "The mug"}, headers={"If-Match": "*"})
    entry = program.ask("/audit-log")["data"][0]
    assert (entry["actor"], entry["action"], entry["subject"], entry["origin"]) == (
        "API key till", "item.changed", "item mug", "127.0.0.1",
    )  # fmt: skip
    assert (entry["before"]["name"], entry["after"]["name"]) == ("A mug", "The mug")
    first = program.ask("/audit-log?limit=1")
    assert program.ask(f"/audit-log?limit=1&cursor={first['next_cursor']}")["data"][0]["action"] == "item.created"


def test_a_case_is_listed_read_dismissed_and_one_that_asks_is_decided(program: Program, trading: Street) -> None:
    with trading.world.session() as session:
        session.run(
            """insert into case_file (merchant_id, case_id, kind, subject, detail, opened_at)
               values (%(merchant_id)s, nextval('case_seq'), 'goods_to_check', 'box', 'look', %(now)s)""",
            now=session.now,
        )
    case = program.ask("/cases")["data"][0]
    assert program.ask(f"/cases/{case['case_id']}")["kind"] == "goods_to_check"
    refused = program.call("POST", f"/cases/{case['case_id']}/decision", {"right": "ledger"})
    assert (refused.status_code, refused.json["reason"]) == (409, "case_not_asking")
    assert program.do("POST", f"/cases/{case['case_id']}/dismissal")["state"] == "dismissed"
    assert program.ask("/cases")["data"] == []
    assert len(program.ask("/cases?state=any")["data"]) == 1
