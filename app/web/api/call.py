"""One request as the functions behind the routes see it, and what they answer with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from app.accounts.keys import Principal
from app.core.db import Session
from app.core.errors import NotConditional, Stale
from app.core.runtime import Runtime
from app.web.api.cursor import Cursors
from app.web.api.route import Route

COSTS = "reports:read"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is more than its body: where the new thing is, or no body at all."""

    body: BaseModel | None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in and read: one transaction of its merchant, and the models that the route names. `key`
    is its Idempotency-Key, '' where none is asked for."""

    runtime: Runtime
    session: Session
    principal: Principal
    route: Route
    path: Mapping[str, int]
    query: Any
    body: Any
    key: str
    if_match: str | None
    cursors: Cursors = field(repr=False)

    @property
    def by(self) -> str:
        """Who did it, for whoever reads later."""
        return f"API key {self.principal.name}"

    def sees_costs(self) -> bool:
        """Whoever may read reports may know what things cost."""
        return COSTS in self.principal.scopes

    def position(self) -> Any:
        """Where the page before ended, None on the first."""
        return self.cursors.open(self.query.cursor)

    def next_cursor(self, rows: Sequence[Any], position: Any) -> str | None:
        """The cursor behind a page whose last row is at `position`; None when it is the last page: it is as soon as
        not one row more than `limit` was found."""
        return self.cursors.make(position) if len(rows) > self.query.limit else None

    def check_version(self, current: BaseModel) -> None:
        """Refuse a change of something that is no longer what the caller read: `current` is what it is now, locked."""
        if self.if_match is None:
            raise NotConditional("if_match_missing", "send If-Match with the ETag of what you read", "If-Match")
        tags = [tag.strip() for tag in self.if_match.split(",")]
        if "*" in tags or etag_of(current) in tags:
            return
        stale = Stale("changed_meanwhile", "somebody changed it since you read it: look at `current`, then send again")
        wanted = None if self.body is None else self.body.model_dump(mode="json", exclude_unset=True)
        stale.more = {"current": current.model_dump(mode="json"), "wanted": wanted, "etag": etag_of(current)}
        raise stale


def as_json(body: BaseModel) -> bytes:
    """A model as it travels."""
    return body.model_dump_json().encode()


def etag_of(body: BaseModel) -> str:
    """The strong tag of a representation: another one whenever a byte of it is another."""
    return f'"{hashlib.sha256(as_json(body)).hexdigest()[:32]}"'
