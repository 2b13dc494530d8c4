"""HTTP to a channel: one session, bounded bodies, bounded time, every failure named.

Reads are tried up to three times within ten seconds (tenacity), waiting as long as the channel asks if that fits;
writes are sent once, because whether to repeat them is the sync protocol's decision. Sleeping happens here and nowhere
else.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf, isfinite
from typing import Any

import orjson
import requests
import tenacity
import urllib3
from requests_hardened.ip_filter import InvalidIPAddress

from connectors.errors import (
    AccessDenied,
    ChannelError,
    Malformed,
    NotFound,
    OutcomeUnknown,
    Refused,
    Throttled,
    Transient,
)

CONNECT_S = 5.0
READ_S = 30.0  # between two bytes
TOTAL_S = 60.0  # whole answer; a push attempt's deadline lies beyond it
BODY_MAX = 20_000_000
PROMPT = timedelta(seconds=2)
TRIES_MAX = 3
RETRY_TOTAL_S = 10.0
RETRY_AFTER_MAX_S = 3_600.0
USER_AGENT = "Perpetual/1 (inventory sync)"
LINE_MAX = 1_000_000  # of a file that is read line by line
FILE_MAX = 50_000_000_000
_CHUNK = 65_536
_CUT_OFF = timedelta(seconds=0.5)  # a stamp has whole seconds, which lose that on average


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: status, lower-case headers, body bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, tolerating a byte-order mark; `Malformed` names what came instead."""
        kind = self.headers.get("content-type", "")
        text = self.body.removeprefix(b"\xef\xbb\xbf").strip()
        if "html" in kind or text[:1] == b"<":
            raise Malformed(
                "html_answer", "the shop answered with a web page instead of data (a firewall or a login page)"
            )
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Malformed("not_json", f"the shop's answer is not JSON at byte {error.pos}") from error


# The error that a complete 2xx answer stands for, None when it is good.
Judge = Callable[[Answer], ChannelError | None]
_BACKOFF = tenacity.wait_random_exponential(multiplier=0.2, max=2.0)

# What a status means for a request. Whether a 5xx to a write was applied can't be known: see `failure`. A host says 503
# too whose process died in the middle of it; only one that says when to come back has surely not begun.
BUSY = 503
STATUS_ERRORS: Mapping[int, tuple[type[ChannelError], str]] = {
    400: (Refused, "bad_request"),
    401: (AccessDenied, "unauthorized"),
    402: (AccessDenied, "shop_frozen"),
    403: (AccessDenied, "forbidden"),
    404: (NotFound, "not_found"),
    405: (Refused, "method_not_allowed"),
    406: (Refused, "not_acceptable"),
    409: (Transient, "busy"),
    410: (NotFound, "gone"),
    413: (Refused, "too_large"),
    415: (Refused, "wrong_content_type"),
    422: (Refused, "unprocessable"),
    423: (AccessDenied, "shop_locked"),
    429: (Throttled, "throttled"),
    430: (Throttled, "security_rejection"),
    501: (Refused, "method_blocked"),
    BUSY: (Transient, "unavailable"),
}


def failure(answer: Answer, *, write: bool) -> ChannelError | None:
    """The error an answer stands for, None for 2xx."""
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return Refused("redirected", "the shop redirects; store its final address")
    kind, reason = STATUS_ERRORS.get(answer.status, (Refused, f"http_{answer.status}"))
    if answer.status >= 500 and answer.status not in STATUS_ERRORS:
        kind, reason = Transient, f"http_{answer.status}"
    again_s = retry_after_s(answer.headers)
    if write and kind is Transient and answer.status >= 500 and (answer.status != BUSY or again_s is None):
        kind = OutcomeUnknown
    return kind(reason, f"HTTP {answer.status}", retry_after_s=again_s, answer=answer.body)


