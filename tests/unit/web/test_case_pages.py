"""The page of cases: what asks is decided there, the rest is closed, and each only by who may and whose it is."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from app.listings.cases import list_cases, open_cases
from tests.drifting import adjustments, audit, edit, numbers, open_shops
from tests.people import People
from tests.street import Street
from tests.unit.web.site import BROWSER, Site
from tests.world import World


def post(site: Site, path: str, world: World | None = None, **fields: str) -> TestResponse:
    asked = (world or site.street.world).merchant_id
    token = site.ask("/connect").text.split('name="csrf_token" value="')[1].split('"')[0]
    data = {"csrf_token": token, **fields}
    return site.client.post(f"{path}?merchant={asked}", data=data, headers=BROWSER)


def ask_about(street: Street) -> tuple[int, ...]:
    """A number was edited where a person is asked; (ledger, the shop, the other one) as they are now."""
    shop, other = open_shops(street, "shopify", "ask")
    edit(shop, 3)
    audit(street)
    return numbers(street, shop, other)


def only_case(street: Street) -> int:
    with street.world.session() as session:
        (case,) = list_cases(session)
    return case.case_id


def open_plain(world: World, subject: str = "#1001") -> int:
    with world.session() as session:
        open_cases(session, None, [("order_deleted", subject, "it was <b>deleted</b> in the shop", {})])
        return list_cases(session)[0].case_id


@pytest.mark.parametrize(("right", "shown"), [("ledger", (20, 20, 20)), ("channel", (23, 23, 23))])
def test_a_number_that_nothing_explains_is_decided_by_a_click(site: Site, right: str, shown: tuple[int, ...]) -> None:
    street = site.street
    assert ask_about(street) == (20, 23, 20)
    case = only_case(street)
    page = site.ask("/cases").text
    assert all(text in page for text in ("Asks you", "change our stock by +3", "write it again"))
    assert f"#case-{case}" in site.ask("/").text
    assert f"#case-{case}" in site.ask("/items/mug").text
    assert post(site, f"/cases/{case}/decide", right=right).status_code == 303
    street.settle(60)
    shop, other = street.shops.values()
    assert numbers(street, shop, other) == shown  # type: ignore[arg-type]
    assert [units for _, units, _ in adjustments(street)] == ([3] if right == "channel" else [])
    assert "No case is open." in site.ask("/cases").text
    assert "Corrected" in site.ask("/cases?all=1").text


def test_who_decides_a_case_that_was_decided_meanwhile_is_told_that_nothing_was_changed(site: Site) -> None:
    ask_about(site.street)
    case = only_case(site.street)
    post(site, f"/cases/{case}/decide", right="channel")
    assert post(site, f"/cases/{case}/decide", right="ledger").status_code == 303
    page = site.ask("/cases").text
    assert "Nothing was changed" in page
    assert 'class="link bad" role="alert"' in page


def test_a_case_that_holds_a_number_back_can_not_be_closed_undecided(site: Site) -> None:
    ask_about(site.street)
    case = only_case(site.street)
    assert "I have seen to it" not in site.ask("/cases").text
    post(site, f"/cases/{case}/dismiss")
    assert "Nothing was changed" in site.ask("/cases").text
    assert only_case(site.street) == case


def test_a_case_that_was_seen_to_is_closed_and_what_it_says_is_text(site: Site) -> None:
    case = open_plain(site.street.world)
    page = site.ask("/cases").text
    assert "it was &lt;b&gt;deleted&lt;/b&gt; in the shop" in page
    assert post(site, f"/cases/{case}/dismiss").status_code == 303
    assert "No case is open." in site.ask("/cases").text
    assert "Seen to" in site.ask("/cases?all=1").text


def test_a_decision_that_is_none_is_refused_and_changes_nothing_42(site: Site) -> None:
    ask_about(site.street)
    case = only_case(site.street)
    for right in ("", "both", "<script>"):
        answer = post(site, f"/cases/{case}/decide", right=right)
        assert (answer.status_code, "<script>" in answer.text) == (422, False)
    assert only_case(site.street) == case


def test_many_cases_are_paged(site: Site) -> None:
    for number in range(51):
        open_plain(site.street.world, f"#{number:03}")
    first = site.ask("/cases").text
    assert "#050" in first
    assert "#000" not in first
    after = first.split("after=")[1].split("&")[0].split('"')[0]
    last = site.ask(f"/cases?after={after}").text
    assert "#000" in last
    assert "#050" not in last


def test_another_merchant_meets_none_of_it_21(site: Site, other: World) -> None:
    site.street.world.item("mug")
    case = open_plain(site.street.world)
    assert "No case is open." in site.get(f"/cases?merchant={other.merchant_id}").text
    for path, fields in (("decide", {"right": "ledger"}), ("dismiss", {})):
        assert post(site, f"/cases/{case}/{path}", other, **fields).status_code == 404
    assert only_case(site.street) == case


def test_a_clerk_sees_cases_and_decides_none(people: People) -> None:
    people.user("owner@example.com")
    people.user("clerk@example.com", "clerk")
    case = open_plain(people.world)
    clerk = people.logged_in("clerk@example.com")
    page = clerk.get("/cases").text
    assert "#1001" in page
    assert "I have seen to it" not in page
    refused = clerk.send(f"/cases/{case}/dismiss", page="/cases")
    assert (refused.status_code, "Your role here is clerk" in refused.text) == (403, True)
    owner = people.logged_in("owner@example.com")
    assert owner.send(f"/cases/{case}/dismiss", page="/cases").status_code == 303


def test_a_form_from_elsewhere_is_refused_36(site: Site) -> None:
    case = open_plain(site.street.world)
    merchant = site.street.world.merchant_id
    answer = site.client.post(f"/cases/{case}/dismiss?merchant={merchant}", headers=BROWSER)
    assert answer.status_code == 403
    assert only_case(site.street) == case
