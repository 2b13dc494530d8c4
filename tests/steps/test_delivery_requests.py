"""The form of a delivery's request: lengths, methods and addresses that it may not have, bodies that come badly."""

from __future__ import annotations

import socket
from io import BytesIO

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.web import create_app
from app.web.headers import HEADERS
from sandbox.base import Delivery as Posted
from sandbox.shopify import PretendShopify
from tests.deliveries import address, opened, orders_of, post, refusals, stored
from tests.serve import serving
from tests.street import Street


@pytest.fixture
def shop(street: Street) -> PretendShopify:
    return opened(street)


def test_the_short_way_and_flasks_way_give_the_same_answers(street: Street, shop: PretendShopify) -> None:
    app, (good, again) = create_app(street.runtime), orders_of(street, shop, 2)
    bad = {"X-Shopify-Hmac-Sha256": "AAAA"}
    asked: list[tuple[Posted, dict[str, str], str]] = [
        (good, {}, address(good)),
        (again, bad, address(again)),
        (good, {}, "/webhooks/ebay"),
        (good, {}, "/webhooks/woocommerce/nobody"),
        (good, {}, "/webhooks/shopify/more"),
    ]
    for posted, headers, path in asked:
        short = post(app, posted, headers=headers, path=path)
        long = post(app, posted, headers={**headers, "Content-Encoding": "identity"}, path=path)
        assert (short.status_code, short.data, path) == (long.status_code, long.data, path)
        for name, value in HEADERS.items():
            assert short.headers[name] == long.headers[name] == value


@pytest.mark.parametrize(
    ("length", "status"),
    [("10000001", 413), ("9" * 5_000, 401), ("-1", 401), ("abc", 401), ("12", 401), ("", 401)],
)
def test_a_length_that_is_none_or_wrong_or_too_large_stores_nothing(
    street: Street, shop: PretendShopify, length: str, status: int
) -> None:
    posted = orders_of(street, shop, 1)[0]
    answer = post(create_app(street.runtime), posted, environ_overrides={"CONTENT_LENGTH": length})
    assert (answer.status_code, stored(street.world)) == (status, [])


def test_a_body_over_the_bound_is_refused_without_a_byte_being_read(street: Street, shop: PretendShopify) -> None:
    class Untouchable(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("the body was read")

    posted = orders_of(street, shop, 1)[0]
    builder = EnvironBuilder(address(posted), method="POST", headers=dict(posted.headers))
    environ = builder.get_environ()
    environ |= {"wsgi.input": Untouchable(), "CONTENT_LENGTH": "10000001"}
    assert run_wsgi_app(create_app(street.runtime), environ)[1].startswith("413")


def test_a_body_without_an_end_is_cut_off_at_the_bound(street: Street, shop: PretendShopify) -> None:
    posted = orders_of(street, shop, 1)[0]
    builder = EnvironBuilder(address(posted), method="POST", headers=dict(posted.headers))
    environ = builder.get_environ()
    environ |= {"wsgi.input": BytesIO(b"x" * 10_000_001), "wsgi.input_terminated": True}
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    status = run_wsgi_app(create_app(street.runtime), environ)[1]
    assert (status[:3], stored(street.world)) == ("413", [])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_a_post_delivers_and_the_answer_says_so(street: Street, shop: PretendShopify, method: str) -> None:
    posted = orders_of(street, shop, 1)[0]
    client = create_app(street.runtime).test_client()
    answer = client.open(address(posted), method=method, data=posted.body, headers=dict(posted.headers))
    assert (answer.status_code, stored(street.world)) == (405, [])
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/webhooks/", "/webhooks", "/webhooks//x", "/webhooks/shopify/a/b", "/webhooks/é"])
def test_an_address_that_is_none_is_a_404_and_stores_nothing(street: Street, shop: PretendShopify, path: str) -> None:
    posted = orders_of(street, shop, 1)[0]
    answer = post(create_app(street.runtime), posted, path=path)
    assert (answer.status_code, stored(street.world)) == (404, [])


# Over a real socket: what no client library would send.


def sent(where: str, posted: Posted, *, extra: str, first: bytes) -> socket.socket:
    """A connection on which the head of a delivery was sent, and the first bytes of its body."""
    host, port = where.removeprefix("http://").split(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in posted.headers.items() if name != "Content-Length")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(f"POST {address(posted)} HTTP/1.1\r\nHost: x\r\n{head}{extra}\r\n\r\n".encode() + first)
    return connection


def status_of(connection: socket.socket) -> int:
    answer = connection.makefile("rb").readline()
    connection.close()
    return int(answer.split()[1])


def test_a_body_that_comes_slowly_holds_up_nobody_else_and_is_stored_when_it_is_whole(
    street: Street, shop: PretendShopify
) -> None:
    slow, quick = orders_of(street, shop, 2)
    with serving(create_app(street.runtime)) as where:
        extra, half = f"Content-Length: {len(slow.body)}", len(slow.body) // 2
        connection = sent(where, slow, extra=extra, first=slow.body[:half])
        whole = sent(where, quick, extra=f"Content-Length: {len(quick.body)}", first=quick.body)
        assert status_of(whole) == 200
        assert len(stored(street.world)) == 1
        connection.sendall(slow.body[half:])
        assert status_of(connection) == 200
    assert len(stored(street.world)) == 2


def test_a_body_that_breaks_off_is_stored_nowhere_and_counted_as_nothing(street: Street, shop: PretendShopify) -> None:
    posted = orders_of(street, shop, 1)[0]
    with serving(create_app(street.runtime)) as where:
        extra = f"Content-Length: {len(posted.body)}"
        connection = sent(where, posted, extra=extra, first=posted.body[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection) == 400
    assert (stored(street.world), refusals(street.world)) == ([], {})


def test_a_body_in_chunks_without_a_length_is_stored_like_any_other(street: Street, shop: PretendShopify) -> None:
    posted = orders_of(street, shop, 1)[0]
    pieces = [posted.body[at : at + 1_000] for at in range(0, len(posted.body), 1_000)]
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in [*pieces, b""])
    with serving(create_app(street.runtime)) as where:
        assert status_of(sent(where, posted, extra="Transfer-Encoding: chunked", first=chunks)) == 200
    assert len(stored(street.world)) == 1
