"""Costs are for those who may see them: every page is walked as a clerk and as a viewer, and none names an amount."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from sandbox.shopify.state import gid
from tests.people import PASSWORD, People
from tests.unit.web.site import BROWSER, Site

# Amounts that nothing else here is: 7 mugs at 13.37 in the ledger, 5 bowls at 17.93 in the shop, 3 cups at 19.31 in a
# file.
AMOUNTS = ("13.37", "93.59", "17.93", "89.65", "19.31", "57.93")
MONEY = re.compile("|".join(re.escape(amount) for amount in AMOUNTS) + r"|[€$£]\s?[\d.,]+|\d\s?(?:[€$£]|EUR|USD)")
TABLE = b"sku,name,location,on_hand,unit_cost\ncup,Cup,A,3,19.31\n"
# What a shop or a person outside comes to, with proofs of their own.
ELSEWHERE = {"health", "api", "callbacks", "shopify_app", "embedding", "webhooks", "login"}


@pytest.fixture
def staff(people: People) -> People:
    """Costs in the ledger and in a connected shop; an owner, a clerk, a viewer."""
    street, world = people.street, people.world
    world.move("mug", 7, "opening > available@A", "93.59")
    street.town.state = "shadow"  # nothing is opened from a shop that is written to
    shop = street.open_shopify({"mug": 7})
    world.item("bowl")
    shop.add_variant("bowl", {gid("Location", place): 5 for place in shop.locations}, unit_cost="17.93")
    with world.session() as session:
        own = """update channel set facts = facts || '{"currency": "USD"}' where merchant_id = %(merchant_id)s"""
        session.run(own)  # costs in another currency are not taken
    street.settle()
    for role in ("owner", "clerk", "viewer"):
        people.user(email(role), role)
    return people


def email(role: str) -> str:
    return f"{role}@example.com"


def page_of(site: Site, path: str) -> TestResponse:
    return site.get(f"{path}?merchant={site.street.world.merchant_id}")


def upload(owner: Site) -> str:
    token = page_of(owner, "/import").text.split('name="csrf_token" value="')[1].split('"')[0]
    given = {"csrf_token": token, "file": (io.BytesIO(TABLE), "items.csv")}
    path = f"/import?merchant={owner.street.world.merchant_id}"
    return owner.client.post(path, data=given, headers=BROWSER).headers["Location"].split("?")[0].rpartition("/")[2]


def paths(site: Site, upload_id: str) -> Iterator[str]:
    """Every page there is, of things that are there."""
    channel = str(min(site.street.shops))
    for rule in site.app.url_map.iter_rules():
        blueprint = rule.endpoint.partition(".")[0]
        if "GET" not in (rule.methods or ()) or blueprint in ELSEWHERE | {"static"} or rule.endpoint == "pages.live":
            continue
        named = {"sku": "mug", "id_": upload_id if blueprint == "imports" else channel}
        with site.app.test_request_context():
            yield site.app.url_map.bind("localhost").build(rule.endpoint, {one: named[one] for one in rule.arguments})


@pytest.mark.parametrize("role", ["clerk", "viewer"])
def test_no_page_tells_an_amount_of_money_to_whoever_sees_no_costs(staff: People, role: str) -> None:
    upload_id = upload(staff.logged_in(email("owner")))
    site = staff.logged_in(email(role))
    seen, told = [], {}
    for path in paths(site, upload_id):
        answer = page_of(site, path)
        assert answer.status_code < 500, path
        seen.append(path)
        if found := MONEY.findall(answer.text):
            told[path] = found
    assert told == {}
    assert len(seen) >= 20


def test_an_owner_is_told_each_of_them(staff: People) -> None:
    owner = staff.logged_in(email("owner"))
    upload_id = upload(owner)
    told = {path: set(MONEY.findall(page_of(owner, path).text)) for path in paths(owner, upload_id)}
    assert "$93.59" in told["/items"]
    assert "$93.59" in told["/items/mug"]
    assert "$89.65" in told[f"/channels/{min(staff.street.shops)}/opening"]
    assert "$57.93" in told[f"/import/{upload_id}"]


@pytest.mark.parametrize(
    "path", ["/import", "/import/{upload}", "/import/{upload}/faults.csv", "/channels/{channel}/opening"]
)
@pytest.mark.parametrize("role", ["clerk", "viewer"])
def test_what_is_all_about_costs_or_changes_items_is_refused_with_the_reason(
    staff: People, role: str, path: str
) -> None:
    upload_id = upload(staff.logged_in(email("owner")))
    site = staff.logged_in(email(role))
    asked = path.format(upload=upload_id, channel=min(staff.street.shops))
    answer = page_of(site, asked)
    assert (answer.status_code, f"Your role here is {role}" in answer.text) == (403, True)
    assert PASSWORD not in answer.text
