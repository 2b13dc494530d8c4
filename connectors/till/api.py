"""Calls to one till: its address, its token, and answers that are objects or an error by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Shop
from connectors.errors import Malformed, OutcomeUnknown, Transient
from connectors.http import Http
from connectors.till import fields
from connectors.till.fields import Node

PAGE = 100  # the till's own bound, also for ids in one query
PAGES_MAX = 100_000
Params = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Api:
    """One shop and how to speak to it; lives as long as one call of the connector."""

    http: Http
    shop: Shop

    def get(self, path: str, params: Params | None = None) -> Node:
        """A read: tried again a little by `Http`."""
        answer = self.http.read("GET", self._url(path), params=params, headers=self._headers())
        return fields.node(answer.json(), path)

    def send(self, method: str, path: str, body: object = None) -> Node:
        """A write: sent once. It may have been applied although its answer can't be read."""
        try:
            answer = self.http.write(method, self._url(path), json=body, headers=self._headers())
            return fields.node(answer.json(), path)
        except Malformed as error:
            raise OutcomeUnknown(error.reason, error.detail) from error

    def pages(self, name: str, params: Params) -> Iterator[list[Node]]:
        """A listing to its end."""
        for rows, _ in self.pages_after(name, params):
            yield rows

    def pages_after(self, name: str, params: Params, after: str = "") -> Iterator[tuple[list[Node], str]]:
        """A listing from a cursor on, and for each page the one of the next; of the last one its own. It says behind
        which entry the next page begins, so entries that leave the listing meanwhile move no other one past us."""
        for _ in range(PAGES_MAX):
            answer = self.get(name, {**params, "after": after} if after else params)
            rows = fields.nodes(answer, name, "answer", limit=PAGE)
            following = fields.find_text(answer.get("next"), "answer.next")
            if rows:
                yield rows, following or after
            if following is None:
                return
            if following == after:
                break
            after = following
        raise Transient("paging_unstable", "the listing does not come to an end")

    def named(self, name: str, keys: Sequence[str]) -> list[Node]:
        """Those of the entries with these ids that there are, in any order; what can be no id names none."""
        wanted = [key for key in dict.fromkeys(keys) if fields.is_key(key)]
        rows: list[Node] = []
        for start in range(0, len(wanted), PAGE):
            answer = self.get(name, {"ids": ",".join(wanted[start : start + PAGE])})
            rows += fields.nodes(answer, name, "answer", limit=PAGE)
        return rows

    def _url(self, path: str) -> str:
        return f"{self.shop.base_url}/api/{path}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.shop.credentials.get('token', '')}"}
