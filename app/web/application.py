"""Building the Flask application from a runtime: blueprints, error answers, security headers."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from app.core.errors import PerpetualError, Unavailable, problem_json
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.web import health, webhooks

log = get_logger("web")


def create_app(runtime: Runtime) -> Flask:
    """A new application bound to a runtime; nothing is connected before the first request."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = runtime.settings.server.body_max_bytes
    app.extensions["runtime"] = runtime
    app.extensions["flusher"] = webhooks.make_flusher(runtime)
    app.register_blueprint(webhooks.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_error_handler(PerpetualError, _perpetual_error)
    app.register_error_handler(Exception, _unexpected)
    return app


def _perpetual_error(error: PerpetualError) -> Response:
    response = jsonify(problem_json(error))
    response.status_code = int(error.status)
    response.content_type = "application/problem+json"
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _unexpected(error: Exception) -> Response | HTTPException:
    if isinstance(error, HTTPException):
        return error
    log.exception("request_crashed", reason="internal_error")
    return _perpetual_error(Unavailable("internal_error", "something broke here; it was logged"))
