"""Rows 26 and 61: no log, page, answer of the API, error or column shows a secret, whatever a shop throws back."""

from __future__ import annotations

import base64
import io
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from werkzeug.routing import BuildError

from app.listings.channels import list_channels
from app.listings.credentials import read_credentials
from app.reconcile.shop import ask_shop
from app.web.api.table import ROUTES
from sandbox.base import Request, Response
from tests.canaries import as_they_travel, columns_with
from tests.steps.test_webhooks_out import Hook
from tests.street import Street
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


def echo(request: Request, status: int, kind: str) -> Response:
    """What badly made shops and the firewalls before them do: the whole request in the answer."""
    sent = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    query = "&".join(f"{name}={value}" for name, value in request.query)
    body = (
        f"<html><pre>{request.path}?{query}\n{sent}</pre></html>"
        if "html" in kind
        else f'{{"message": "{query} {sent!r}"}}'
    )
    return Response(status, {"Content-Type": kind}, body.encode())


def suffer(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is asked of the shops comes back with what it was asked with."""
    for status, kind in ((401, "application/json"), (403, "text/html"), (500, "text/html"), (200, "text/html"),
                         (400, "application/json"), (404, "application/json")):  # fmt: skip
        for channel_id, shop in street.shops.items():
            monkeypatch.setattr(shop, "handle", lambda request, s=status, k=kind: echo(request, s, k))
            ask_shop(street.runtime, street.world.merchant_id, channel_id)
        street.world.move("mug", 1, "available@A > shrinkage")
        street.world.now += timedelta(hours=7)
        for _ in range(3):
            street.worker.step()
            street.world.now += timedelta(seconds=90)
    for shop in street.shops.values():
        monkeypatch.setattr(shop, "handle", crash)
    street.world.now += timedelta(hours=7)
    street.worker.step()
    monkeypatch.undo()


def crash(request: Request) -> Response:
    """A bug of ours whose text holds what was being sent."""
    sent = " ".join(f"{name}: {value}" for name, value in request.headers.items())
    query = "&".join(f"{name}={value}" for name, value in request.query)
    raise RuntimeError(f"bug while asking https://anna:pass@shop.test{request.path}?{query} with {sent}")


def paths(site: Site) -> list[str]:
    """Every page that can be got, with the first thing there is where one has to be named."""
    named = {"sku": "mug", "channel_id": "1", "name": "app.css", "filename": "app.css"}
    with site.street.world.session() as session:
        channel = session.value("select min(channel_id) from channel where merchant_id = %(merchant_id)s")
    rules = [
        rule for rule in site.app.url_map.iter_rules() if "GET" in (rule.methods or ()) and rule.endpoint != "live"
    ]
    adapter = site.app.url_map.bind("localhost")
    made = []
    for rule in rules:
        values = {name: named.get(name, str(channel)) for name in rule.arguments}
        try:
            made.append(adapter.build(rule.endpoint, values))
        except BuildError:  # a converter that wants a number
            made.append(adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, channel)))
    return [path for path in made if not path.startswith(("/live", "/static"))]


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
    suffer(street, monkeypatch)
    street.world.now += timedelta(hours=1)
    street.settle(60, rounds_max=2_000)
    seen = {path: site.ask(path) for path in paths(site)}
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
