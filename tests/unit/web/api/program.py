"""A merchant's program as the API meets it: a key, and requests through Flask's own client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts.keys import create_key
from tests.unit.web.site import Site
from tests.world import World

_keys = count(1)


@dataclass
class Program:
    """`call` answers with the response; `ask` and `do` with the JSON of one that has to be good."""

    client: FlaskClient
    token: str
    said: list[TestResponse] = field(default_factory=list)

    @classmethod
    def of(cls, site: Site, world: World | None = None, scopes: Sequence[str] = ("all",)) -> Program:
        with (world or site.street.world).session() as session:
            _, token = create_key(session, name="till", scopes=scopes, expires_at=None)
        return cls(site.client, token)

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str | None] | None = None, **more: Any
    ) -> TestResponse:
        """`headers` replace, or with None take away, what a well-behaved program sends."""
        sent: dict[str, str | None] = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if method == "POST":
            sent["Idempotency-Key"] = f"key-{next(_keys)}"
        if body is not None:
            more["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        answer = self.client.open(
            f"/api/v1{path}", method=method, headers={n: v for n, v in sent.items() if v is not None}, **more
        )
        self.said.append(answer)
        return answer

    def ask(self, path: str, **more: Any) -> Any:
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json

    def do(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json

    def etag(self, path: str) -> str:
        """Of what is there now."""
        return self.call("GET", path).headers["ETag"]
