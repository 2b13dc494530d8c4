"""WooCommerce's own codes name a failure; what they do not know keeps its status."""

from __future__ import annotations

import orjson
import pytest

from connectors.errors import AccessDenied, ChannelError, NotFound, OutcomeUnknown, Refused, Throttled, Transient
from connectors.http import Answer, failure
from connectors.woocommerce.errors import CODES, ITEM_CODES, refined
from tests.unit.woocommerce import recordings

RECORDED = {
    "rest_401_bad_secret": (AccessDenied, "wrong_secret"),
    "rest_401_unknown_key": (AccessDenied, "keys_not_accepted"),
    "rest_401_readonly_key_write": (AccessDenied, "read_only_key"),
    "rest_404_order": (NotFound, "no_such_order"),
    "rest_400_bad_param": (Refused, "invalid_parameter"),
    "rest_batch_101_413": (Refused, "too_large"),
}


def told(status: int, body: bytes, *, write: bool = False) -> ChannelError:
    error = failure(Answer(status, {}, body), write=write)
    assert error is not None
    return refined(error)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_refusal_has_its_own_reason(name: str) -> None:
    value = recordings.load(f"10.9.0/{name}")
    error = told(value["status"], orjson.dumps(value["body"]))
    assert (type(error), error.reason) == RECORDED[name]


def test_every_code_of_a_recorded_batch_item_has_a_reason() -> None:
    items = recordings.body("10.9.0/rest_batch_update_mixed_errors")["update"]
    codes = {item["error"]["code"] for item in items if "error" in item}
    assert codes
    assert codes <= ITEM_CODES.keys()


def test_every_error_code_in_the_recordings_is_known() -> None:
    bodies = [recordings.body(name) for name in recordings.names()]
    codes = {body["code"] for body in bodies if isinstance(body, dict) and "code" in body}
    assert codes <= CODES.keys()


def test_a_reused_nonce_is_tried_again_and_a_wrong_clock_is_not() -> None:
    def body(message: str) -> bytes:
        return orjson.dumps({"code": "woocommerce_rest_authentication_error", "message": message})

    assert type(told(401, body("Invalid nonce - nonce has already been used."))) is Transient
    clock = told(401, body("Invalid timestamp."))
    assert (type(clock), clock.reason) == (AccessDenied, "clock_differs")


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (401, "woocommerce_rest_cannot_view", AccessDenied, "keys_not_accepted"),
        (403, "woocommerce_rest_cannot_view", AccessDenied, "no_permission"),
        (403, "woocommerce_rest_cannot_batch", AccessDenied, "no_permission"),
        (403, "woocommerce_rest_cannot_delete", AccessDenied, "no_permission"),
        (401, "invalid_username", AccessDenied, "plain_permalinks"),
        (404, "woocommerce_rest_shop_webhook_invalid_id", NotFound, "no_such_webhook"),
        (400, "rest_missing_callback_param", Refused, "invalid_parameter"),
    ],
)
def test_a_code_has_its_reason_and_who_lacks_rights_is_not_told_of_wrong_keys(
    status: int, code: str, kind: type[ChannelError], reason: str
) -> None:
    error = told(status, orjson.dumps({"code": code, "message": "<strong>Error:</strong> no", "data": None}))
    assert (type(error), error.reason) == (kind, reason)


def test_a_web_page_in_place_of_a_refusal_is_a_firewall() -> None:
    assert told(403, b"<html>Attention Required!</html>").reason == "blocked_by_firewall"


def test_what_is_throttled_or_unknown_stays_so() -> None:
    body = orjson.dumps({"code": "rest_no_route"})
    assert type(told(429, body)) is Throttled
    assert type(told(500, body, write=True)) is OutcomeUnknown


def test_a_code_that_nobody_knows_keeps_its_status() -> None:
    error = told(400, orjson.dumps({"code": "some_plugin_error", "message": "no"}))
    assert (type(error), error.reason) == (Refused, "bad_request")
