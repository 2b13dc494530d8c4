"""What a person types, and what a shop sends, when a WooCommerce shop is joined."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from connectors.errors import Malformed
from connectors.join import Approval
from connectors.woocommerce.joining import approval_url, plain_address, read_grant, read_keys
from tests.unit.woocommerce.recordings import load

RECORDED: bytes = load("10.2.4/wc_auth_callback")["body_raw"].encode()
GRANT: dict[str, Any] = orjson.loads(RECORDED)
KEY, SECRET = GRANT["consumer_key"], GRANT["consumer_secret"]


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("shop.example.com", "https://shop.example.com"),
        (" https://shop.example.com/ ", "https://shop.example.com"),
        ("https://shop.example.com/wp-admin/admin.php?page=wc-settings", "https://shop.example.com"),
        ("https://shop.example.com/store/wp-login.php", "https://shop.example.com/store"),
        ("http://shop.example.com/wp-json/wc/v3", "http://shop.example.com"),
        ("https://shop.example.com/?p=1#top", "https://shop.example.com"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("", ""),
    ],
)
def test_what_is_copied_from_a_browser_becomes_the_shops_base_address(typed: str, plain: str) -> None:
    assert plain_address(typed) == plain


def test_the_shops_own_page_is_asked_with_its_five_parameters() -> None:
    approval = Approval("st&te", "https://us.example/back?merchant=1", "https://us.example/keys")
    parts = urlsplit(approval_url("https://shop.example.com/store", approval))
    assert parts.path == "/store/wc-auth/v1/authorize"
    assert parse_qs(parts.query) == {
        "app_name": ["Perpetual"], "scope": ["read_write"], "user_id": ["st&te"],
        "return_url": ["https://us.example/back?merchant=1"], "callback_url": ["https://us.example/keys"],
    }  # fmt: skip


def test_a_grant_says_for_which_state_the_keys_are() -> None:
    grant = read_grant(RECORDED)
    assert (grant.state, grant.credentials) == ("tenant-42", {"consumer_key": KEY, "consumer_secret": SECRET})
    assert SECRET not in repr(grant)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"consumer_key=ck_1", "not_json"),
        (b"\xff", "not_json"),
        (b"[" * 100_000, "too_large"),
        (b"[]", "not_an_object"),
        (b"{}", "missing_field"),
        (orjson.dumps({**GRANT, "user_id": 42}), "missing_field"),
        (orjson.dumps({**GRANT, "user_id": "x" * 201}), "missing_field"),
        (orjson.dumps({**GRANT, "key_permissions": "read"}), "read_only_key"),
        (orjson.dumps({**GRANT, "consumer_key": "ck_short"}), "not_a_key"),
        (orjson.dumps({**GRANT, "consumer_secret": [SECRET]}), "not_a_key"),
        (orjson.dumps({**GRANT, "consumer_secret": SECRET + "\n' or 1=1"}), "not_a_key"),
    ],
)
def test_a_grant_that_is_none_is_refused_by_reason_and_not_repeated(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_grant(body)
    assert caught.value.reason == reason
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("typed", [{}, {"consumer_key": KEY}, {"consumer_key": SECRET, "consumer_secret": KEY}])
def test_keys_by_hand_are_named_by_the_field_that_is_wrong(typed: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        read_keys(typed)
    assert caught.value.field in ("consumer_key", "consumer_secret")
    assert read_keys({"consumer_key": f" {KEY}\n", "consumer_secret": SECRET}) == {
        "consumer_key": KEY, "consumer_secret": SECRET,
    }  # fmt: skip
