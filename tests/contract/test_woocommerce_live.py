"""Webhooks that are really posted, and many callers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.base import NoticeKind, StockWrite
from connectors.http import Http
from connectors.woocommerce import TOPICS
from tests.contract.rig import Clock
from tests.contract.woo_rig import SECRET, WooRig


class Receiver:
    """Keeps what is posted to it; `wait` until the n-th has come."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self._came = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/key"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._came:
                    receiver.heard.append((dict(self.headers), body))
                    receiver._came.notify_all()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def wait(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.heard) >= count, timeout=10)
            return list(self.heard)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *told: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def live() -> Iterator[tuple[WooRig, Receiver]]:
    """A shop whose front posts its webhooks."""
    made = WooRig(Clock(), pump=True)
    with Receiver() as receiver, made.front:
        yield made, receiver
    made.http.session.close()


def test_an_order_reaches_the_receiver_signed_and_says_what_a_read_says(live: tuple[WooRig, Receiver]) -> None:
    rig, receiver = live
    rig.connector.write_webhooks(rig.http, rig.shop, url=receiver.url, secret=SECRET)
    pings = receiver.wait(len(TOPICS))
    assert all(rig.connector.is_ping(headers, body) for headers, body in pings)
    with rig.front.lock:
        rig.add("A", 10)
        order = rig.order("A", 3)
    # product.created, order.created, order.updated, product.updated and the stock action
    heard = receiver.wait(len(TOPICS) + 5)[len(TOPICS) :]
    found = []
    for headers, body in heard:
        rig.connector.verify([SECRET], headers, body)
        found.append(rig.connector.notice(rig.shop, headers, body))
    (read,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [order])
    assert {notice.body for notice in found if notice.kind is NoticeKind.DOCUMENT} == {read.body}
    assert {notice.resource for notice in found if notice.kind is NoticeKind.DOORBELL} == {"stock"}


def test_writers_and_buyers_at_once_lose_nothing_in_the_pretend_shop(live: tuple[WooRig, Receiver]) -> None:
    rig, _ = live
    key = rig.add("A", 1_000)
    start = threading.Barrier(3)

    def write() -> None:
        http = Http()
        start.wait()
        for _ in range(20):
            rig.connector.write_stock(http, rig.shop, [StockWrite(key, 0, 1, relative=True)], "k")
        http.session.close()

    def sell() -> None:
        start.wait()
        for _ in range(20):
            with rig.front.lock:
                rig.order("A", 2)

    threads = [threading.Thread(target=act) for act in (write, write, sell)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rig.pretend.shown()["A"] == 1_000 + 40 - 40
    assert sum(sale.units for sale in rig.pretend.context.sales) == 40
