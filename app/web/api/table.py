"""The table of the API's routes: every function that answers, beside what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from app.web.api.call import Call, Reply
from app.web.api.route import Route

Act = Callable[[Call], BaseModel | Reply]
One = TypeVar("One", bound=Act)
ROUTES: list[tuple[Route, Act]] = []


def serves(route: Route) -> Callable[[One], One]:
    """Put a function into the table."""

    def add(act: One) -> One:
        ROUTES.append((route, act))
        return act

    return add
