"""What stands before a shop's PHP, or is done to it: firewalls, login walls, maintenance, redirects, plain permalinks.

Each answers before WordPress does; None lets the request through.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from sandbox.base import Request, Response
from sandbox.woocommerce.state import State

HTML = {"Content-Type": "text/html; charset=UTF-8"}
WAF = b"<!DOCTYPE html><html><title>Attention Required!</title><h1>Sorry, you have been blocked</h1></html>"
CHALLENGE = b"<!DOCTYPE html><html><title>Just a moment...</title><script>/* a challenge */</script></html>"
MAINTENANCE = b"<!DOCTYPE html><h1>Briefly unavailable for scheduled maintenance. Check back in a minute.</h1>"
NOT_FOUND = b"<!DOCTYPE html><html><title>404 Not Found</title><h1>Not Found</h1></html>"
NOT_IMPLEMENTED = b"<!DOCTYPE html><html><title>501 Not Implemented</title><h1>Method Not Implemented</h1></html>"
LOGIN = b'<!DOCTYPE html><form id="loginform" action="/wp-login.php"><input id="user_login"></form>'


def before_php(state: State, request: Request) -> Response | None:
    """What the host answers in WordPress's place."""
    options, host = state.options, state.options.host
    of_api = request.path.startswith("/wp-json") or any(name == "rest_route" for name, _ in request.query)
    if options.moved_to:
        parts = urlsplit(request.url)
        query = f"?{parts.query}" if parts.query else ""
        return Response(301, {**HTML, "Location": f"{options.moved_to}{parts.path}{query}"}, b"")
    if host == "maintenance":
        return Response(503, {**HTML, "Retry-After": "60"}, MAINTENANCE)
    if host == "plain_site":
        return Response(404, HTML, NOT_FOUND) if request.path != "/" else Response(200, HTML, b"<h1>Hello</h1>")
    if not of_api:
        return None
    if host == "blocks_methods" and request.method not in ("GET", "HEAD", "POST"):
        return Response(501, HTML, NOT_IMPLEMENTED)
    answers = {
        "firewall": Response(403, HTML, WAF),
        "challenge": Response(200, HTML, CHALLENGE),
        "login_redirect": Response(302, {**HTML, "Location": "/wp-login.php?redirect_to=%2Fwp-json%2F"}, b""),
        "login_wall": Response(200, HTML, LOGIN),
    }
    if host == "plain_permalinks" and request.path.startswith("/wp-json"):
        return Response(301, {**HTML, "Location": f"{options.base_url}/"}, b"")
    return answers.get(host)
