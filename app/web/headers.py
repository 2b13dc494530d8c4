"""Headers on every response: what a browser may load from here, and who may frame it: nobody, or the one shop's admin
that a page was opened in (`app.web.embedding`)."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, g

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
        for name, value in (_embedded() if g.get("frame_ancestors") else HEADERS).items():
            response.headers.setdefault(name, value)
        if targets := g.get("form_targets"):  # where a form of this page may lead
            policy = response.headers["Content-Security-Policy"]
            response.headers["Content-Security-Policy"] = policy.replace(
                "form-action 'self'", f"form-action 'self' {targets}"
            )
        if secure:
            response.headers.setdefault("Strict-Transport-Security", HSTS)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    app.after_request(add)


def _embedded() -> dict[str, str]:
    """For a page in a shop's admin: framed by that admin alone, with its script; and no address of it, which holds a
    session token, goes anywhere as a referrer."""
    script, ancestors = urlsplit(g.admin_script), " ".join(g.frame_ancestors)
    policy = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", f"frame-ancestors {ancestors}")
    policy += f"; script-src 'self' {script.scheme}://{script.netloc}"
    kept = {name: value for name, value in HEADERS.items() if name != "X-Frame-Options"}
    return {**kept, "Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
