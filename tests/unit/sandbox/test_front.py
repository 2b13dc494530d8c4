"""The HTTP front of a pretend shop: faults, the lock and the delivery pump."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random

import pytest
import requests

from sandbox.base import Context, Delivery, Request, Response
from sandbox.faults import Faults
from sandbox.front import Front


class Counter:
    """A shop that counts what reached it and has one delivery to make."""

    def __init__(self, faults: Faults = Faults()) -> None:  # noqa: B008
        self.context = Context(now=lambda: datetime(2026, 11, 23, tzinfo=UTC), rng=Random(1), faults=faults)
        self.seen: list[Request] = []
        self.due: list[Delivery] = []
        self.answers: list[tuple[str, int | None]] = []
        self.answered = threading.Event()

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(200, {"Content-Type": "application/json"}, b"{}")

    def due_deliveries(self) -> list[Delivery]:
        taken, self.due = self.due, []
        return taken

    def delivered(self, hook_key: str, status: int | None) -> None:
        self.answers.append((hook_key, status))
        self.answered.set()

    def shown(self) -> dict[str, int]:
        return {}


class GraphQlCounter(Counter):
    def throttled(self, request: Request) -> Response:
        return Response(200, {}, b'{"errors":[{"extensions":{"code":"THROTTLED"}}]}')


def test_a_request_reaches_the_shop_with_its_path_query_headers_and_body() -> None:
    shop = Counter()
    with Front(shop) as front:
        requests.post(f"{front.base_url}/a%20b?x=1&y=&x=2", data=b"\xffbody", headers={"X-Own": "v"}, timeout=5)
    (seen,) = shop.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/a b", (("x", "1"), ("y", ""), ("x", "2")))
    assert seen.headers["x-own"] == "v"
    assert seen.body == b"\xffbody"
    assert seen.url == f"{front.base_url}/a%20b?x=1&y=&x=2"


@pytest.mark.parametrize(("faults", "reached"), [(Faults(timeout_before=1.0), 0), (Faults(timeout_after=1.0), 1)])
def test_a_timeout_gives_no_answer_and_says_truly_whether_the_shop_acted(faults: Faults, reached: int) -> None:
    shop = Counter(faults)
    with Front(shop) as front, pytest.raises(requests.ConnectionError):
        requests.post(front.base_url, timeout=5)
    assert len(shop.seen) == reached


def test_a_throttled_call_never_reaches_the_shop_and_says_how_long_to_wait() -> None:
    shop = Counter(Faults(throttle=1.0))
    with Front(shop) as front:
        answer = requests.get(front.base_url, timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"], shop.seen) == (429, "1", [])


def test_a_shop_may_say_in_its_own_words_that_it_is_throttled() -> None:
    with Front(GraphQlCounter(Faults(throttle=1.0))) as front:
        answer = requests.post(front.base_url, timeout=5)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "THROTTLED"


def test_a_503_was_not_applied_and_a_502_was() -> None:
    shop = Counter(Faults(error=1.0))
    with Front(shop) as front:
        statuses = [requests.post(front.base_url, timeout=5).status_code for _ in range(12)]
    assert set(statuses) == {502, 503}
    assert len(shop.seen) == statuses.count(502)


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(410)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_pump_posts_what_is_due_and_reports_the_answer_or_its_absence() -> None:
    receiver = HTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True).start()
    shop = Counter()
    now = shop.context.now()
    shop.due = [Delivery(now, f"http://127.0.0.1:{receiver.server_port}/", {}, b"{}", "hook")]
    with Front(shop) as front:
        assert shop.answered.wait(5)
        receiver.shutdown()
        receiver.server_close()
        shop.answered.clear()
        with front.lock:
            shop.due = [Delivery(now, f"http://127.0.0.1:{receiver.server_port}/", {}, b"{}", "hook")]
        assert shop.answered.wait(5)
    assert shop.answers == [("hook", 410), ("hook", None)]


def test_latency_is_asked_for_each_call_that_reaches_the_shop() -> None:
    asked: list[str] = []

    def latency_s(request: Request) -> float:
        asked.append(request.method)
        return 0.0

    with Front(Counter(), latency_s=latency_s) as front:
        requests.get(front.base_url, timeout=5)
        requests.put(front.base_url, timeout=5)
    assert asked == ["GET", "PUT"]


def test_a_stopped_front_can_not_be_reached() -> None:
    with Front(Counter()) as front:
        pass
    with pytest.raises(requests.ConnectionError):
        requests.get(front.base_url, timeout=5)


def test_a_call_whose_sender_died_half_way_never_reaches_the_shop() -> None:
    shop = Counter()
    with (
        Front(shop) as front,
        socket.create_connection(("127.0.0.1", int(front.base_url.rpartition(":")[2]))) as caller,
    ):
        caller.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(1) == b""
    assert shop.seen == []
