"""The application under test: two merchants side by side, asked through Flask's own client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from app.core.passwords import hash_password
from app.web import create_app
from tests.street import Street

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)


@dataclass
class Site:
    """`ask` gets a page of the street's merchant as a browser on this machine does."""

    street: Street
    app: Flask
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    @classmethod
    def of(cls, street: Street, *, password: bool = False, **changes: object) -> Site:
        """`changes`: another `database`, and settings of the server."""
        settings = street.runtime.settings
        database = changes.pop("database", street.runtime.database)
        stored = SecretStr(HASH) if password else None
        security = settings.security.model_copy(update={"owner_password_hash": stored})
        server = settings.server.model_copy(update=changes)
        changed = settings.model_copy(update={"server": server, "security": security})
        runtime = replace(street.runtime, settings=changed, database=database)  # type: ignore[arg-type]
        return cls(street, create_app(runtime))

    def ask(self, path: str, headers: Mapping[str, str] = BROWSER, **more: object) -> TestResponse:
        separator = "&" if "?" in path else "?"
        return self.get(f"{path}{separator}merchant={self.street.world.merchant_id}", headers, **more)

    def get(self, path: str, headers: Mapping[str, str] = BROWSER, **more: object) -> TestResponse:
        answer = self.client.get(path, headers=dict(headers), **more)  # type: ignore[arg-type]
        if answer.mimetype != "text/event-stream":
            answer.get_data()
            answer.close()
        return answer

    def log_in(self, password: str, *, email: str = "", next_path: str = "", **more: object) -> TestResponse:
        return self.send("/login", page="/login", email=email, password=password, next=next_path, environ=more)

    def send(
        self, path: str, *, page: str = "/login", environ: Mapping[str, object] | None = None, **fields: object
    ) -> TestResponse:
        """A form of a page of this site, with its token."""
        more: dict[str, Any] = dict(environ or {})
        token = self.get(page, **more).text.split('name="csrf_token" value="')[1].split('"')[0]
        return self.client.post(path, data={"csrf_token": token, **fields}, headers=BROWSER, **more)

    def another(self) -> Site:
        """Another browser at the same site."""
        return Site(self.street, self.app)
