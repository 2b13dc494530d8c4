"""An address that a person gives: what may be called, and why the rest may not."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import pytest

from connectors.addresses import check_public_url
from connectors.errors import ChannelError, Refused, Transient

PUBLIC = "93.184.215.14"


def answering(*addresses: str) -> Any:
    """A name server that answers everything like this."""

    def resolve(host: str, port: object, **more: object) -> Sequence[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    return resolve


def refusal(url: str, *, addresses: Sequence[str] = (PUBLIC,), **more: Any) -> str:
    with pytest.raises(ChannelError) as caught:
        check_public_url(url, resolve=answering(*addresses), **more)
    assert len(url) < len("https://x") or url not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "127.1",
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "[fd00:ec2::254]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "100.64.0.1", "[fe80::1]", "[fe80::1%25eth0]",
        "[::7f00:1]", "[::]", "[2002:7f00:1::]", "[fec0::1]", "[ff02::1]", "224.0.0.1", "255.255.255.255",
        "168.63.129.16", "198.18.0.1", "192.0.2.1", "[2001:db8::1]", "127.0.0.1.", "0x7f.1.",
    ],
)  # fmt: skip
def test_no_spelling_of_an_inner_address_is_allowed_29(host: str) -> None:
    assert refusal(f"https://{host}/shop") == "address_not_allowed"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "100.99.0.1"]
)
def test_a_name_that_leads_to_an_inner_address_is_not_allowed_29(address: str) -> None:
    assert refusal("https://shop.example.com", addresses=[address]) == "address_not_allowed"
    assert refusal("https://shop.example.com", addresses=[PUBLIC, address]) == "address_not_allowed"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("gopher://shop.example.com/", "scheme_not_allowed"),
        ("ftp://shop.example.com/", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("shop.example.com", "scheme_not_allowed"),
        ("https://user:secret@shop.example.com", "address_with_password"),
        ("https://shop.example.com@10.0.0.1/", "address_with_password"),
        ("https://shop.example.com:22", "port_not_allowed"),
        ("https://shop.example.com:6379/", "port_not_allowed"),
        ("https://shop.example.com:99999/", "bad_address"),
        ("https://", "bad_address"),
        ("https://shop example.com", "bad_address"),
        ("https://shop.example.com\\@10.0.0.1", "bad_address"),
        ("https://shop.example.com/\r\nHost: inner", "bad_address"),
        ("https://-shop.example.com", "bad_address"),
        ("https://shop..example.com", "bad_address"),
        ("https://" + "a" * 300 + ".com", "bad_address"),
        ("https://shop.example.com/" + "a" * 2_000, "bad_address"),
        ("https://1.2.3.4.5", "bad_address"),
        ("", "bad_address"),
    ],
)
def test_what_is_no_shops_address_says_what_is_wrong_with_it_30(url: str, reason: str) -> None:
    assert refusal(url) == reason


def test_http_can_be_left_out() -> None:
    assert refusal("http://shop.example.com", schemes=("https",)) == "scheme_not_allowed"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("HTTPS://Shop.Example.com:443/", "https://shop.example.com"),
        ("http://shop.example.com:80/store/", "http://shop.example.com/store"),
        ("https://shop.example.com:8443/a?b=c#d", "https://shop.example.com:8443/a?b=c"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        (f"https://{PUBLIC}", f"https://{PUBLIC}"),
        ("https://[2606:4700::1111]:8443", "https://[2606:4700::1111]:8443"),
        ("https://shop.example.com.", "https://shop.example.com"),
    ],
)
def test_a_public_address_comes_back_in_its_plain_form(url: str, plain: str) -> None:
    assert check_public_url(url, resolve=answering(PUBLIC)) == plain


def test_a_name_that_nobody_knows_is_told_from_one_that_is_not_allowed() -> None:
    def nobody(*arguments: object, **more: object) -> Sequence[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    for resolve in (nobody, answering()):
        with pytest.raises(Transient) as caught:
            check_public_url("https://shop.exampel.com", resolve=resolve)
        assert caught.value.reason == "unknown_host"


def test_this_machine_is_allowed_at_any_port_only_by_the_switch() -> None:
    assert check_public_url("http://127.0.0.1:8089/", allow_loopback=True) == "http://127.0.0.1:8089"
    assert check_public_url("http://localhost:8089", allow_loopback=True) == "http://localhost:8089"
    with pytest.raises(Refused):
        check_public_url("http://127.0.0.1:8089/")
    assert refusal("https://10.0.0.1", allow_loopback=True) == "address_not_allowed"
    assert refusal("https://shop.example.com", addresses=["127.0.0.1", "10.0.0.1"], allow_loopback=True) == (
        "address_not_allowed"
    )
