"""Building the Flask application from a runtime: blueprints, access, error answers, security headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Flask, g, has_request_context
from werkzeug.middleware.proxy_fix import ProxyFix

from app.core.runtime import Runtime
from app.web import (
    access,
    account,
    api,
    audit_log,
    cases,
    channels,
    checks,
    connect,
    embedding,
    errors,
    headers,
    health,
    hosts,
    imports,
    keys,
    listings,
    login,
    members,
    pages,
    said,
    setup,
    shopify,
    shown,
    webhooks,
)
from app.web.live import Live
from connectors.http import Http

SHOPS_TOTAL_S = 60.0  # that a page waits for shops in all, however many things it asks: a thread is not theirs to keep


def create_app(runtime: Runtime) -> Flask:
    """A new application bound to a runtime; nothing is connected before the first request."""
    app = Flask(__name__)
    app.url_map.merge_slashes = False  # a SKU may hold two
    app.config["MAX_CONTENT_LENGTH"] = runtime.settings.server.body_max_bytes
    app.extensions["runtime"] = replace(runtime, open_http=_within_a_request(runtime.open_http))
    app.extensions["flusher"] = webhooks.make_flusher(runtime)
    app.extensions["live"] = Live(runtime)
    hosts.install(app)
    for module in (webhooks, health, pages, listings, setup, imports, checks, channels, cases):
        app.register_blueprint(module.blueprint)
    for blueprint in connect.registered():
        app.register_blueprint(blueprint)
    imports.allow_large_files(app)
    for blueprint in (members.blueprint, account.blueprint, keys.blueprint, audit_log.blueprint):
        app.register_blueprint(blueprint)
    login.install(app)
    api.install(app)
    app.register_blueprint(shopify.open_blueprint)
    app.register_blueprint(shopify.blueprint)
    embedding.install(app)
    said.install(app)
    access.guard(app)
    errors.install(app)
    headers.install(app)
    shown.install(app)
    app.wsgi_app = webhooks.before_flask(app, app.wsgi_app)  # type: ignore[method-assign,assignment]
    if hops := runtime.settings.server.proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _within_a_request(open_http: Callable[[], Http]) -> Callable[[], Http]:
    """Shops that are asked while a request is answered have a minute in all."""

    def bounded() -> Http:
        http = open_http()
        if not has_request_context():
            return http
        began: float = g.setdefault("shops_asked_since", http.monotonic())
        return replace(http, until=began + SHOPS_TOTAL_S)

    return bounded
