"""Headers on every response: what a browser may load from here, and who may frame it (nobody)."""

from __future__ import annotations

from flask import Flask, Response

from app.core.runtime import Runtime

# Scripts and styles only from files of ours: nothing inline, so a text that slips through as markup still can't run.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=()",
}
HSTS = "max-age=31536000"


def install(app: Flask) -> None:
    """Put the headers on everything; HSTS where the public address is https, no caching of pages."""
    runtime: Runtime = app.extensions["runtime"]
    secure = runtime.settings.server.public_url.startswith("https://")

    def add(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if secure:
            response.headers.setdefault("Strict-Transport-Security", HSTS)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    app.after_request(add)
