"""Rows 26 and 61: no log, page, answer of the API, error or column shows a secret, whatever a shop throws back."""

from __future__ import annotations

import base64
import io
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from app.listings.channels import list_channels
from app.listings.credentials import read_credentials
from app.web.api.table import ROUTES
from tests.canaries import as_they_travel, columns_with
from tests.steps.test_webhooks_out import Hook
from tests.street import Street
from tests.throwing import paths, suffer
from tests.unit.web.api.program import Program
from tests.unit.web.site import PASSWORD, Site


def secrets_of(street: Street, *more: str) -> set[str]:
    """Everything that must not be seen, also as it travels."""
    security, server = street.runtime.settings.security, street.runtime.settings.server
    found = {*more, PASSWORD, *(key.get_secret_value() for key in security.encryption_keys.values())}
    if server.secret_key is not None:
        found.add(server.secret_key.get_secret_value())
    with street.world.session() as session:
        for channel in list_channels(session):
            credentials = read_credentials(street.runtime.sealer, session, channel.channel_id)
            found |= set(credentials.values())
            pair = [credentials.get(name, "") for name in ("consumer_key", "consumer_secret")]
            found.add(base64.b64encode(":".join(pair).encode()).decode())
    return as_they_travel(found)


def test_no_secret_is_seen_in_any_log_page_answer_or_column_though_shops_throw_them_back(
    street: Street, logged: io.StringIO, owner: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.world.move("mug", 50, "opening > available@A", "500")
    street.open_shopify({"mug": 50})
    street.open_woo({"mug": 50})
    street.settle(5)
    site = Site.of(street)
    program = Program.of(site)
    hook = Hook(street)
    hook.receiver.answer = lambda heard: 500
    secrets = secrets_of(street, program.token, hook.secret)
    assert len(secrets) > 10
    merchant_id = street.world.merchant_id
    suffer(street, [(merchant_id, channel, shop) for channel, shop in street.shops.items()], monkeypatch)
    street.world.now += timedelta(hours=1)
    street.settle(60, rounds_max=2_000)
    seen = {path: site.ask(path) for path in paths(site, min(street.shops))}
    assert len(seen) > 25
    for route, _ in ROUTES:
        if route.method == "GET" and "{" not in route.path:
            seen[f"API {route.path}"] = program.call("GET", route.path.removeprefix("/api/v1"))
    shown = {path: f"{answer.headers}\n{answer.get_data(as_text=True)}" for path, answer in seen.items()}
    assert sum(answer.status_code == 200 for answer in seen.values()) > 25
    for path, text in shown.items():
        assert [secret for secret in secrets if secret in text] == [], path
    log = logged.getvalue()
    assert log.count("step_crashed") >= 2
    assert log.count("bug while asking") >= 2
    assert [secret for secret in secrets if secret in log] == []
    assert columns_with(owner, secrets) == []
