"""A load generator that leaves the processor to what it measures: one thread, raw sockets, prepared bytes.

`python -m bench.load FILE PORT CONNECTIONS` sends every request of the file, as many at a time as there are
connections, each connection waiting for its answer, and prints one JSON object.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from app.core.percentile import percentile

HOST = "127.0.0.1"
SILENCE_S = 30.0
_LENGTH = struct.Struct("<I")


def write_requests(path: Path, requests: Iterable[bytes]) -> None:
    """Whole requests, one after the other, each behind its length."""
    with path.open("wb") as file:
        for request in requests:
            file.write(_LENGTH.pack(len(request)) + request)


def read_requests(path: Path) -> list[bytes]:
    """What `write_requests` wrote."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


@dataclass
class Load:
    """Requests on their way."""

    waiting: deque[bytes]
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    sent_at: dict[int, float] = field(default_factory=dict)
    heard: dict[int, bytes] = field(default_factory=dict)

    def run(self, port: int, connections: int) -> tuple[float, float]:
        """When it began and when the last answer came, by the machine's monotonic clock."""
        sockets: dict[int, socket.socket] = {}
        with ExitStack() as open_ones:
            poll = open_ones.enter_context(select.epoll())
            for _ in range(connections):
                one = open_ones.enter_context(socket.create_connection((HOST, port)))
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets[one.fileno()] = one
                poll.register(one.fileno(), select.EPOLLIN)
            started = perf_counter()
            for one in sockets.values():
                self._send(one)
            while self.sent_at:
                events = poll.poll(SILENCE_S)
                if not events:
                    raise TimeoutError(f"{len(self.sent_at)} requests without an answer")
                for number, _ in events:
                    self._hear(sockets[number])
            return started, perf_counter()

    def _send(self, one: socket.socket) -> None:
        if self.waiting:
            self.sent_at[one.fileno()] = perf_counter()
            one.sendall(self.waiting.popleft())

    def _hear(self, one: socket.socket) -> None:
        number = one.fileno()
        more = one.recv(65_536)
        if not more:
            raise ConnectionError("the server closed a connection")
        told = self.heard.pop(number, b"") + more
        if not is_whole(told):
            self.heard[number] = told
            return
        self.latencies.append(perf_counter() - self.sent_at.pop(number))
        self.statuses[told[9:12].decode()] += 1
        self._send(one)


def is_whole(answer: bytes) -> bool:
    """Whether an HTTP answer is there to its last byte."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    at = head.lower().find(b"content-length:")
    return at < 0 or len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


def main(arguments: Sequence[str]) -> None:
    """Send and report."""
    requests = read_requests(Path(arguments[0]))
    load = Load(deque(requests))
    started, ended = load.run(int(arguments[1]), int(arguments[2]))
    print(json.dumps({
        "requests": len(requests), "started": started, "ended": ended, "statuses": load.statuses,
        "per_s": len(requests) / (ended - started),
        **{f"p{n}_ms": 1_000 * percentile(load.latencies, n / 100) for n in (50, 99)},
        "max_ms": 1_000 * max(load.latencies),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
