"""Calls to one shop's REST API (wc/v3): addresses, proof of who asks, pages that are complete, errors by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from connectors.base import Shop
from connectors.errors import ChannelError, Malformed, OutcomeUnknown, Transient
from connectors.http import Answer, Http
from connectors.woocommerce import fields
from connectors.woocommerce.auth import OneTime, authorization
from connectors.woocommerce.errors import refined

PAGE = 100  # WooCommerce refuses 101
PAGES_MAX = 10_000
# Caches in front of /wp-json serve stale numbers unless told not to.
HEADERS = {"Cache-Control": "no-cache"}
Params = Mapping[str, str | int]
# WPML lists the products of its default language only and puts others' ids in its language, unless all are asked for
# (WCML\Rest\Wrapper\Products\Products::query and WCML\Rest\Generic::autoAdjustIncludedIds, read 2026-11-30).
# Polylang lists all, and takes `lang` for one of its own (polylang.pro/doc/rest-api, read 2026-11-30).
OF_LANGUAGES = ("products", "variations")
EVERY_LANGUAGE: Params = {"lang": "all"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a listing to read: a page, and how many rows there were when that was found out."""

    page: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page's rows that were not seen before; `following` is where to go on, of the last page its own place."""

    rows: list[fields.Node]
    page: int
    following: Place


FIRST = Place(1)


@dataclass(frozen=True, slots=True)
class Api:
    """One shop and how to speak to it; lives as long as one call of the connector."""

    http: Http
    shop: Shop
    one_time: OneTime = OneTime()  # noqa: RUF009 (frozen, holds two functions)

    def get(self, path: str, params: Params | None = None) -> tuple[object, Answer]:
        """The decoded answer and the answer itself."""
        if self.shop.facts.get("languages") == "wpml" and path.startswith(OF_LANGUAGES):
            params = {**(params or {}), **EVERY_LANGUAGE}
        try:
            answer = self.http.read("GET", self._url(path), params=params, **self._extras())
        except ChannelError as error:
            raise refined(error) from error
        return decoded(answer), answer

    def send(self, method: str, path: str, body: object = None) -> object:
        """A call with effect, sent once. An answer that can't be read leaves the outcome unknown."""
        try:
            answer = self.http.write(method, self._url(path), json=body, **self._extras())
            return decoded(answer)
        except Malformed as error:
            raise OutcomeUnknown(error.reason, error.detail) from error
        except ChannelError as error:
            raise refined(error) from error

    def listed(self, path: str, params: Params) -> list[fields.Node]:
        """One page as a list of objects."""
        value, _ = self.get(path, params)
        return fields.nodes({"answer": value}, "answer", path, limit=PAGE)

    def pages(self, path: str, params: Params) -> Iterator[list[fields.Node]]:
        """All rows of a listing, as `pages_from` has them."""
        for page in self.pages_from(path, params):
            yield page.rows

    def pages_from(self, path: str, params: Params, start: Place = FIRST) -> Iterator[Listed]:
        """All rows of a listing ordered by id, each once, complete or `Transient("paging_unstable")`; or those from a
        place on that another process got to.

        Rows that leave the listing while it is read (an order is modified and falls out of a closed window) move later
        ones up a place, across the border of a page. The total of each page tells: when it shrank, the page before is
        read again. Past the end the total reads 0 (observed on both versions), which is no total.
        """
        place, seen, limit = start, set[int](), 0
        before = (start.page - 1) * PAGE  # rows that count as seen
        for tried in range(PAGES_MAX):
            rows, now_total = self._page(path, {**params, "page": place.page})
            limit = limit or 3 * ceil(now_total / PAGE) + 20
            ids = [fields.key(row.get("id"), f"{path}.id") for row in rows]
            fresh = [row for row, own in zip(rows, ids, strict=True) if own not in seen]
            seen.update(ids)
            following = _following(place, rows, now_total, before + len(seen))
            if fresh:
                yield Listed(fresh, place.page, following or Place(place.page, now_total))
            if following is None:
                return
            if tried == limit:
                break
            place, before = following, min(before, (following.page - 1) * PAGE)
        raise Transient("paging_unstable", "the listing kept changing while it was read")

    def count(self, path: str, params: Params) -> int:
        """How many rows a listing has."""
        return _total(self.get(path, {**params, "per_page": 1, "_fields": "id"})[1])

    def _page(self, path: str, params: Params) -> tuple[list[fields.Node], int]:
        value, answer = self.get(path, {"per_page": PAGE, "orderby": "id", "order": "asc", **params})
        return fields.nodes({"answer": value}, "answer", path, limit=PAGE), _total(answer)

    def _url(self, path: str) -> str:
        return f"{self.shop.base_url}/wp-json{path if path.startswith('/') else f'/wc/v3/{path}'}"

    def _extras(self) -> dict[str, Any]:
        return {"headers": HEADERS, "auth": authorization(self.shop, self.one_time)}


def _following(place: Place, rows: Sequence[fields.Node], total: int, seen: int) -> Place | None:
    """Where to read next (pure); None when everything was seen."""
    if not rows and place.page > 1:
        return Place(place.page - 1, place.total)
    if place.total is not None and total != place.total:
        return Place(max(1, place.page - ceil(abs(place.total - total) / PAGE)), total)
    if place.page * PAGE < total:
        return Place(place.page + 1, total)
    return None if seen >= total else Place(1, total)


def _total(answer: Answer) -> int:
    """Raises `Malformed`."""
    total = answer.headers.get("x-wp-total", "")
    if not fields.is_count(total):
        raise Malformed("missing_total", "the answer lacks X-WP-Total, so it can't be known to be complete")
    return int(total)


def decoded(answer: Answer) -> object:
    """The JSON of an answer with exact amounts; tolerates a byte-order mark and PHP's spaces, names a web page."""
    text = answer.body.removeprefix(b"\xef\xbb\xbf").strip()
    if "html" in answer.headers.get("content-type", "") or text[:1] == b"<":
        raise Malformed("html_answer", "the shop answered with a web page instead of data")
    return fields.decode_answer(text)


def chunks(keys: Sequence[str], size: int = PAGE) -> Iterator[Sequence[str]]:
    """`keys` in runs of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
