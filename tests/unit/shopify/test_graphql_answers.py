"""What an answer of the Admin API stands for, for a read and for a write."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.errors import AccessDenied, ChannelError, Malformed, OutcomeUnknown, Refused, Throttled, Transient
from connectors.http import Answer
from connectors.shopify.graphql import (
    COST_AIM,
    Cost,
    Reply,
    _cost,
    document,
    failure,
    in_slices,
    next_size,
    nodes_of,
    page_of,
)


def answer(body: object) -> Answer:
    return Answer(200, {"content-type": "application/json"}, orjson.dumps(body))


def coded(code: str | None, **extensions: Any) -> Answer:
    error: dict[str, Any] = {"message": "said so"}
    if code is not None:
        error["extensions"] = {"code": code}
    return answer({"errors": [error], "extensions": extensions})


@pytest.mark.parametrize(
    ("code", "reading", "writing"),
    [
        ("THROTTLED", Throttled, Throttled),
        ("MAX_COST_EXCEEDED", Refused, Refused),
        ("ACCESS_DENIED", AccessDenied, AccessDenied),
        ("SHOP_INACTIVE", AccessDenied, AccessDenied),
        ("INTERNAL_SERVER_ERROR", Transient, OutcomeUnknown),
        ("SOMETHING_NEW", Refused, Refused),
        (None, Refused, Refused),
    ],
)
def test_an_error_inside_a_good_answer_is_found_and_named(
    code: str | None, reading: type[ChannelError], writing: type[ChannelError]
) -> None:
    assert type(failure(coded(code), write=False)) is reading
    assert type(failure(coded(code), write=True)) is writing


def test_a_throttled_call_says_how_long_until_the_bucket_holds_enough() -> None:
    cost = {"requestedQueryCost": 760, "throttleStatus": {"currentlyAvailable": 60, "restoreRate": 100.0}}
    error = failure(coded("THROTTLED", cost=cost), write=False)
    assert error is not None
    assert error.retry_after_s == pytest.approx(7.0)


def test_a_throttled_call_that_does_not_say_waits_a_second() -> None:
    error = failure(coded("THROTTLED"), write=False)
    assert error is not None
    assert error.retry_after_s == 1.0


@pytest.mark.parametrize("body", [[], {"data": None}, {}, "x"])
def test_an_answer_that_is_no_graphql_answer_is_malformed(body: object) -> None:
    with pytest.raises(Malformed):
        failure(answer(body), write=False)


def test_errors_written_as_plain_text_are_errors_too() -> None:
    assert type(failure(answer({"errors": "Not Found"}), write=False)) is Refused


def test_a_good_answer_is_no_error() -> None:
    assert failure(answer({"data": {"shop": {}}}), write=False) is None


def test_a_page_that_is_too_expensive_is_asked_for_in_halves() -> None:
    asked = []

    def fetch(some: Any) -> tuple[list[int], Cost]:
        asked.append(len(some))
        if len(some) > 3:
            raise Refused("max_cost_exceeded")
        return list(some), Cost(requested=COST_AIM * len(some) / 2)

    assert in_slices(range(10), 8, fetch, largest=8) == list(range(10))
    assert asked == [8, 4, 2, 2, 2, 2, 2]


def test_a_single_thing_that_is_too_expensive_is_an_error() -> None:
    def fetch(some: Any) -> tuple[list[int], Cost]:
        raise Refused("max_cost_exceeded")

    with pytest.raises(Refused):
        in_slices([1, 2], 2, fetch, largest=2)


@pytest.mark.parametrize(
    ("size", "cost", "size_then"),
    [
        (5, Cost(requested=100), 10),
        (5, Cost(requested=760), 5),
        (10, Cost(requested=1_000), 8),
        (5, Cost(), 10),
        (1, Cost(requested=5_000), 1),
        (19, Cost(requested=10), 20),
        (10, Cost(requested=100, available=150), 10),  # what is reserved fits into the bucket, less what writes need
        (10, Cost(requested=100, available=100), 5),
        (10, Cost(requested=100, available=20), 1),
        (10, Cost(requested=100, actual=60, available=2_000, restored_per_s=10), 8),  # what is used comes back in 5 s
        (10, Cost(requested=100, actual=0, available=2_000, restored_per_s=0), 20),
    ],
)
def test_the_next_page_follows_the_cost_and_the_bucket_that_the_shop_told(
    size: int, cost: Cost, size_then: int
) -> None:
    assert next_size(size, cost, largest=20) == size_then


@pytest.mark.parametrize("value", ["100", -1, 1e300, True, None, [], {}])
def test_a_cost_that_can_not_be_is_not_believed(value: object) -> None:
    told = {"requestedQueryCost": value, "actualQueryCost": value, "throttleStatus": {"currentlyAvailable": value}}
    body = {"data": {}, "extensions": {"cost": told}}
    assert _cost(body) == Cost()
    error = failure(coded("THROTTLED", cost=told), write=False)
    assert error is not None
    assert error.retry_after_s == 1.0


LAST = {"hasNextPage": False}


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        (None, "missing_field"),
        ({"orders": None}, "missing_field"),
        ({"orders": {"pageInfo": LAST}}, "wrong_type"),
        ({"orders": {"nodes": [None], "pageInfo": LAST}}, "wrong_type"),
        ({"orders": {"nodes": []}}, "missing_field"),
        ({"orders": {"nodes": [], "pageInfo": {"hasNextPage": "no"}}}, "missing_field"),
        ({"orders": {"nodes": [{}], "pageInfo": {"hasNextPage": True}}}, "cursor_stuck"),
        ({"orders": {"nodes": [{}], "pageInfo": {"hasNextPage": True, "endCursor": "here"}}}, "cursor_stuck"),
        ({"orders": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "there"}}}, "cursor_stuck"),
    ],
)
def test_what_is_no_page_or_would_be_read_for_ever_is_malformed(parent: object, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        page_of(parent, "orders", "here")
    assert caught.value.reason == reason


@pytest.mark.parametrize("nodes", [None, {}, [], [{}, {}], [3], [{"id": "another"}]])
def test_objects_asked_for_by_id_come_back_one_for_each_or_not_at_all(nodes: object) -> None:
    with pytest.raises(Malformed):
        nodes_of(Reply({"nodes": nodes}, Cost(), ""), ["gid"])


def test_a_document_brings_the_fragments_it_imports_once() -> None:
    text = document("orders_by_key")
    assert text.count("fragment OrderStock on Order") == 1
    assert text.count("fragment Line on LineItem") == 1
