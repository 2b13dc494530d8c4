"""Health for load balancers and people's monitors: is the database there, is the schema this version's."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from app.core.runtime import Runtime

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 when this process can serve; 503 with Retry-After otherwise (by the error handler)."""
    runtime: Runtime = current_app.extensions["runtime"]
    with runtime.database.across(runtime.clock()) as session:
        session.value("select 1")
    return jsonify({"status": "ok"})
