"""Errors say what was wrong, where and what to do, in one shape, without repeating what was sent."""

from __future__ import annotations

import pytest

from app.core import errors
from app.core.errors import ConfigError, Fault, InvalidInput, NotFound, PerpetualError, Unavailable, problem_json


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadRequest, 400),
        (errors.Unauthenticated, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.NotAcceptable, 406),
        (errors.Conflict, 409),
        (errors.Stale, 412),
        (errors.TooLarge, 413),
        (errors.WrongContentType, 415),
        (errors.InvalidInput, 422),
        (errors.NotConditional, 428),
        (errors.RateLimited, 429),
        (errors.Unavailable, 503),
    ],
)
def test_every_error_has_the_status_that_its_name_promises(kind: type[PerpetualError], status: int) -> None:
    problem = problem_json(kind("slug", "what to do", "field"))
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert (problem["reason"], problem["detail"], problem["where"]) == ("slug", "what to do", "field")


def test_several_faults_are_each_named_and_the_rest_counted() -> None:
    faults = [Fault("too_small", "must not be negative", f"lines.{number}.quantity") for number in range(130)]
    problem = problem_json(InvalidInput("invalid_order", "the order can't be taken", faults=faults))
    assert len(problem["errors"]) == 100
    assert problem["errors"][7] == {
        "reason": "too_small",
        "where": "lines.7.quantity",
        "detail": "must not be negative",
    }
    assert problem["more"] == 30


def test_an_input_with_one_fault_is_its_own_fault() -> None:
    error = InvalidInput("blank", "a number is missing", "quantity")
    assert error.faults == (Fault("blank", "a number is missing", "quantity"),)
    assert "errors" not in problem_json(error)


def test_an_unavailable_service_says_when_to_come_back() -> None:
    assert problem_json(Unavailable("database_down", retry_after_s=9))["retry_after_s"] == 9


def test_an_absent_thing_says_no_more_than_that() -> None:
    assert set(problem_json(NotFound("not_found"))) == {"type", "title", "status", "reason"}


def test_how_we_are_set_up_is_never_shown_to_a_client() -> None:
    problem = problem_json(ConfigError([Fault("x", "the key is missing", "/etc/perpetual.toml")]))
    assert "perpetual.toml" not in str(problem)
    assert problem["status"] == 500
