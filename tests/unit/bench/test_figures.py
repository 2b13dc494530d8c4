"""The benchmarks' arithmetic: by hand, since a figure that nobody can check says nothing."""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

import bench
from app.core.percentile import percentile
from bench import ingest, load, orders, process, sync
from bench.load import Load, read_requests, write_requests
from connectors.base import NoticeKind, Shop
from connectors.shopify import Shopify
from sandbox.base import Request, Shown

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SHOP = Shop("https://bench.myshopify.com", "bench.myshopify.com", {}, (), {})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 51.0), (0.95, 96.0), (0.99, 100.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_occurred_at_its_rank(share: float, expected: float) -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, share) == expected
    assert percentile([7.0], share) == 7.0
    assert percentile([], share) == 0.0


def test_the_figures_of_rounds_are_their_medians_each_with_its_own_digits() -> None:
    names = ("end_to_end_orders_per_s", "accepted_per_s", "accept_p50_ms", "accept_p99_ms", "drain_s")
    told = ((100.6, 1.4, 1.26, 9.96, 0), (900.0, 1.4, 9.0, 9.96, 0), (50.0, 1.4, 1.0, 9.96, 0))
    rounds = [dict(zip(names, one, strict=True)) for one in told]
    assert ingest._medians(rounds) == {
        "end_to_end_orders_per_s": 101, "accepted_per_s": 1, "accept_p50_ms": 1.3, "accept_p99_ms": 10.0, "drain_s": 0,
    }  # fmt: skip


def shown(
    sold: list[tuple[float, float]], own: list[float], writes: list[tuple[float, int]]
) -> list[tuple[float, ...]]:
    units = [(at(sale), at(known)) for sale, known in sold]
    told = [Shown(at(when), "mug", sync.STOCK - less) for when, less in writes]
    return [tuple(round(s, 6) for s in pair) for pair in sync._shown(units, [at(o) for o in own], told)]


def test_a_write_shows_as_many_units_as_its_number_can_only_mean() -> None:
    assert shown([(1, 2), (3, 4)], [], [(5, 1), (9, 2)]) == [(4, 3), (6, 5)]
    assert shown([(1, 2), (3, 4)], [], [(5, 2)]) == [(4, 3), (2, 1)]


def test_units_that_the_shop_sold_itself_are_not_taken_for_the_others() -> None:
    assert shown([(1, 2)], [3], [(5, 1)]) == []
    assert shown([(1, 2)], [3], [(5, 2)]) == [(4, 3)]
    assert shown([(1, 2)], [6], [(5, 1)]) == [(4, 3)]  # sold there only later


def test_units_are_shown_in_the_order_in_which_they_were_known_and_each_once() -> None:
    assert shown([(1, 9), (2, 3)], [], [(10, 1), (11, 1), (12, 2)]) == [(8, 7), (11, 3)]
    assert shown([(1, 2)], [], [(5, 7)]) == [(4, 3)]  # never more than were sold


def test_calls_are_counted_by_what_they_do_and_take_what_they_took_on_real_shops() -> None:
    shops = sync.Shops({})

    def call(method: str, body: bytes = b"") -> Request:
        return Request(method, "/", (), {}, body, "")

    assert shops.shopify_s(call("POST", b'{"query": "mutation x"}')) == 0.3
    assert shops.shopify_s(call("POST", b'{"query": "query x"}')) == 0.1
    assert shops.woo_s(call("POST", b'{"id":1},' * 50)) == pytest.approx(1.3)
    assert (shops.woo_s(call("POST", b'{"id":1}')), shops.woo_s(call("GET"))) == (0.1, 0.2)
    assert dict(shops.calls) == {"shopify_write": 1, "shopify_read": 1, "woo_write": 2, "woo_read": 1}


def test_the_meter_counts_points_that_were_taken_less_those_given_back() -> None:
    meter = sync.Meter()
    assert meter.take(100, START)
    meter.give_back(40)
    assert not meter.take(1_000_000, START)
    assert meter.used == 60


def test_figures_are_told_one_a_line_with_groups_indented() -> None:
    text = bench.as_text({"a": 1, "by": {"32": {"p50": 2.5}}, "memory_mb": {"web": 90, "worker 1": 80}})
    assert text.splitlines() == ["a: 1", "by:", "  32: p50 2.5", "memory_mb: web 90, worker 1 80"]


def made(number: int, first: int = 7) -> list[bytes]:
    return list(orders.requests(first, number, items=5, domain=SHOP.domain, secret="s", at=START))


def test_the_orders_that_are_posted_are_such_as_the_connector_takes_whole() -> None:
    for request in made(3):
        head, _, body = request.partition(b"\r\n\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head.decode().split("\r\n")[1:])}
        assert int(headers["content-length"]) == len(body)
        Shopify().verify(["s"], headers, body)
        notice = Shopify().notice(SHOP, headers, body)
        assert notice.kind in (NoticeKind.DOCUMENT, NoticeKind.DOORBELL)
        assert 3_000 < len(body) < 5_500
        assert [line["quantity"] for line in orjson.loads(body)["line_items"]] == [1, 1]


def test_every_order_is_another_and_the_same_numbers_are_the_same_orders() -> None:
    keys = [orjson.loads(request.partition(b"\r\n\r\n")[2])["id"] for request in made(5) + made(5, first=12)]
    assert len(set(keys)) == 10
    assert made(5) == made(5)


def test_requests_come_out_of_their_file_as_they_went_in(tmp_path: Path) -> None:
    given = [b"", b"x", b"\x00" * 70_000, b"POST / HTTP/1.1\r\n\r\n"]
    write_requests(tmp_path / "requests", given)
    assert read_requests(tmp_path / "requests") == given


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_an_answer_counts_when_it_is_there_to_its_last_byte(answer: bytes, whole: bool) -> None:
    assert load.is_whole(answer) is whole


@contextmanager
def answering(answer: bytes, connections: int) -> Iterator[int]:
    """A server that answers each request of one letter; the port."""

    def talk(one: socket.socket) -> None:
        with one:
            while one.recv(1):
                for piece in (answer[:20], answer[20:]):
                    one.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as server:
        talks = []

        def accept() -> None:
            for _ in range(connections):
                talks.append(threading.Thread(target=talk, args=(server.accept()[0],), daemon=True))
                talks[-1].start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for one in talks:
            one.join(10)


def test_the_load_sends_each_request_once_and_counts_what_was_answered() -> None:
    sent = Load(deque([b"x"] * 50))
    with answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 4) as port:
        started, ended = sent.run(port, 4)
    assert (len(sent.latencies), dict(sent.statuses), len(sent.waiting)) == (50, {"503": 50}, 0)
    assert 0 < max(sent.latencies) <= ended - started


def test_a_server_that_hangs_up_is_an_error_and_no_figure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hanging_up = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
        hanging_up.start()
        with pytest.raises(ConnectionError):
            Load(deque([b"x"])).run(server.getsockname()[1], 1)
        hanging_up.join(10)


def test_a_process_that_is_gone_costs_nothing_and_one_that_runs_costs_something() -> None:
    gone = 4_194_305  # beyond the kernel's largest number
    assert (process.memory_mb(gone), process.cpu_s(gone), process.command(gone)) == (0.0, 0.0, [])
    here = os.getpid()
    assert process.tree(here)[0] == here
    assert process.memory_mb(here) > 1
    assert process.cpu_s(here) > 0
    assert any("python" in word for word in process.command(here))
