"""Proof of who asks, against the recipe that real shops accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from connectors.base import Shop
from connectors.errors import AccessDenied
from connectors.woocommerce.auth import BASIC, OAUTH, QUERY, OneTime, authorization, method_for, sign

KEYS = {"consumer_key": "ck_1", "consumer_secret": "cs_1"}
FIXED = OneTime(nonce=lambda: "n0nce", timestamp=lambda: 1_795_000_000)


def prepared(shop: Shop, url: str, one_time: OneTime = FIXED) -> requests.PreparedRequest:
    return requests.Request("GET", url, auth=authorization(shop, one_time)).prepare()


def test_basic_goes_over_tls_and_oauth_without() -> None:
    assert method_for(Shop("https://a.example", "a", KEYS)) == BASIC
    assert method_for(Shop("http://a.example", "a", KEYS)) == OAUTH
    assert method_for(Shop("https://a.example", "a", KEYS, facts={"auth": QUERY})) == QUERY


def test_the_signature_follows_the_recipe() -> None:
    # base = METHOD & enc(url without query) & enc(sorted k=v of all parameters), key = secret + "&"
    url = "http://a.example/wp-json/wc/v3/orders?status=any&include=1%2C2&modified_after=2026-11-23T00%3A00%3A00"
    oauth = [("oauth_nonce", "n"), ("oauth_consumer_key", "ck")]
    base = (
        "GET&http%3A%2F%2Fa.example%2Fwp-json%2Fwc%2Fv3%2Forders&include%3D1%252C2%26modified_after%3D2026-11-23T00"
        "%253A00%253A00%26oauth_consumer_key%3Dck%26oauth_nonce%3Dn%26status%3Dany"
    )
    expected = base64.b64encode(hmac.new(b"secret&", base.encode(), hashlib.sha256).digest()).decode()
    assert sign("GET", url, oauth, secret="secret") == expected


def test_tilde_space_and_plus_are_encoded_as_rfc_3986_wants() -> None:
    base = "GET&http%3A%2F%2Fa.example%2F&a%3D~%2520%252B"
    expected = base64.b64encode(hmac.new(b"s&", base.encode(), hashlib.sha256).digest()).decode()
    assert sign("GET", "http://a.example/?a=~%20%2B", [], secret="s") == expected


def test_behind_a_proxy_that_hides_tls_the_plain_address_is_signed() -> None:
    facts = {"auth": OAUTH, "signed_scheme": "http"}
    request = prepared(Shop("https://a.example", "a", KEYS, facts=facts), "https://a.example/x")
    query = dict(parse_qsl(urlsplit(request.url or "").query))
    oauth = [(name, value) for name, value in query.items() if name != "oauth_signature"]
    assert (request.url or "").startswith("https://a.example/x?")
    assert query["oauth_signature"] == sign("GET", "http://a.example/x", oauth, secret="cs_1")


def test_every_request_sent_has_a_nonce_of_its_own() -> None:
    auth = authorization(Shop("http://a.example", "a", KEYS), OneTime())
    urls = {requests.Request("GET", "http://a.example/", auth=auth).prepare().url for _ in range(3)}
    assert len(urls) == 3


def test_keys_in_the_query_are_added_to_what_is_there() -> None:
    request = prepared(Shop("https://a.example", "a", KEYS, facts={"auth": QUERY}), "https://a.example/x?a=1")
    assert request.url == "https://a.example/x?a=1&consumer_key=ck_1&consumer_secret=cs_1"


def test_a_shop_without_keys_is_not_asked() -> None:
    with pytest.raises(AccessDenied) as caught:
        authorization(Shop("https://a.example", "a", {}), FIXED)
    assert caught.value.reason == "missing_credentials"


def test_a_shop_never_shows_its_keys() -> None:
    assert "cs_1" not in repr(Shop("https://a.example", "a", KEYS))
