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


@dataclass(frozen=True, slots=True)
class Api:
    """One shop and how to speak to it; lives as long as one call of the connector."""

    http: Http
    shop: Shop
    one_time: OneTime = OneTime()  # noqa: RUF009 (frozen, holds two functions)

    def get(self, path: str, params: Params | None = None) -> tuple[object, Answer]:
        """The decoded answer and the answer itself."""
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
        """All rows of a listing ordered by id, each once, complete or `Transient("paging_unstable")`.

        Rows that leave the listing while it is read (an order is modified and falls out of a closed window) move later
        ones up a place, across the border of a page. The total of each page tells: when it shrank, the page before is
        read again. Past the end the total reads 0 (observed on both versions), which is no total.
        """
        page, total, seen, limit = 1, None, set[object](), 20
        for _ in range(PAGES_MAX):
            if limit == 0:
                break
            rows, now_total = self._page(path, {**params, "page": page})
            limit = 3 * ceil(now_total / PAGE) + 20 if total is None else limit - 1
            fresh = [row for row in rows if row.get("id") not in seen]
            seen.update(row.get("id") for row in fresh)
            if fresh:
                yield fresh
            if not rows and page > 1:
                page -= 1
            elif total is not None and now_total != total:
                page, total = max(1, page - ceil(abs(total - now_total) / PAGE)), now_total
            elif page * PAGE < now_total:
                page, total = page + 1, now_total
            elif len(seen) >= now_total:
                return
            else:
                page, total = 1, now_total
        raise Transient("paging_unstable", "the listing kept changing while it was read")

    def _page(self, path: str, params: Params) -> tuple[list[fields.Node], int]:
        value, answer = self.get(path, {"per_page": PAGE, "orderby": "id", "order": "asc", **params})
        rows = fields.nodes({"answer": value}, "answer", path, limit=PAGE)
        total = answer.headers.get("x-wp-total", "")
        if not total.isdigit():
            raise Malformed("missing_total", "the answer lacks X-WP-Total, so it can't be known to be complete")
        return rows, int(total)

    def _url(self, path: str) -> str:
        return f"{self.shop.base_url}/wp-json{path if path.startswith('/') else f'/wc/v3/{path}'}"

    def _extras(self) -> dict[str, Any]:
        return {"headers": HEADERS, "auth": authorization(self.shop, self.one_time)}


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
