"""Errors as answers: a page in plain words for a browser, RFC 9457 problem+json for everybody else.

The page needs no database: it is also what is shown when the database is down.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from app.core.errors import Forbidden, PerpetualError, RateLimited, Unavailable, problem_json
from app.core.log import get_logger

# What a page says at first sight, by status: what is wrong, and what to do when the error has no words of its own.
WORDS = {
    400: ("This can't be read", "Go back and try again."),
    401: ("Please log in", "Log in first."),
    403: ("This is not open to you", "Ask the owner."),
    404: ("Nothing here", "There is nothing at this address."),
    405: ("Not like this", "This address does not take that kind of request."),
    406: ("Not in that form", "Ask for another format."),
    412: ("Somebody was faster", "Load it again and change it then."),
    413: ("Too much at once", "Send less."),
    415: ("Not in that form", "Send another format."),
    422: ("Something in it is wrong", "Change what is named and try again."),
    428: ("Which version?", "Load it again and change it then."),
    429: ("Too often", "Wait a little, then try again."),
    500: ("Something broke here", "It was logged. Try again; nothing was half done."),
    503: ("Not available right now", "Try again in a moment; nothing was half done."),
}
MACHINES = ("/webhooks/", "/healthz", "/metrics", "/api/", "/callbacks/")  # nobody looks at these with a browser
OTHER = ("That did not work", "Go back and try again.")

log = get_logger("web")


def install(app: Flask) -> None:
    """Answer every error of the application."""
    app.register_error_handler(PerpetualError, _ours)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def wants_page() -> bool:
    """Whether a browser asks; a client that takes anything gets JSON."""
    accepted = request.accept_mimetypes
    return not request.path.startswith(MACHINES) and accepted["text/html"] > accepted["application/json"]


def _ours(error: PerpetualError) -> Response:
    response = _render(problem_json(error))
    if isinstance(error, Unavailable | RateLimited):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _forged(error: CSRFError) -> Response:
    return _ours(Forbidden("csrf", "the form is too old or came from elsewhere: load the page again"))


def _http(error: HTTPException) -> Any:
    """Flask's and werkzeug's own; redirects and ready-made responses pass."""
    code = error.code or 500
    if error.response is not None or code < 400:
        return error
    detail = WORDS.get(code, OTHER)[1]
    problem = {
        "type": "about:blank",
        "title": error.name,
        "status": code,
        "reason": _slug(error.name),
        "detail": detail,
    }
    response = _render(problem)
    if "Allow" in (allowed := dict(error.get_headers())):
        response.headers["Allow"] = allowed["Allow"]
    return response


def _slug(name: str) -> str:
    return name.lower().replace(" ", "_")


def _unexpected(error: Exception) -> Response:
    log.exception("request_crashed", reason="internal_error")
    return _ours(PerpetualError("internal_error", WORDS[500][1]))


def _render(problem: dict[str, Any]) -> Response:
    status = problem["status"]
    if wants_page():
        title, otherwise = WORDS.get(status, OTHER)
        response = make_response(
            render_template("error.html", title=title, detail=problem.get("detail") or otherwise, problem=problem)
        )
    else:
        response = jsonify(problem)
        response.content_type = "application/problem+json"
    response.status_code = status
    return response
