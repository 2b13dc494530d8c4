"""Whose pages these are: the only merchant, or the one that `?merchant=` names; several and none named is a question.

Every link of a page carries the choice on. A merchant that is not there, or not for who asks, is answered like any
address that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, current_app, g, has_request_context, make_response, render_template, request
from flask import session as browser

from app.accounts import audit
from app.accounts.merchants import MerchantRow, list_merchants
from app.accounts.roles import Permission
from app.core.db import Session
from app.core.errors import NotFound
from app.core.runtime import Runtime
from app.web.asker import OPERATOR, Asker, asker

PAGE_TIMEOUT_S = 10
WHOLE_TIMEOUT_S = 120  # of a form that is about everything of a shop
ENTERED = "entered"  # in the cookie: the merchants whose logs tell of this session of the operator
ENTERED_MAX = 100
_BOUND = """select set_config('transaction_read_only', %(read_only)s, true),
                   set_config('statement_timeout', %(timeout)s, true)"""


def runtime() -> Runtime:
    """The application's runtime, for whoever asks."""
    if "runtime" not in g:
        found: Runtime = current_app.extensions["runtime"]
        g.runtime = replace(found, acting=(asker().name, request.remote_addr or ""))
    mine: Runtime = g.runtime
    return mine


def set_asker(who: Asker) -> None:
    """Who this request is from."""
    g.asker = who
    g.pop("runtime", None)
    g.pop("merchant", None)


def now() -> datetime:
    """The request's one instant."""
    if "now" not in g:
        g.now = current_app.extensions["runtime"].clock()
    instant: datetime = g.now
    return instant


def chosen() -> MerchantRow:
    """The merchant of this request. Raises NotFound; answers with the list to choose from where there are several."""
    if "merchant" not in g:
        everybody = list_merchants(runtime().database, now())
        g.merchants = [merchant for merchant in everybody if asker().sees(merchant.merchant_id)]
        g.merchant = _choose(g.merchants)
        _tell_of_operator(g.merchant.merchant_id)
    merchant: MerchantRow = g.merchant
    return merchant


def may(permission: Permission) -> bool:
    """Whether who asks may do that to the merchant of this request."""
    return "merchant" in g and asker().may(g.merchant.merchant_id, permission)


def _choose(merchants: Sequence[MerchantRow]) -> MerchantRow:
    asked = request.args.get("merchant")
    if asked is None:
        if len(merchants) != 1:
            abort(make_response(render_template("merchants.html", merchants=merchants)))
        return merchants[0]
    for merchant in merchants:
        if str(merchant.merchant_id) == asked:
            return merchant
    raise NotFound("not_found", "There is nothing at this address.")


def _tell_of_operator(merchant_id: int) -> None:
    """Whoever runs the installation may look at every merchant; each can read in their log when that was."""
    entered: list[int] = browser.get(ENTERED, [])
    if asker().name != OPERATOR or merchant_id in entered:
        return
    with runtime().begin(merchant_id, now()) as session:
        audit.note(session, None, "operator.entered", OPERATOR)
    browser[ENTERED] = [*entered, merchant_id][-ENTERED_MAX:]


@contextmanager
def reading() -> Iterator[Session]:
    """One read-only transaction of the request's merchant; a page that takes too long is given up."""
    with runtime().begin(chosen().merchant_id, now()) as session:
        session.run(_BOUND, read_only="on", timeout=f"{PAGE_TIMEOUT_S}s")
        yield session


@contextmanager
def writing(timeout_s: int = PAGE_TIMEOUT_S) -> Iterator[Session]:
    """One transaction of the request's merchant in which a form changes something; then the workers are woken."""
    with runtime().begin(chosen().merchant_id, now()) as session:
        session.run(_BOUND, read_only="off", timeout=f"{timeout_s}s")
        yield session
    runtime().ring()


def carry_on(blueprint: Blueprint) -> None:
    """Have every link to the blueprint's pages carry the choice of the merchant."""

    @blueprint.app_url_defaults
    def add(endpoint: str, values: MutableMapping[str, Any]) -> None:
        asked = request.args.get("merchant") if has_request_context() else None
        if asked is not None and endpoint.startswith(f"{blueprint.name}."):
            values.setdefault("merchant", asked)
