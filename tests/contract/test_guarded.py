"""The session that all calls to shops and other people's addresses go through, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from connectors.errors import ChannelError, OutcomeUnknown, Refused, Transient
from connectors.guarded import guarded_session
from connectors.http import Http
from sandbox.base import Context, Request, Response
from sandbox.certificates import Tls, server_context, write_authority
from sandbox.front import Front
from sandbox.woocommerce import WooShop
from tests.contract.rig import Clock

NAME = "shop.example.com"


class Plain:
    """A shop that answers with the Host it was asked for, or as told."""

    def __init__(self) -> None:
        self.context = Context(now=Clock(), rng=Random(7))
        self.asked: list[str] = []
        self.answer: Response | None = None

    def handle(self, request: Request) -> Response:
        self.asked.append(request.headers["host"])
        return self.answer or Response(200, {"Content-Type": "application/json"}, b"{}")

    def due_deliveries(self) -> list[Any]:
        return []

    def delivered(self, hook_key: str, status: int | None) -> None: ...

    def shown(self) -> dict[str, int]:
        return {}


@pytest.fixture
def shop() -> Iterator[tuple[Plain, Front]]:
    plain = Plain()
    with Front(plain, pump=False) as front:
        yield plain, front


@contextmanager
def opened(*, allow_loopback: bool = True, trusted: Path | None = None) -> Iterator[Http]:
    session = guarded_session(allow_loopback=allow_loopback)
    if trusted is not None:
        session.verify = str(trusted)
    with session:
        yield Http(session=session, sleep=lambda seconds: None)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A name server whose next answers for NAME are in the list; the last one stays."""
    answers: list[str] = []
    real: Callable[..., Any] = socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **more: Any) -> Any:
        if host != NAME:
            return real(host, *arguments, **more)
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, arguments[0] if arguments else 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


def test_this_machine_is_not_called_unless_the_switch_allows_it(shop: tuple[Plain, Front]) -> None:
    plain, front = shop
    with opened(allow_loopback=False) as http, pytest.raises(Refused) as caught:
        http.read("GET", front.base_url)
    assert caught.value.reason == "address_not_allowed"
    assert plain.asked == []
    with opened() as http:
        assert http.read("GET", front.base_url).status == 200


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"])
@pytest.mark.parametrize("allowed", [False, True])
def test_an_inner_address_is_never_connected_to_29(host: str, allowed: bool) -> None:
    with opened(allow_loopback=allowed) as http, pytest.raises(Refused) as caught:
        http.write("POST", f"http://{host}:8080/")
    assert caught.value.reason == "address_not_allowed"


def test_a_name_that_changes_to_an_inner_address_is_refused_when_it_is_connected_to_31(names: list[str]) -> None:
    names += ["10.0.0.1"]  # it was public when it was checked
    with opened() as http, pytest.raises(Refused) as caught:
        http.read("GET", f"http://{NAME}/")
    assert caught.value.reason == "address_not_allowed"


def test_the_address_that_was_judged_is_the_one_that_is_connected_to_31(
    shop: tuple[Plain, Front], names: list[str]
) -> None:
    plain, front = shop
    port = front.base_url.rpartition(":")[2]
    names += ["127.0.0.1", "10.0.0.1"]
    with opened() as http:
        assert http.read("GET", f"http://{NAME}:{port}/").status == 200
    assert plain.asked == [f"{NAME}:{port}"]
    assert names == ["10.0.0.1"]  # one look-up


def test_a_port_that_is_no_web_servers_is_refused_30(names: list[str]) -> None:
    names += ["93.184.215.14"]
    with opened() as http, pytest.raises(Refused) as caught:
        http.read("GET", f"http://{NAME}:22/")
    assert caught.value.reason == "address_not_allowed"


