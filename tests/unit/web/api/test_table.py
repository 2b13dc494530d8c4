"""The table of routes as a whole: its document is valid, no route is without a scope or a test by a stranger."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.accounts.keys import SCOPES
from app.outbox.endpoints import create_endpoint
from app.web.api import openapi_json
from app.web.api.route import Route
from app.web.api.table import ROUTES
from tests.receiver import ADDRESS
from tests.street import Street
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site
from tests.world import World

TABLE = [route for route, _ in ROUTES]
OF_A_MERCHANT = [route for route in TABLE if route.places]
# A body that each route takes, where it takes one.
BODIES: dict[str, dict[str, Any]] = {
    "patch_items_item_id": {"name": "taken over"},
    "patch_locations_location_id": {"priority": 9},
    "put_channels_channel_id_state": {"state": "paused"},
    "put_listings_listing_id_mapping": {"sku": "ours"},
    "patch_numbers_number_id_rule": {"buffer": 7},
    "post_cases_case_id_decision": {"right": "ledger"},
    "patch_webhook_endpoints_endpoint_id": {"state": "paused"},
    "post_webhook_endpoints_endpoint_id_replay": {"since": "2026-11-01T00:00:00Z"},
}


@pytest.fixture
def theirs(site: Site) -> dict[str, int]:
    """An id of each kind that belongs to the street's merchant."""
    street = site.street
    street.world.move("mug", 10, "opening > available@A", "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    shop.place_order([("mug", 3)])
    street.settle(1)
    with street.world.session() as session:
        create_endpoint(street.runtime, session, url=f"{ADDRESS}/hook", description="", events=["case.opened"])
        session.run(
            """insert into case_file (merchant_id, case_id, kind, subject, detail, opened_at)
               values (%(merchant_id)s, nextval('case_seq'), 'goods_to_check', 'box', 'look', %(now)s)""",
            now=session.now,
        )
        found = {}
        for name, (table, column) in KINDS.items():
            found[name] = session.value(f"select max({column}) from {table} where merchant_id = %(merchant_id)s")
    return found


KINDS = {
    "item_id": ("item", "item_id"),
    "movement_id": ("movement", "movement_id"),
    "order_id": ("sales_order", "order_id"),
    "channel_id": ("channel", "channel_id"),
    "listing_id": ("listing", "listing_id"),
    "number_id": ("stock_owner", "owner_id"),
    "case_id": ("case_file", "case_id"),
    "endpoint_id": ("webhook_endpoint", "endpoint_id"),
    "location_id": ("location", "location_id"),
}


def everything(world: World) -> list[object]:
    """What of the merchant could have been changed."""
    tables = sorted({table for table, _ in KINDS.values()})
    with world.session() as session:
        return [
            tuple(row)
            for table in tables
            for row in session.rows(f"select t::text from {table} t where merchant_id = %(merchant_id)s order by 1")
        ]


def ask(program: Program, route: Route, ids: dict[str, int]) -> tuple[int, bytes]:
    path = route.path.format(**ids)
    answer = program.call(route.method, path, BODIES.get(route.name), headers={"If-Match": "*"})
    return answer.status_code, answer.data


def test_the_document_is_valid_openapi_3_1_and_open_to_everybody(site: Site) -> None:
    answer = site.client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.json["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(answer.json).validate()
    assert answer.data == openapi_json()


def test_the_document_names_every_route_that_is_served_and_no_other(site: Site) -> None:
    paths = site.client.get("/api/v1/openapi.json").json["paths"]
    named = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    served = {
        (method, str(rule)) for rule in site.app.url_map.iter_rules() if str(rule).startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    } - {("GET", "/api/v1/openapi.json")}  # fmt: skip
    assert len(named) == len(served) == len(TABLE)
    assert {(route.method, f"/api/v1{route.path}") for route in TABLE} == named


def test_every_route_needs_a_scope_that_keys_can_have(site: Site) -> None:
    assert [route.name for route in TABLE if route.scope is None] == ["get_merchant"]
    assert {route.scope for route in TABLE} - {None} <= set(SCOPES)
    assert [route.name for route in TABLE if route.scope and route.scope.endswith(":read") != route.reads] == []


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.name)
def test_every_route_refuses_who_has_no_key(site: Site, route: Route) -> None:
    path = route.path.format(**dict.fromkeys(route.places, 1))
    answer = site.client.open(f"/api/v1{path}", method=route.method)
    assert (answer.status_code, answer.json["reason"]) == (401, "no_key")


def test_every_id_that_a_route_takes_is_of_a_kind_that_the_stranger_tries() -> None:
    assert {place for route in TABLE for place in route.places} <= KINDS.keys()
    needs_a_body = {route.name for route in OF_A_MERCHANT if route.body is not None}
    assert needs_a_body == BODIES.keys()


@pytest.mark.parametrize("route", OF_A_MERCHANT, ids=lambda route: route.name)
def test_an_id_of_another_merchant_is_answered_like_one_that_is_not_there_row_21(
    site: Site, theirs: dict[str, int], other: World, route: Route
) -> None:
    other.item("ours")
    stranger, before = Program.of(site, other), everything(site.street.world)
    told = ask(stranger, route, theirs)
    assert told == ask(stranger, route, dict.fromkeys(theirs, 2**62))
    assert told[0] == 404
    assert everything(site.street.world) == before


FILTERS = [(route, name) for route in TABLE for name in route.query.model_fields if name.endswith("_id")]


@pytest.mark.parametrize(("route", "name"), FILTERS, ids=[f"{r.name}_{n}" for r, n in FILTERS])
def test_a_filter_by_another_merchants_id_finds_what_one_that_is_not_there_finds_row_21(
    site: Site, theirs: dict[str, int], other: World, route: Route, name: str
) -> None:
    own = other.item("ours")
    stranger = Program.of(site, other)
    path = route.path.format(item_id=own)
    told = [stranger.call("GET", f"{path}?{name}={id_}") for id_ in (theirs[name], 2**62)]
    assert told[0].status_code == told[1].status_code in (200, 404)
    assert told[0].data == told[1].data


@pytest.mark.parametrize("route", [r for r in TABLE if r.reads and not r.places], ids=lambda route: route.name)
def test_no_list_shows_anything_of_another_merchant_row_21(
    site: Site, theirs: dict[str, int], other: World, route: Route
) -> None:
    shown = Program.of(site, other).call("GET", route.path)
    assert shown.status_code == 200
    assert "mug" not in shown.text
    assert "Shopify" not in shown.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/receipts", {"location_id": "location_id", "lines": [{"sku": "ours", "quantity": 1}]}),
        ("/adjustments", {"location_id": "location_id", "lines": [{"sku": "ours", "change": 1}]}),
        ("/transfers", {"from_location_id": "own", "to_location_id": "location_id",
                        "lines": [{"sku": "ours", "quantity": 1}]}),
        ("/receipts", {"location_id": "own", "lines": [{"sku": "ours", "quantity": 1}, {"sku": "mug", "quantity": 1}]}),
        ("/items", {"sku": "kit", "name": "kit", "components": [{"sku": "mug", "quantity": 1}]}),
    ],
    ids=["place_received", "place_adjusted", "place_of_transfer", "item_of_a_line", "item_of_a_kit"],
)  # fmt: skip
def test_an_id_of_another_merchant_in_a_body_is_answered_like_one_that_is_not_there_row_21(
    site: Site, theirs: dict[str, int], other: World, path: str, body: dict[str, Any]
) -> None:
    other.move("ours", 5, "opening > available@A", "5")
    stranger = Program.of(site, other)

    def send(location: int, sku: str) -> tuple[int, bytes]:
        places = {"own": other.a, "location_id": location}
        told = {name: places.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
        told = {n: [{**x, "sku": sku if x["sku"] == "mug" else x["sku"]} for x in v] if isinstance(v, list) else v
                for n, v in told.items()}  # fmt: skip
        answer = stranger.call("POST", path, told)
        return answer.status_code, answer.data

    before = everything(other)
    told = send(theirs["location_id"], "mug")
    assert told == send(2**62, "no such")
    assert told[0] == 404
    assert everything(other) == before


def test_the_walk_would_see_what_is_changed(street: Street) -> None:
    before = everything(street.world)
    street.world.move("mug", 1, "opening > available@A", "1")
    assert everything(street.world) != before
