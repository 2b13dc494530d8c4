"""What a route is called, takes, answers and needs, said once: requests are served by it, the OpenAPI document is
written from it, and tests walk it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from app.core.runtime import Runtime
from app.web.api.fields import Empty

PREFIX = "/api/v1"
ID_DIGITS_MAX = 19
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address. `scope` None: any key of the merchant. `versioned`: its answer has an ETag, and if it
    changes something it needs If-Match. `secret`: its answer holds one. `refuses`: what it can answer beside what every
    route can. `before`: a check of the body that asks the network, and so comes before the transaction."""

    method: str
    path: str
    answer: type[BaseModel] | None
    says: str
    scope: str | None = None
    query: type[BaseModel] = Empty
    body: type[BaseModel] | None = None
    status: int = 200
    versioned: bool = False
    secret: bool = False
    refuses: tuple[int, ...] = ()
    before: Callable[[Runtime, Any], None] | None = None

    @property
    def places(self) -> list[str]:
        """The names in its path; each is an id."""
        return _PLACE.findall(self.path)

    @property
    def rule(self) -> str:
        """The path as Flask knows it. Ids are read by `serve`: an int converter that refuses a number makes a 405 of it
        where another method has the same path."""
        return PREFIX + _PLACE.sub(rf"<string(maxlength={ID_DIGITS_MAX}):\1>", self.path)

    @property
    def name(self) -> str:
        """Unique among routes, such as `get_items_item_id`."""
        return "_".join([self.method.lower(), *re.findall(r"\w+", self.path.replace("-", "_"))])

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"
