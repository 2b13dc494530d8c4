"""`/api/v1`, for the merchant's programs. Every route is a line of a table, beside the models it takes and gives; the
OpenAPI document is written from the same."""

from __future__ import annotations

from functools import cache

import orjson
from flask import Blueprint, Flask, Response

from app.web.api import books, cases, channels, endpoints, items, listings, orders, places, serve, stock
from app.web.api.incoming import JSON
from app.web.api.openapi import write_openapi
from app.web.api.route import PREFIX, Route
from app.web.api.table import ROUTES, Act

VERSION = "1.0.0"
TOPICS = (places, items, stock, orders, channels, listings, cases, books, endpoints)  # what fills the table

blueprint = Blueprint("api", __name__)


@cache
def openapi_json() -> bytes:
    """The document; the table does not change once the process runs."""
    return orjson.dumps(write_openapi([route for route, _ in ROUTES], VERSION))


@blueprint.get(f"{PREFIX}/openapi.json")
def openapi() -> Response:
    """What the API takes and gives; open to everybody."""
    return Response(openapi_json(), content_type=JSON)


def _view(route: Route, act: Act) -> None:
    blueprint.add_url_rule(route.rule, route.name, lambda **path: serve.serve(route, act, path), methods=[route.method])


for _route, _act in ROUTES:
    _view(_route, _act)


def install(app: Flask) -> None:
    """Put the API into the application."""
    app.register_blueprint(blueprint)
    serve.install(app)
