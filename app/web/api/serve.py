"""Serving a route: who asks, how often, may they, what do they say; then one transaction, and the answer.

A GET reads in a transaction that can't write. A POST is done once for its Idempotency-Key, together with keeping the
answer. What takes too long is given up, and nothing is half done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from flask import Flask, Response, g, request
from pydantic import BaseModel

from app.accounts.answers import StoredAnswer, claim, store
from app.accounts.answers import bound_to as answer_bound_to
from app.accounts.budgets import Budget, spend
from app.accounts.keys import Principal, find_key
from app.core.errors import Forbidden, NotFound, RateLimited, Unauthenticated
from app.core.runtime import Runtime
from app.web.api.call import Call, Reply, as_json, etag_of
from app.web.api.cursor import Cursors
from app.web.api.fields import ID_MAX
from app.web.api.incoming import JSON, check_accepted, read_body, read_idempotency_key, read_query, read_token
from app.web.api.route import Route
from app.web.api.table import Act
from app.web.asker import Asker
from app.web.merchant import now, runtime, set_asker

TIMEOUT_S = 10
_BOUND = """select set_config('transaction_read_only', %(read_only)s, true),
                   set_config('statement_timeout', %(timeout)s, true)"""


def install(app: Flask) -> None:
    """Say on every answer of the API what the key may still ask for."""

    def add(response: Response) -> Response:
        budget: Budget | None = g.get("api_budget")
        if budget is not None:
            response.headers["RateLimit-Policy"] = f'"key";q={budget.limit};w=60'
            response.headers["RateLimit"] = f'"key";r={budget.remaining};t={budget.reset_s}'
        if response.status_code == 401 and request.path.startswith("/api/"):
            response.headers["WWW-Authenticate"] = 'Bearer realm="perpetual"'
        return response

    app.after_request(add)


def serve(route: Route, act: Act, path: Mapping[str, str]) -> Response:
    """The answer to the request that Flask is at."""
    principal = _let_in(route)
    check_accepted()
    ids = {name: _read_id(text) for name, text in path.items()}
    key = read_idempotency_key() if route.method == "POST" else ""
    query = read_query(route.query)
    body, data = (None, b"") if route.reads else read_body(route.body)
    own = replace(runtime(), acting=(f"API key {principal.name}", request.remote_addr or ""))
    if route.before is not None:
        route.before(own, body)
    with own.begin(principal.merchant_id, now()) as session:
        session.run(_BOUND, read_only="on" if route.reads else "off", timeout=f"{TIMEOUT_S}s")
        call = Call(
            own, session, principal, route, ids, query, body, key, request.headers.get("If-Match"),
            _cursors(own, principal, route, query),
        )  # fmt: skip
        answer = _once(call, act, data) if key else _answer(call, act)
    if not route.reads:
        own.ring()
    return _respond(answer, conditional=route.reads and route.versioned)


def _read_id(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= ID_MAX:
        return int(text)
    raise NotFound("not_found", "There is nothing at this address.")


def _let_in(route: Route) -> Principal:
    """Who asks; raises Unauthenticated, RateLimited, Forbidden."""
    principal = find_key(runtime().database, now(), read_token())
    if principal is None:
        make_one = "`python -m app key create --name NAME --scopes all`"
        raise Unauthenticated("bad_key", f"this key is not valid: make one with {make_one}", "Authorization")
    set_asker(Asker(f"key {principal.key_id} {principal.name}"))
    per_minute = runtime().settings.api.requests_per_minute
    with runtime().begin(principal.merchant_id, now()) as session:
        g.api_budget = spend(session, principal.key_id, per_minute)
    if g.api_budget.retry_after_s is not None:
        raise RateLimited(
            "too_many_requests", f"a key may ask {per_minute} times a minute", retry_after_s=g.api_budget.retry_after_s
        )
    if route.scope is not None and route.scope not in principal.scopes:
        raise Forbidden("scope_missing", f"this key lacks the scope {route.scope}")
    return principal


def _cursors(own: Runtime, principal: Principal, route: Route, query: BaseModel) -> Cursors:
    secret = own.settings.server.secret_key
    filters = query.model_dump_json(exclude={"cursor", "limit"})
    bound = f"{principal.merchant_id} {route.name} {filters}"
    return Cursors(b"" if secret is None else secret.get_secret_value().encode(), bound)


def _once(call: Call, act: Act, data: bytes) -> StoredAnswer:
    """Do it unless it was done under this key, and keep the answer; one that holds a secret is kept sealed."""
    who = f"{call.principal.key_id}".encode()  # another key may not see what this one was answered
    said = b"\0".join([who, request.method.encode(), request.full_path.encode(), data])
    known = claim(call.session, call.key, hashlib.sha256(said).digest())
    bound_to = answer_bound_to(call.principal.merchant_id, call.key)
    if known is not None:
        body = call.runtime.sealer.open(known.body, bound_to=bound_to) if call.route.secret else known.body
        return StoredAnswer(known.status, {**known.headers, "Idempotent-Replayed": "true"}, body)
    answer = _answer(call, act)
    body = call.runtime.sealer.seal(answer.body, bound_to=bound_to) if call.route.secret else answer.body
    store(call.session, call.key, StoredAnswer(answer.status, answer.headers, body))
    return answer


def _answer(call: Call, act: Act) -> StoredAnswer:
    done = act(call)
    reply = done if isinstance(done, Reply) else Reply(done)
    headers = {"Location": reply.location} if reply.location else {}
    if reply.body is None:
        return StoredAnswer(call.route.status, headers, b"")
    if call.route.versioned:
        headers["ETag"] = etag_of(reply.body)
    return StoredAnswer(call.route.status, headers, as_json(reply.body))


def _respond(answer: StoredAnswer, *, conditional: bool) -> Response:
    response = Response(answer.body, answer.status, dict(answer.headers), content_type=JSON)
    if answer.status == 204:
        del response.headers["Content-Type"]
    if conditional:
        response.make_conditional(request)
    return response