def test_a_redirect_is_told_and_not_followed_32(shop: tuple[Plain, Front]) -> None:
    plain, front = shop
    plain.answer = Response(302, {"Location": "http://169.254.169.254/latest/meta-data"}, b"")
    with opened() as http, pytest.raises(Refused) as caught:
        http.read("GET", front.base_url)
    assert caught.value.reason == "redirected"
    assert len(plain.asked) == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Tls.SELF_SIGNED, "certificate_self_signed"),
        (Tls.EXPIRED, "certificate_expired"),
        (Tls.OTHER_NAME, "certificate_of_another"),
    ],
)
def test_each_fault_of_a_certificate_has_its_own_name_33(kind: Tls, reason: str, tmp_path: Path) -> None:
    with (
        Front(Plain(), pump=False, tls=server_context(kind, tmp_path)) as front,
        opened(trusted=write_authority(tmp_path)) as http,
        pytest.raises(Transient) as caught,
    ):
        http.read("GET", front.base_url)
    assert caught.value.reason == reason


def test_a_certificate_that_is_in_order_is_accepted_by_its_name(tmp_path: Path) -> None:
    with (
        Front(Plain(), pump=False, tls=server_context(Tls.GOOD, tmp_path)) as front,
        opened(trusted=write_authority(tmp_path)) as http,
    ):
        assert http.read("GET", front.base_url).status == 200


def test_a_shop_that_speaks_no_https_says_so_33(shop: tuple[Plain, Front]) -> None:
    with opened() as http, pytest.raises(Transient) as caught:
        http.read("GET", shop[1].base_url.replace("http://127.0.0.1", "https://localhost"))
    assert caught.value.reason == "no_encryption"


@contextmanager
def dripping(head: bytes, drops: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """A server that sends a head and then what `drops` gives, one call after another."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    try:
                        connection.sendall(head)
                        for drop in drops():
                            connection.sendall(drop)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65_536):
                            pass
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)


def endless(drop: bytes) -> Iterator[bytes]:
    while True:
        yield drop


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"


def failed(head: bytes, drops: Callable[[], Iterator[bytes]], *, method: str = "GET", slow: bool = False) -> str:
    ticks = iter(range(10**9))
    with dripping(head, drops) as url, opened() as http:
        if slow:  # each look at the clock is a minute later
            http.monotonic = lambda: 61.0 * next(ticks)
        with pytest.raises(ChannelError) as caught:
            (http.read if method == "GET" else http.write)(method, url)
    assert isinstance(caught.value, OutcomeUnknown) is (method == "POST" and caught.value.reason != "answer_too_large")
    return caught.value.reason


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_way_an_answer_can_be_broken_has_its_own_name_33(method: str) -> None:
    big = HEAD + b"Content-Length: 53687091200\r\n\r\n"
    assert failed(big, lambda: endless(b" " * 65_536), method=method) == "answer_too_large"
    assert failed(big, lambda: endless(b" "), method=method, slow=True) == "read_timeout"
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert failed(chunked, lambda: endless(b"1\r\n \r\n"), method=method, slow=True) == "read_timeout"
    assert failed(HEAD + b"Content-Length: 10\r\n\r\n", lambda: iter([b"{"]), method=method) == "answer_cut_short"
    assert failed(chunked, lambda: iter([b"5\r\n{}"]), method=method) == "answer_cut_short"
    packed = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\n"
    assert failed(packed, lambda: iter([b"not gzip at "]), method=method) == "bad_compression"


def test_what_the_environment_says_of_proxies_is_not_believed(
    shop: tuple[Plain, Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with opened() as http:
        assert http.read("GET", shop[1].base_url).status == 200


def test_a_pretend_shop_is_served_over_https_too(tmp_path: Path) -> None:
    pretend = WooShop(Context(now=Clock(), rng=Random(7)))
    with (
        Front(pretend, pump=False, tls=server_context(Tls.GOOD, tmp_path)) as front,
        opened(trusted=write_authority(tmp_path)) as http,
    ):
        assert http.read("GET", f"{front.base_url}/wp-json/").json()["name"]
