"""Parameters of the API: validated as WordPress does it, and the pages and windows they ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sandbox.base import Request
from sandbox.woocommerce.problem import invalid

PER_PAGE_MAX = 100
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}")


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list, and what the whole list counts."""

    ids: Sequence[int]
    total: int
    number: int
    size: int

    @property
    def last(self) -> int:
        """Number of pages."""
        return -(-self.total // self.size)


class Query:
    """The parameters of one request. Every reader raises `Problem` 400 as the shop would."""

    def __init__(self, request: Request, zone: ZoneInfo) -> None:
        self._values = dict(request.query)
        self._zone = zone
        self.url = request.url.split("?", 1)[0]

    def text(self, name: str, default: str = "") -> str:
        """As given."""
        return self._values.get(name, default)

    def one_of(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """One of the allowed words."""
        value = self.text(name, default)
        if value not in allowed:
            raise invalid(name, f"{name} is not one of {', '.join(allowed)}.", "rest_not_in_enum")
        return value

    def words(self, name: str) -> list[str]:
        """A comma-separated list."""
        return [word for word in self.text(name).split(",") if word]

    def ids(self, name: str) -> list[int] | None:
        """A comma-separated list of ids; None when it is not asked for."""
        words = self.words(name)
        for index, word in enumerate(words):
            if not word.isdigit():
                raise invalid(name, f"{name}[{index}] is not of type integer.", "rest_invalid_type")
        return [int(word) for word in words] if words else None

    def flag(self, name: str) -> bool:
        """true, 1 and the like."""
        return self.text(name).lower() in {"true", "1"}

    def _whole(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not value.isdigit():
            raise invalid(name, f"{name} is not of type integer.", "rest_invalid_type")
        return int(value)

    def page(self, ids: Sequence[int]) -> Page:
        """The page of `ids` that is asked for."""
        size, number = self._whole("per_page", 10), self._whole("page", 1)
        if not 1 <= size <= PER_PAGE_MAX:
            raise invalid(
                "per_page", "per_page must be between 1 (inclusive) and 100 (inclusive)", "rest_out_of_bounds"
            )
        if number < 1:
            raise invalid("page", "page must be greater than or equal to 1", "rest_out_of_bounds")
        return Page(ids[(number - 1) * size : number * size], len(ids), number, size)

    def moment(self, name: str) -> datetime | None:
        """A date bound, with the shop's habits: naive is site time, or GMT with `dates_are_gmt`; with a zone it is
        right without that flag and off by the site's offset with it."""
        value = self.text(name)
        if not value:
            return None
        if not _STAMP.match(value):
            raise invalid(name, "Invalid date.", "rest_invalid_date")
        moment = datetime.fromisoformat(value)
        gmt = self.flag("dates_are_gmt")
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC if gmt else self._zone).astimezone(UTC)
        if not gmt:
            return moment.astimezone(UTC)
        return moment.astimezone(self._zone).replace(tzinfo=UTC)

    def trimmed(self, body: dict[str, object]) -> dict[str, object]:
        """Only the top-level `_fields`."""
        names = set(self.words("_fields"))
        return {name: value for name, value in body.items() if name in names} if names else body

    def links(self, page: Page) -> str:
        """The Link header's previous and next pages."""
        found = []
        for relation, number in (("prev", page.number - 1), ("next", page.number + 1)):
            if 1 <= number <= page.last:
                query = urlencode({**self._values, "page": str(number)})
                found.append(f'<{self.url}?{query}>; rel="{relation}"')
        return ", ".join(found)
