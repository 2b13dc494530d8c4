"""How long pages take with many items: the real web process, one request after another, beside a file that it just
hands out (`static_p50_ms`: what HTTP and the server cost alone).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import unescape
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import requests

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.embedded import OWNER_ROLE
from app.core.percentile import percentile
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.post import post
from app.wiring import embedded_of
from bench.scratch import Scratch, scratch

_NEXT = re.compile(r'href="([^"]*[?&;]after=[^"]*)"')


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: items in all, and how often each page is asked for."""

    items: int
    asked: int


FULL = Size(items=100_000, asked=200)
QUICK = Size(items=2_000, asked=15)


def run(*, quick: bool) -> dict[str, Any]:
    """Milliseconds of each page, p50 and p95."""
    size = QUICK if quick else FULL
    with scratch() as home:
        skus = _fill(home, size.items)
        home.start_web()
        dice, browser = Random(1), requests.Session()
        shuffled = [dice.choice(skus) for _ in range(size.asked)]
        pages = {
            "home": ["/"] * size.asked,
            "items": _walk(browser, home.origin, size.asked),
            "items_sorted": _walk(browser, home.origin, size.asked, "/items?sort=-name"),
            "search": [f"/items?q={sku[3:]}" for sku in shuffled],
            "item": [f"/items/{sku}" for sku in shuffled],
        }
        static = _times(browser, home.origin, ["/static/app.css"] * size.asked)
        told = {name: _told(_times(browser, home.origin, paths)) for name, paths in pages.items()}
        return {"items": size.items, "static_p50_ms": round(median(static), 1), "page_ms": told}


def _fill(home: Scratch, items: int) -> Sequence[str]:
    """A merchant with so many items on the shelf, each with its cost."""
    runtime, now = home.runtime, home.runtime.clock()
    skus = [f"SKU{number * 7919 % 1_000_003:07}" for number in range(items)]
    merchant_id = create_merchant(runtime.database, now, name="bench")
    with runtime.begin(merchant_id, now) as session:
        place = create_location(session, "A")
    for start in range(0, items, BATCH_MAX):
        some = skus[start : start + BATCH_MAX]
        with runtime.begin(merchant_id, now) as session:
            ids = create_items(session, [NewItem(sku, f"Article {sku[3:]} of many") for sku in some])
            post(session, [
                Movement(ids[sku], 10, State.OPENING, State.AVAILABLE, "bench", sku, now, to_location_id=place,
                         value=Decimal(50)) for sku in some
            ])  # fmt: skip
    embedded = embedded_of(home.settings)
    assert embedded is not None
    embedded.run_client("psql", "-qX", "-c", "vacuum analyze", role=OWNER_ROLE)
    return skus


def _walk(browser: requests.Session, origin: str, pages: int, path: str = "/items") -> list[str]:
    """The addresses of so many pages in a row, each a hundred rows further."""
    return list(_follow(browser, origin, pages, path))


def _follow(browser: requests.Session, origin: str, pages: int, path: str) -> Iterator[str]:
    for _ in range(pages):
        yield path
        found = _NEXT.search(_get(browser, origin + path))
        if found is None:
            return
        path = unescape(found[1])


def _get(browser: requests.Session, url: str) -> str:
    answer = browser.get(url, timeout=60, headers={"Accept": "text/html"})
    answer.raise_for_status()
    return answer.text


def _times(browser: requests.Session, origin: str, paths: Sequence[str]) -> list[float]:
    """Milliseconds until each was received whole; the first answer of a path's kind warms up."""
    _get(browser, origin + paths[0])
    times = []
    for path in paths:
        began = perf_counter()
        _get(browser, origin + path)
        times.append((perf_counter() - began) * 1_000)
    return times


def _told(times: Sequence[float]) -> dict[str, float]:
    return {"p50": round(percentile(times, 0.5), 1), "p95": round(percentile(times, 0.95), 1)}
