"""An HTTP front for any pretend shop: its API on 127.0.0.1, its webhooks posted to whoever subscribed.

The shop itself stays a plain state machine. Everything that needs threads, sockets or waiting is here: one lock per
shop, latency, injected faults and the delivery pump. A fault never bends the shop's own book: a call that times out
before its effect never reaches the shop, one that times out after has been handled in full.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Protocol, Self, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlsplit

import requests

from sandbox.base import Delivery, Request, Response, Shop
from sandbox.faults import CallFault, call_fault

HOST = "127.0.0.1"
BODY_MAX = 25_000_000
PUMP_EVERY_S = 0.02
POSTERS = 8
IN_FLIGHT_MAX = 1_000  # deliveries handed to the posters; the pump waits above it
DELIVERY_TIMEOUT_S = 10.0
THROTTLED = Response(429, {"Content-Type": "text/plain", "Retry-After": "1"}, b"Too Many Requests")
UNAVAILABLE = Response(503, {"Content-Type": "text/html"}, b"<h1>Service Unavailable</h1>")
# A gateway that gives up has usually passed the call on: the effect is there, the answer is not.
BAD_GATEWAY = Response(502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>")


@runtime_checkable
class Throttling(Protocol):
    """A shop that says in its own words that it is throttled (a GraphQL shop answers 200 with an error in it)."""

    def throttled(self, request: Request) -> Response:
        """The answer to a throttled call; the shop's state does not change."""


def no_latency(request: Request) -> float:
    """Answer at once."""
    return 0.0


class Front:
    """Serves one shop. `latency_s(request)` is added around the effect, half before and half after.

    Use as a context manager, or `start()` and `stop()`. Hold `lock` while acting on the shop from outside
    (`with front.lock: shop.place_order(...)`). Faults are rolled from `shop.context.faults`, which may be replaced at
    any time. With `pump=False` no webhook is posted. With `tls` it serves https; `trusts` is the file of the
    authority whose certificates it accepts when it calls others.
    """

    def __init__(
        self,
        shop: Shop,
        *,
        port: int = 0,
        latency_s: Callable[[Request], float] = no_latency,
        pump: bool = True,
        tls: ssl.SSLContext | None = None,
        trusts: str | bool = True,
    ) -> None:
        self.shop = shop
        self.lock = threading.RLock()
        self.latency_s = latency_s
        self._stopping = threading.Event()
        self.trusts = trusts
        self.scheme = "http" if tls is None else "https"
        self._server = _Server(self, port)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server_thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._pump = _Pump(self) if pump else None

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:<port>`, without a trailing slash; with TLS `https://localhost:<port>`, as certificates are
        for names."""
        host = HOST if self.scheme == "http" else "localhost"
        return f"{self.scheme}://{host}:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Serve and deliver until `stop`."""
        self.shop.context.post = self._post_now
        self._server_thread.start()
        if self._pump is not None:
            self._pump.start()
        return self

    def stop(self) -> None:
        """Take no more calls, finish the deliveries under way, close the port."""
        self._stopping.set()
        if self._pump is not None:
            self._pump.stop()
        self._server.shutdown()
        self._server.server_close()
        self._server_thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _post_now(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """A call of the shop's own server, made while somebody waits for its answer."""
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    url, data=body, headers=dict(headers), timeout=DELIVERY_TIMEOUT_S, allow_redirects=False,
                    verify=self.trusts,
                )  # fmt: skip
            except requests.RequestException:
                return None
            return answer.status_code

    def answer(self, request: Request) -> Response | None:
        """One call with its latency and its fault; None means that the connection dies without an answer."""
        with self.lock:
            fault = call_fault(self.shop.context.faults, self.shop.context.rng)
            applied = self.shop.context.rng.random() < 0.5 if fault is CallFault.ERROR else True
        if fault is CallFault.TIMEOUT_BEFORE:
            return None
        if fault is CallFault.THROTTLE:
            return self._throttled(request)
        if not applied:
            return UNAVAILABLE
        response = self._handled(request)
        if fault is CallFault.TIMEOUT_AFTER:
            return None
        return BAD_GATEWAY if fault is CallFault.ERROR else response

    def _throttled(self, request: Request) -> Response:
        if isinstance(self.shop, Throttling):
            with self.lock:
                return self.shop.throttled(request)
        return THROTTLED

    def _handled(self, request: Request) -> Response:
        latency_s = self.latency_s(request)
        self.wait(latency_s / 2)
        with self.lock:
            response = self.shop.handle(request)
        self.wait(latency_s / 2)
        return response

    def wait(self, seconds: float) -> bool:
        """Wait, but not beyond `stop`; True when stopping."""
        return self._stopping.wait(seconds) if seconds > 0 else self._stopping.is_set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection open must not hold `stop`
    request_queue_size = 128

    def __init__(self, front: Front, port: int) -> None:
        self.front = front
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news; anything else is a bug of the sandbox and is printed."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The `Date` of every answer, by the shop's own clock."""
        del timestamp
        return format_datetime(self.server.front.shop.context.now(), usegmt=True)

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_MAX:
            self.close_connection = True
            return self._send(Response(413, {}, b""))
        body = self.rfile.read(size)
        if len(body) < size:  # the caller died while it was sending
            self.close_connection = True
            return None
        response = self.server.front.answer(self._request(body))
        if response is None:
            self.close_connection = True
        else:
            self._send(response)
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _serve

    def _request(self, body: bytes) -> Request:
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            path=unquote(parts.path),
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            url=f"{self.server.front.scheme}://{self.headers.get('Host', HOST)}{self.path}",
        )

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in response.headers}:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the front is asked thousands of times."""


class _Pump:
    """Posts what falls due. Redirects are not followed; the answer goes back to the shop's failure counter."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._posters = ThreadPoolExecutor(POSTERS)
        self._free = threading.BoundedSemaphore(IN_FLIGHT_MAX)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.join()
        self._posters.shutdown(cancel_futures=True)
        for session in self._sessions:
            session.close()

    def _run(self) -> None:
        while not self._front.wait(PUMP_EVERY_S):
            with self._front.lock:
                due = self._front.shop.due_deliveries()
            for delivery in due:
                self._free.acquire()
                self._posters.submit(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            status = self._post(delivery)
            with self._front.lock:
                self._front.shop.delivered(delivery.hook_key, status)
        finally:
            self._free.release()

    def _post(self, delivery: Delivery) -> int | None:
        try:
            answer = self._session().post(
                delivery.url, data=delivery.body, headers=dict(delivery.headers),
                timeout=DELIVERY_TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException:
            return None
        return answer.status_code

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
            self._local.session.verify = self._front.trusts
            self._sessions.append(self._local.session)
        session: requests.Session = self._local.session
        return session
