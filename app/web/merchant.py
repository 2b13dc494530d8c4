"""Whose pages these are: the only merchant, or the one that `?merchant=` names; several and none named is a question.

Every link of a page carries the choice on. A merchant that is not there is answered like any address that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, current_app, g, has_request_context, make_response, render_template, request

from app.accounts.merchants import MerchantRow, list_merchants
from app.core.db import Session
from app.core.errors import NotFound
from app.core.runtime import Runtime

PAGE_TIMEOUT_S = 10
_BOUND = """select set_config('transaction_read_only', %(read_only)s, true),
                   set_config('statement_timeout', %(timeout)s, true)"""


def runtime() -> Runtime:
    """The application's runtime."""
    found: Runtime = current_app.extensions["runtime"]
    return found


def now() -> datetime:
    """The request's one instant."""
    if "now" not in g:
        g.now = runtime().clock()
    instant: datetime = g.now
    return instant


def chosen() -> MerchantRow:
    """The merchant of this request. Raises NotFound; answers with the list to choose from where there are several."""
    if "merchant" not in g:
        g.merchants = list_merchants(runtime().database, now())
        g.merchant = _choose(g.merchants)
    merchant: MerchantRow = g.merchant
    return merchant


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


@contextmanager
def reading() -> Iterator[Session]:
    """One read-only transaction of the request's merchant; a page that takes too long is given up."""
    with runtime().begin(chosen().merchant_id, now()) as session:
        session.run(_BOUND, read_only="on", timeout=f"{PAGE_TIMEOUT_S}s")
        yield session


@contextmanager
def writing() -> Iterator[Session]:
    """One transaction of the request's merchant in which a form changes something; then the workers are woken."""
    with runtime().begin(chosen().merchant_id, now()) as session:
        session.run(_BOUND, read_only="off", timeout=f"{PAGE_TIMEOUT_S}s")
        yield session
    runtime().ring()


def carry_on(blueprint: Blueprint) -> None:
    """Have every link to the blueprint's pages carry the choice of the merchant."""

    @blueprint.app_url_defaults
    def add(endpoint: str, values: MutableMapping[str, Any]) -> None:
        asked = request.args.get("merchant") if has_request_context() else None
        if asked is not None and endpoint.startswith(f"{blueprint.name}."):
            values.setdefault("merchant", asked)
