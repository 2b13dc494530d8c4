"""Logs carry what happened and no secret, whoever wrote them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.core.log import HIDDEN, configure, get_logger, hide_in_text, hide_secrets


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("json", "INFO", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_name_level_and_time(output: io.StringIO) -> None:
    get_logger("app.test").info("stock_pushed", rows=3, listing_key="gid://1")
    (entry,) = entries(output)
    assert (entry["event"], entry["level"], entry["rows"], entry["listing_key"]) == (
        "stock_pushed",
        "info",
        3,
        "gid://1",
    )
    assert str(entry["at"]).endswith("Z")


def test_a_librarys_log_goes_the_same_way_and_loses_its_secrets(output: io.StringIO) -> None:
    logging.getLogger("some.library").warning(
        "GET %s", "/auth?shop=a&id_token=eyJhbGciOi.abc&x=1", extra={"token": "t0p"}
    )
    (entry,) = entries(output)
    assert entry["event"] == f"GET /auth?shop=a&id_token={HIDDEN}&x=1"
    assert entry["token"] == HIDDEN


@pytest.mark.parametrize("logger", [get_logger("app.test"), logging.getLogger("some.library")])
def test_a_traceback_loses_the_secrets_in_its_message_26(output: io.StringIO, logger: logging.Logger) -> None:
    try:
        raise ValueError("GET https://a.example/?id_token=canary-7 failed")
    except ValueError:
        logger.exception("request_failed")
    (entry,) = entries(output)
    assert "ValueError" in str(entry["exception"])
    assert "canary-7" not in output.getvalue()


@pytest.mark.parametrize(
    "key",
    [
        *("password", "owner_password_hash", "secret_key", "access_token", "id_token", "Authorization", "cookie"),
        *("api_key", "consumer_secret", "consumer_key", "encryption_keys", "database_url", "X-Shopify-Hmac-Sha256"),
    ],
)
def test_a_key_that_looks_like_a_secret_keeps_its_name_and_loses_its_value(key: str) -> None:
    assert hide_secrets(None, "info", {"event": "e", key: "canary"}) == {"event": "e", key: HIDDEN}
    nested = hide_secrets(None, "info", {"event": "e", "headers": [{key: "canary"}]})
    assert "canary" not in str(nested)


@pytest.mark.parametrize(
    "key", ["order_key", "listing_key", "delivery_key", "location_keys", "idempotency_key", "reason"]
)
def test_keys_of_the_trade_are_not_taken_for_secrets(key: str) -> None:
    assert hide_secrets(None, "info", {key: "gid://shopify/Order/1"}) == {key: "gid://shopify/Order/1"}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://perpetual:canary@db/perpetual",
        "https://shop.example/?consumer_key=canary&x=1",
        "Authorization: Bearer canary.canary.canary",
        "Basic Y2FuYXJ5OmNhbmFyeQcanary==",
        "token shpat_canary0123456789",
        "key ck_canary0123456789",
        "session perps_canary-canary_0123456789",
        "GET /join/perpi_canary-canary_0123456789 200",
        "endpoint whsec_canary/canary+0123456789=",
        "body {'subject_token': 'eyJhbGciOiJIUzI1NiJ9.canaryeyJpc3MiOiJodHRwcz.canary-sig_'}",
    ],
)
def test_secrets_inside_a_text_are_taken_out(text: str) -> None:
    assert "canary" not in hide_in_text(text)


def test_raw_bytes_and_very_deep_values_are_never_written() -> None:
    deep: object = "canary"
    for _ in range(20):
        deep = {"a": deep}
    assert "canary" not in str(hide_secrets(None, "info", {"body": b"canary", "deep": deep}))
