"""Session tokens, signed queries and shop names: what proves who opened the app, and all that does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from connectors.apps import AppKeys, NotProved
from connectors.shopify import proofs
from sandbox.shopify.admin import signed

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
NEW, FORMER = "n" * 38, "f" * 38
KEYS = AppKeys("app-1", (NEW, FORMER))
SHOP = "one.myshopify.com"
GOOD = {
    "iss": f"https://{SHOP}/admin", "dest": f"https://{SHOP}", "aud": "app-1", "sub": "42",
    "exp": AT + 60, "nbf": AT, "iat": AT, "jti": "j", "sid": "s",
}  # fmt: skip


def token(secret: str = NEW, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode(claims, secret if algorithm != "none" else None, algorithm=algorithm)


def refusal(text: str) -> str:
    with pytest.raises(NotProved) as caught:
        proofs.verify_session(KEYS, text, NOW)
    assert text not in str(caught.value) or not text
    return caught.value.reason


@pytest.mark.parametrize("secret", [NEW, FORMER])
def test_a_token_under_either_secret_says_whose_shop_it_is(secret: str) -> None:
    assert proofs.verify_session(KEYS, token(secret), NOW).shop == SHOP


def test_a_token_a_little_ahead_or_behind_of_our_clock_is_good() -> None:
    assert proofs.verify_session(KEYS, token(nbf=AT + 9, iat=AT + 9), NOW).shop == SHOP
    assert proofs.verify_session(KEYS, token(exp=AT - 9), NOW).shop == SHOP


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(token(algorithm="none"), "wrong_algorithm", id="alg none"),
        pytest.param(token("n" * 64, "HS512"), "wrong_algorithm", id="HS512"),
        pytest.param(token("e" * 38), "wrong_signature", id="another secret"),
        pytest.param(token(aud="app-2"), "wrong_audience", id="another app"),
        pytest.param(token(aud=["app-1", "app-2"]), "wrong_audience", id="several apps"),
        pytest.param(token(exp=AT - 11), "expired_token", id="expired"),
        pytest.param(token(exp=None), "malformed_token", id="without an end"),
        pytest.param(token(exp=True), "malformed_token", id="an end that is none"),
        pytest.param(token(exp=1e400), "malformed_token", id="an endless end"),
        pytest.param(token(nbf=AT + 11), "token_of_the_future", id="future"),
        pytest.param(token(dest=None), "missing_dest", id="no dest"),
        pytest.param(token(dest="https://evil.com"), "wrong_shop", id="dest of no shop"),
        pytest.param(token(dest=f"http://{SHOP}"), "wrong_shop", id="dest without tls"),
        pytest.param(token(dest="https://[::1"), "wrong_shop", id="dest unreadable"),
        pytest.param(token(iss="https://two.myshopify.com/admin"), "wrong_issuer", id="another issuer"),
        pytest.param(token(iss=None), "wrong_issuer", id="no issuer"),
        pytest.param("", "malformed_token", id="nothing"),
        pytest.param("a.b.c", "malformed_token", id="no token"),
        pytest.param(token() + "x" * 5_000, "malformed_token", id="too long"),
        pytest.param("ü" + token(), "malformed_token", id="not ascii"),
    ],
)
def test_a_token_that_proves_nothing_is_refused_with_its_own_code_25(text: str, reason: str) -> None:
    assert refusal(text) == reason


@pytest.mark.parametrize(
    "text",
    ["evil.com", "a.myshopify.com.evil.com", "a.myshopify.com/@x", "a.myshopify.com\n", "-a.myshopify.com", "",
     "a b.myshopify.com", "https://a.myshopify.com", "ä.myshopify.com", "a.myshopify.com:8000", "x" * 300],
)  # fmt: skip
def test_what_is_no_shops_name_is_none_23(text: str) -> None:
    assert proofs.find_domain(text) is None


def test_a_shops_name_is_lower_case_whoever_writes_it() -> None:
    assert proofs.find_domain("My-Shop.myshopify.com") == "my-shop.myshopify.com"


def query(secret: str = NEW, **changes: str) -> dict[str, str]:
    told = {"shop": SHOP, "timestamp": str(AT), "odd": "a&b=c%d é", **changes}
    return {**told, "hmac": signed(secret, told)}


@pytest.mark.parametrize("secret", [NEW, FORMER])
def test_a_query_signed_under_either_secret_is_good_2(secret: str) -> None:
    proofs.verify_query(KEYS, query(secret), NOW, fresh=True)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param({"shop": SHOP}, "missing_signature", id="unsigned"),
        pytest.param({**query(), "shop": "two.myshopify.com"}, "wrong_signature", id="another shop"),
        pytest.param({**query(), "more": "1"}, "wrong_signature", id="more than was signed"),
        pytest.param({**query(), "hmac": "é"}, "wrong_signature", id="no signature at all"),
        pytest.param(query("e" * 38), "wrong_signature", id="another secret"),
        pytest.param(query(timestamp=str(AT - 91)), "stale_signature", id="signed a while ago"),
        pytest.param(query(timestamp="soon"), "stale_signature", id="signed never"),
    ],
)
def test_a_query_that_shopify_did_not_sign_just_now_is_refused(told: dict[str, str], reason: str) -> None:
    with pytest.raises(NotProved) as caught:
        proofs.verify_query(KEYS, told, NOW, fresh=True)
    assert caught.value.reason == reason


def test_an_address_that_was_bookmarked_is_good_where_it_may_be_old() -> None:
    proofs.verify_query(KEYS, query(timestamp=str(AT - 10_000)), NOW, fresh=False)