def retry_after_s(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds from a Retry-After header (a number or a date), capped; None when absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now()
        except ValueError:
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if isfinite(seconds) else None


@dataclass
class Http:
    """A session to one shop. Not shared between threads. `until`: from then on, by `monotonic`, nothing is asked or
    waited for. `clock`: our time, by which the shop's own is measured (None: it is not); `ahead`: how far the shop's is
    ahead, by the last answer alone, None unless that came promptly and says the time."""

    session: requests.Session = field(default_factory=requests.Session)
    total_s: float = TOTAL_S
    read_s: float = READ_S
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    until: float = inf
    clock: Callable[[], datetime] | None = None
    ahead: timedelta | None = None

    def read(self, method: str, url: str, *, judge: Judge | None = None, **kwargs: Any) -> Answer:
        """A request without effect: transient failures are tried again a little. Raises on any non-2xx, and what
        `judge` finds in a 2xx (a GraphQL vendor says "throttled" with status 200)."""
        return self._retrying()(self._judged, judge, method, url, **kwargs)

    def write(self, method: str, url: str, **kwargs: Any) -> Answer:
        """A request with effect, sent once. `within_s`: how long its answer is waited for, if that is not the usual
        time. Raises `OutcomeUnknown` where it may have been applied."""
        return self._once(method, url, write=True, **kwargs)

    def lines(self, url: str, *, offset: int = 0) -> Iterator[tuple[int, int, bytes]]:
        """A file from byte `offset` on, line by line: (first byte, byte behind it, the line). It is fetched as it is
        asked for, without credentials, whatever its size. Raises `Malformed` for a line over `LINE_MAX` and for a
        compressed file, `Transient` when it breaks off."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Range": f"bytes={offset}-"}
        with (
            _named(write=False),
            self.session.get(
                url, headers=headers, timeout=(CONNECT_S, READ_S), allow_redirects=False, stream=True
            ) as response,
        ):
            if response.status_code == 416:  # nothing is left behind `offset`
                return
            error = failure(Answer(response.status_code, {}, b""), write=False)
            if error is not None:
                raise error
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise Malformed("compressed_file", "the file is compressed, which was not asked for")
            if response.status_code != 206:
                yield from self._lines(response, 0, skip=offset)
            elif response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                yield from self._lines(response, offset, skip=0)
            else:
                raise Malformed("wrong_range", "the file was answered from another byte on")

    def _lines(self, response: requests.Response, at: int, *, skip: int) -> Iterator[tuple[int, int, bytes]]:
        rest, since = b"", self.monotonic()
        for chunk in response.iter_content(_CHUNK):
            dropped = min(skip, len(chunk))
            skip, at = skip - dropped, at + dropped
            *lines, rest = (rest + chunk[dropped:]).split(b"\n")
            for line in lines:
                end = at + len(line) + 1
                if line.strip():
                    yield at, end, line
                at, since = end, self.monotonic()
            if len(rest) > LINE_MAX or at > FILE_MAX:
                raise Malformed("line_too_long", f"a line of over {LINE_MAX} bytes")
            if self.monotonic() - since > self.total_s:
                raise requests.ReadTimeout("the file came too slowly")
        if rest.strip():
            yield at, at + len(rest), rest

    def _retrying(self) -> tenacity.Retrying:
        """By our own clock, where tenacity's would be the machine's."""
        began = self.monotonic()

        def too_late(state: tenacity.RetryCallState) -> bool:
            again_at = self.monotonic() + state.upcoming_sleep
            return again_at >= min(began + RETRY_TOTAL_S, self.until)

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=lambda state: state.attempt_number >= TRIES_MAX or too_late(state),
            wait=_wait_s,
            sleep=self.sleep,
            reraise=True,
        )

    def _judged(self, judge: Judge | None, method: str, url: str, **kwargs: Any) -> Answer:
        answer = self._once(method, url, write=False, **kwargs)
        error = judge(answer) if judge is not None else None
        if error is not None:
            raise error
        return answer

    def _once(self, method: str, url: str, *, write: bool, **kwargs: Any) -> Answer:
        answer = self._send(method, url, write=write, **kwargs)
        error = failure(answer, write=write)
        if error is not None:
            raise error
        return answer

    def _send(self, method: str, url: str, *, write: bool, **kwargs: Any) -> Answer:
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **kwargs.pop("headers", {})}
        left_s = self.until - self.monotonic()
        if left_s <= 0:
            raise Transient("read_timeout", "there is no time left to ask")
        within_s = min(kwargs.pop("within_s", self.read_s), self.read_s, left_s)
        self.ahead, asked_at = None, self.clock and self.clock()
        with (
            _named(write=write),
            self.session.request(
                method,
                url,
                headers=headers,
                timeout=(min(CONNECT_S, left_s), within_s),
                allow_redirects=False,
                stream=True,
                **kwargs,
            ) as response,
        ):
            self._measure(response.headers.get("Date", ""), asked_at)
            body = self._body(response)
            return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)

    def _measure(self, stamp: str, asked_at: datetime | None) -> None:
        """An answer that took long says too little about the time. Both times are read here, at once: whoever did it
        later would take a pause in between for a clock that is wrong."""
        if self.clock is not None and asked_at is not None:
            took, stamped = self.clock() - asked_at, _date_of(stamp)
            if stamped is not None and took <= PROMPT:
                self.ahead = stamped + _CUT_OFF - (asked_at + took / 2)

    def _body(self, response: requests.Response) -> bytes:
        started, parts, size = self.monotonic(), [], 0
        # `iter_content` waits until a whole chunk is there: a byte now and then would never reach the clock below.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > BODY_MAX:
                raise Malformed("answer_too_large", f"the shop's answer is over {BODY_MAX} bytes")
            if self.monotonic() > min(started + self.total_s, self.until):
                raise requests.ReadTimeout("the shop's answer took too long")
            parts.append(chunk)
        return b"".join(parts)


@contextmanager
def _named(*, write: bool) -> Iterator[None]:
    """What `requests` and urllib3 raise, as ours."""
    try:
        yield
    except InvalidIPAddress as error:
        raise Refused("address_not_allowed", "it leads into a private network or to this machine") from error
    except requests.exceptions.SSLError as error:
        raise Transient(_certificate(error), type(error).__name__) from error
    except (requests.ConnectTimeout, requests.exceptions.InvalidURL) as error:
        raise Transient(_reason(error), type(error).__name__) from error
    except requests.ConnectionError as error:
        raise _unconnected(error, write=write) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise (OutcomeUnknown if write else Transient)(_reason(error), type(error).__name__) from error


def _unconnected(error: requests.ConnectionError, *, write: bool) -> ChannelError:
    said = repr(error)
    if "NameResolutionError" in said or "Failed to resolve" in said:
        return Transient("unknown_host", type(error).__name__)
    if "NewConnectionError" in said:
        return Transient("connection_failed", type(error).__name__)
    return (OutcomeUnknown if write else Transient)("connection_lost", type(error).__name__)


def _certificate(error: requests.exceptions.SSLError) -> str:
    """What is wrong with the encryption, since each has another cure."""
    cause: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CERTIFICATE_ERRORS.get(cause.verify_code, "bad_certificate")
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "no_encryption"
        if cause is None:
            break
        inner = [one for one in (*cause.args, getattr(cause, "reason", None)) if isinstance(one, BaseException)]
        cause = cause.__cause__ or cause.__context__ or (inner[0] if inner else None)
    return "certificate_of_another" if "doesn't match" in str(error) else "bad_certificate"


def _date_of(stamp: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(stamp)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked_s = error.retry_after_s if isinstance(error, Transient) else None
    return max(_BACKOFF(state), asked_s or 0.0)


def _reason(error: Exception) -> str:
    return REQUEST_ERRORS.get(type(error).__name__, "request_failed")


REQUEST_ERRORS: Mapping[str, str] = {
    "ConnectTimeout": "connect_timeout",
    "ReadTimeout": "read_timeout",
    "Timeout": "read_timeout",
    "SSLError": "bad_certificate",
    "InvalidURL": "bad_address",
    "ChunkedEncodingError": "answer_cut_short",
    "ContentDecodingError": "bad_compression",
    "ConnectionError": "connection_lost",
    # urllib3's own, while a body is read
    "ReadTimeoutError": "read_timeout",
    "ProtocolError": "answer_cut_short",
    "IncompleteRead": "answer_cut_short",
    "InvalidChunkLength": "answer_cut_short",
    "DecodeError": "bad_compression",
}
CAUSES_MAX = 8
# OpenSSL's codes (X509_V_ERR_…) of what a merchant can tell apart and cure.
CERTIFICATE_ERRORS: Mapping[int, str] = {
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    18: "certificate_self_signed",
    19: "certificate_self_signed",
    20: "certificate_incomplete",
    21: "certificate_incomplete",
    62: "certificate_of_another",
    64: "certificate_of_another",
}
