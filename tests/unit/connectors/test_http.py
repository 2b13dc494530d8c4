"""What each status of a channel means for a read and for a write, and how often either is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
import responses

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
from connectors.http import RETRY_AFTER_MAX_S, TRIES_MAX, Http

URL = "https://shop.example.com/orders"
# status: (to a read, to a write, reason); 429 and 5xx are worth trying again.
MEANINGS: dict[int, tuple[type[ChannelError], type[ChannelError], str]] = {
    301: (Refused, Refused, "redirected"),
    400: (Refused, Refused, "bad_request"),
    401: (AccessDenied, AccessDenied, "unauthorized"),
    402: (AccessDenied, AccessDenied, "shop_frozen"),
    403: (AccessDenied, AccessDenied, "forbidden"),
    404: (NotFound, NotFound, "not_found"),
    413: (Refused, Refused, "too_large"),
    422: (Refused, Refused, "unprocessable"),
    423: (AccessDenied, AccessDenied, "shop_locked"),
    429: (Throttled, Throttled, "throttled"),
    500: (Transient, OutcomeUnknown, "http_500"),
    502: (Transient, OutcomeUnknown, "http_502"),
    503: (Transient, OutcomeUnknown, "unavailable"),
    504: (Transient, OutcomeUnknown, "http_504"),
    599: (Transient, OutcomeUnknown, "http_599"),
}


@pytest.fixture
def shop() -> Iterator[responses.RequestsMock]:
    """A server that answers as it is told, and nothing that it was not told."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as shop:
        yield shop


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def http(waited: list[float]) -> Http:
    return Http(sleep=waited.append)


@pytest.mark.parametrize("status", MEANINGS)
def test_a_status_means_what_its_row_says_and_only_a_read_that_may_go_better_is_sent_again(
    shop: responses.RequestsMock, http: Http, status: int
) -> None:
    to_read, to_write, reason = MEANINGS[status]
    answer = shop.add(responses.GET, URL, status=status, headers={"Location": "https://evil.example.com/"})
    with pytest.raises(to_read) as refused:
        http.read("GET", URL)
    assert (type(refused.value), refused.value.reason) == (to_read, reason)
    assert answer.call_count == (1 if refused.value.permanent else TRIES_MAX)
    once = shop.add(responses.POST, URL, status=status)
    with pytest.raises(to_write) as refused:
        http.write("POST", URL, json={})
    assert (type(refused.value), refused.value.reason, once.call_count) == (to_write, reason, 1)


def test_a_503_that_says_when_to_come_back_did_nothing(shop: responses.RequestsMock, http: Http) -> None:
    shop.add(responses.POST, URL, status=503, headers={"Retry-After": "7"})
    with pytest.raises(Transient) as refused:
        http.write("POST", URL, json={})
    assert (type(refused.value), refused.value.retry_after_s) == (Transient, 7)


def test_a_read_that_goes_better_the_second_time_is_answered(shop: responses.RequestsMock, http: Http) -> None:
    shop.add(responses.GET, URL, status=503)
    shop.add(responses.GET, URL, json={"orders": []})
    assert http.read("GET", URL).json() == {"orders": []}


@pytest.mark.parametrize(("asked", "waits"), [("2", [2.0, 2.0]), ("0.5", [0.5, 0.5]), ("11", []), ("3600", [])])
def test_a_read_waits_as_long_as_it_is_asked_to_unless_somebody_would_wait_too_long_for_it(
    shop: responses.RequestsMock, http: Http, waited: list[float], asked: str, waits: list[float]
) -> None:
    shop.add(responses.GET, URL, status=429, headers={"Retry-After": asked})
    with pytest.raises(Throttled) as refused:
        http.read("GET", URL)
    assert refused.value.retry_after_s == min(float(asked), RETRY_AFTER_MAX_S)
    assert waited == waits


@pytest.mark.parametrize("asked", ["nan", "inf", "soon", "٣٣", "-inf"])
def test_a_wait_that_is_no_time_is_no_wish(shop: responses.RequestsMock, http: Http, asked: str) -> None:
    shop.add(responses.POST, URL, status=429, headers={"Retry-After": asked.encode("utf-8").decode("latin-1")})
    with pytest.raises(Throttled) as refused:
        http.write("POST", URL)
    assert refused.value.retry_after_s is None


@pytest.mark.parametrize(
    ("broken", "to_read", "to_write"),
    [
        (requests.ConnectTimeout(), Transient, Transient),
        (requests.ReadTimeout(), Transient, OutcomeUnknown),
        (requests.ConnectionError("reset"), Transient, OutcomeUnknown),
    ],
)
def test_a_write_whose_answer_is_lost_may_have_been_carried_out_and_one_that_never_left_was_not(
    shop: responses.RequestsMock, http: Http, broken: Exception, to_read: type[ChannelError],
    to_write: type[ChannelError],
) -> None:  # fmt: skip
    shop.add(responses.GET, URL, body=broken)
    shop.add(responses.POST, URL, body=broken)
    with pytest.raises(to_read):
        http.read("GET", URL)
    with pytest.raises(to_write):
        http.write("POST", URL, json={})


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ("<!doctype html><title>Just a moment…</title>", "text/html", "html_answer"),
        ("<b>Warning</b>: undefined index", "application/json", "html_answer"),
        ('{"orders": [', "application/json", "not_json"),
    ],
)
def test_an_answer_that_is_no_data_is_told_apart_in_words(
    shop: responses.RequestsMock, http: Http, body: str, kind: str, reason: str
) -> None:
    shop.add(responses.GET, URL, body=body, content_type=kind)
    with pytest.raises(Malformed) as refused:
        http.read("GET", URL).json()
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("stamp", "took_s", "ahead_s"),
    [
        ("Mon, 23 Nov 2026 12:10:00 GMT", 1, 600.0),  # cut off to seconds, half a second ago
        ("Mon, 23 Nov 2026 11:50:00 GMT", 1, -600.0),
        ("Mon, 23 Nov 2026 12:10:00 GMT", 3, None),
        ("soon", 1, None),
        ("", 1, None),
    ],
)
def test_how_far_a_shops_clock_is_ahead_is_told_by_the_last_answer_alone_if_that_came_promptly(
    shop: responses.RequestsMock, stamp: str, took_s: int, ahead_s: float | None
) -> None:
    """One session serves several shops: what another's answer said is nothing of this one's."""
    now = [datetime(2026, 11, 23, 12, tzinfo=UTC)]

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        now[0] += timedelta(seconds=took_s)
        return 200, {"Date": stamp} if stamp else {}, "{}"

    http = Http(clock=lambda: now[0])
    http.ahead = timedelta(days=1)
    shop.add_callback(responses.GET, URL, answer)
    http.read("GET", URL)
    now[0] += timedelta(hours=1)
    assert (http.ahead and http.ahead.total_seconds()) == ahead_s


def test_a_shop_that_does_not_answer_leaves_nothing_known_of_its_clock(shop: responses.RequestsMock) -> None:
    http = Http(clock=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC), ahead=timedelta(days=1))
    shop.add(responses.POST, URL, body=requests.ReadTimeout())
    with pytest.raises(OutcomeUnknown):
        http.write("POST", URL)
    assert http.ahead is None
