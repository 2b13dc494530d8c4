"""What an answer of the Admin API stands for, for a read and for a write."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.errors import AccessDenied, ChannelError, Malformed, OutcomeUnknown, Refused, Throttled, Transient
from connectors.http import Answer
from connectors.shopify.graphql import document, failure, in_halves, next_size


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

    def fetch(some: Any) -> list[int]:
        asked.append(len(some))
        if len(some) > 3:
            raise Refused("max_cost_exceeded")
        return list(some)

    assert in_halves(range(10), 8, fetch) == list(range(10))
    assert asked == [8, 4, 2, 2, 2, 2, 2]


def test_a_single_thing_that_is_too_expensive_is_an_error() -> None:
    def fetch(some: Any) -> list[int]:
        raise Refused("max_cost_exceeded")

    with pytest.raises(Refused):
        in_halves([1, 2], 2, fetch)


@pytest.mark.parametrize(
    ("size", "cost", "size_then"), [(5, 100, 10), (5, 760, 5), (10, 1_000, 8), (5, 0, 5), (1, 5_000, 1), (19, 10, 20)]
)
def test_the_next_page_follows_the_cost_that_the_shop_told(size: int, cost: int, size_then: int) -> None:
    assert next_size(size, cost, largest=20) == size_then


def test_a_document_brings_the_fragments_it_imports_once() -> None:
    text = document("orders_page")
    assert text.count("fragment OrderStock on Order") == 1
    assert text.count("fragment Line on LineItem") == 1
