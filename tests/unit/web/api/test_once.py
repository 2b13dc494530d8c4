"""A POST is done once for its Idempotency-Key, however often and from however many places it is sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest

from app.accounts.answers import prune_answers
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site

AGAIN = {"Idempotency-Key": "delivery-7"}


def receipt(site: Site, units: int = 5) -> dict[str, object]:
    site.street.world.item("mug")
    return {"location_id": site.street.world.a, "lines": [{"sku": "mug", "quantity": units}]}


def test_the_same_request_again_gets_the_same_answer_and_has_no_second_effect(program: Program, site: Site) -> None:
    first = program.call("POST", "/receipts", receipt(site), headers=AGAIN)
    again = program.call("POST", "/receipts", receipt(site), headers=AGAIN)
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert site.street.world.available("mug") == 5
    item = program.call("POST", "/items", {"sku": "a", "name": "a"}, headers={"Idempotency-Key": "a"})
    copy = program.call("POST", "/items", {"sku": "a", "name": "a"}, headers={"Idempotency-Key": "a"})
    assert (copy.headers["Location"], copy.headers["ETag"]) == (item.headers["Location"], item.headers["ETag"])


def test_another_request_under_the_same_key_is_refused_row_50(program: Program, site: Site) -> None:
    program.do("POST", "/receipts", receipt(site), headers=AGAIN)
    for path, body in (("/receipts", receipt(site, 6)), ("/items", {"sku": "a", "name": "a"})):
        answer = program.call("POST", path, body, headers=AGAIN)
        assert (answer.status_code, answer.json["reason"]) == (409, "idempotency_key_reused")
    assert site.street.world.available("mug") == 5


def test_ten_of_the_same_at_once_have_one_effect_and_one_answer(program: Program, site: Site) -> None:
    body = receipt(site)
    at_once = Barrier(10)

    def send(_: int) -> tuple[int, bytes]:
        own = Program(site.app.test_client(), program.token)
        at_once.wait(10)
        answer = own.call("POST", "/receipts", body, headers=AGAIN)
        return answer.status_code, answer.data

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(send, range(10)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 201
    assert site.street.world.available("mug") == 5


def test_a_request_that_was_refused_leaves_its_key_free(program: Program, site: Site) -> None:
    lost = {"location_id": site.street.world.a, "lines": [{"sku": "mug", "change": -5}]}
    body = receipt(site)
    assert program.call("POST", "/adjustments", lost, headers=AGAIN).status_code == 409
    program.do("POST", "/receipts", body)
    assert program.call("POST", "/adjustments", lost, headers=AGAIN).status_code == 201


def test_after_a_day_the_answer_is_forgotten_and_the_movement_is_still_posted_once(
    program: Program, site: Site
) -> None:
    world = site.street.world
    first = program.do("POST", "/receipts", receipt(site), headers=AGAIN)
    world.now += timedelta(hours=25)
    again = program.call("POST", "/receipts", receipt(site), headers=AGAIN)
    assert (again.status_code, again.json["movement_ids"]) == (201, first["movement_ids"])
    assert "Idempotent-Replayed" not in again.headers
    assert world.available("mug") == 5
    world.now += timedelta(hours=25)
    answer = program.call("POST", "/receipts", receipt(site, 9), headers=AGAIN)
    assert (answer.status_code, answer.json["reason"]) == (409, "key_conflict")


@pytest.mark.parametrize("again", [
    {"unit_cost": "20"}, {}, {"unit_cost": "8", "currency": "EUR", "rate": "1.25", "rate_on": "2026-11-20"},
])  # fmt: skip
def test_another_cost_under_the_same_key_is_refused_however_much_later_row_50(
    program: Program, site: Site, again: dict[str, str]
) -> None:
    world = site.street.world

    def received(unit_cost: str | None = None, **paid: str) -> dict[str, object]:
        line = {"sku": "mug", "quantity": 10} | ({} if unit_cost is None else {"unit_cost": unit_cost})
        return {"location_id": world.a, "lines": [line], **paid}

    world.item("mug")
    first = program.do("POST", "/receipts", received("10"), headers=AGAIN)
    world.now += timedelta(hours=25)
    answer = program.call("POST", "/receipts", received(**again), headers=AGAIN)
    assert (answer.status_code, answer.json["reason"]) == (409, "key_conflict")
    assert program.do("POST", "/receipts", received("10.00"), headers=AGAIN)["movement_ids"] == first["movement_ids"]
    assert world.worth("mug") == (10, Decimal(100))


def test_old_answers_are_pruned_and_young_ones_kept(program: Program, site: Site) -> None:
    world = site.street.world
    program.do("POST", "/items", {"sku": "a", "name": "a"})
    world.now += timedelta(hours=23)
    program.do("POST", "/items", {"sku": "b", "name": "b"})
    world.now += timedelta(hours=2)
    with world.session() as session:
        assert prune_answers(session) == 1
        assert session.value("select count(*) from api_answer where merchant_id = %(merchant_id)s") == 1


def test_two_merchants_have_keys_of_their_own(program: Program, site: Site, other: object) -> None:
    theirs = Program.of(site, other)  # type: ignore[arg-type]
    for own in (program, theirs):
        assert own.call("POST", "/items", {"sku": "a", "name": "a"}, headers=AGAIN).status_code == 201


def test_the_answer_that_one_key_got_is_not_told_to_another_with_fewer_scopes(site: Site, program: Program) -> None:
    item = {"sku": "secret", "name": "a"}
    assert program.call("POST", "/items", item, headers=AGAIN).status_code == 201
    other = Program.of(site, scopes=["items:write"])
    told = other.call("POST", "/items", item, headers=AGAIN)
    assert (told.status_code, told.json["reason"]) == (409, "idempotency_key_reused")
