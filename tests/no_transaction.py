"""A promise that every flow keeps besides its own: no shop is asked anything while a transaction is open, which would
hold its locks for as long as the shop likes to take.

Only what happens in the test's own process is seen, by thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, event

_here = threading.local()


@contextmanager
def watching() -> Iterator[list[str]]:
    """Meanwhile: every call that was made with a transaction open, as `GET https://...`."""
    found: list[str] = []
    listeners = {"begin": _count(1), "commit": _count(-1), "rollback": _count(-1)}
    for name, count in listeners.items():
        event.listen(Engine, name, count)
    with pytest.MonkeyPatch.context() as patch:
        send = requests.Session.send

        @wraps(send)
        def watched(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            if getattr(_here, "open", 0) > 0:
                found.append(f"{request.method} {request.url}")
            return send(self, request, **kwargs)

        patch.setattr(requests.Session, "send", watched)
        yield found
    for name, count in listeners.items():
        event.remove(Engine, name, count)


def _count(by: int) -> Any:
    def counted(_connection: object) -> None:
        _here.open = max(0, getattr(_here, "open", 0) + by)

    return counted
