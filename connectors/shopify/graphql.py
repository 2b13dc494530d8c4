"""One GraphQL call to a shop's Admin API: post a document, name every failure, say what it cost.

The version is pinned. A retired version silently falls forward to the oldest supported one (versioning page, 2026-11),
so an answer from another version is logged here and shown as a fact by `shop.read_facts`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeVar

import orjson

from connectors.base import Shop
from connectors.errors import ChannelError, Malformed, OutcomeUnknown, Refused
from connectors.http import Answer, Http
from connectors.shopify.errors import GRAPHQL_ERRORS, UNKNOWN_GRAPHQL_ERROR

API_VERSION = "2026-10"
COST_MAX = 1_000  # of one query, checked against the requested cost before it runs
COST_AIM = 800
IMPORTS_MAX = 20
PAGES_MAX = 2_500
_IMPORT = "#import "
_log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reply:
    """`data` of a good answer. `requested_cost` in points, 0 when not told; `version` as the shop answered it."""

    data: dict[str, Any]
    requested_cost: int
    version: str


@lru_cache
def document(name: str) -> str:
    """The text of `queries/<name>.graphql` with the files that it imports, each once."""
    texts: dict[str, str] = {}
    todo = [name]
    while todo and len(texts) < IMPORTS_MAX:
        current = todo.pop(0)
        if current not in texts:
            texts[current] = files(__package__).joinpath("queries", f"{current}.graphql").read_text("utf-8")
            lines = texts[current].splitlines()
            todo += [line.removeprefix(_IMPORT).strip() for line in lines if line.startswith(_IMPORT)]
    return "\n".join(texts.values())


def query(http: Http, shop: Shop, name: str, variables: Mapping[str, object], operation: str | None = None) -> Reply:
    """Run a query of `queries/`. Throttling is waited out when it fits into `http`'s patience, else `Throttled`.

    Raises `Refused("max_cost_exceeded")` when the page asked for is too large: ask for half.
    """
    answer = http.read(
        "POST", _endpoint(shop), judge=_judge_read, data=_body(name, variables, operation), headers=_headers(shop)
    )
    return _reply(answer, shop)


def mutate(http: Http, shop: Shop, name: str, variables: Mapping[str, object]) -> Reply:
    """Run a mutation once. Raises `Throttled` or `Transient` (same key again), or `OutcomeUnknown`."""
    try:
        answer = http.write("POST", _endpoint(shop), data=_body(name, variables, None), headers=_headers(shop))
        error = failure(answer, write=True)
    except Malformed as unreadable:
        raise OutcomeUnknown("unreadable_answer", unreadable.detail) from unreadable
    if error is not None:
        raise error
    return _reply(answer, shop)


def failure(answer: Answer, *, write: bool) -> ChannelError | None:
    """The error that an answer with status 200 stands for. Raises `Malformed` when it is no GraphQL answer."""
    body = answer.json()
    if not isinstance(body, dict):
        raise Malformed("wrong_type", "a GraphQL answer is an object")
    errors = body.get("errors")
    if errors:
        first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {"message": str(errors)}
        return _graphql_error(first, body, write=write)
    if not isinstance(body.get("data"), dict):
        raise Malformed("missing_field", "neither data nor errors", field="data")
    return None


def in_halves(items: Sequence[T], size: int, fetch: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """`fetch` over slices of `items`, the slice halved for as long as the shop finds it too expensive."""
    results: list[R] = []
    at = 0
    while at < len(items):
        try:
            results += fetch(items[at : at + size])
        except Refused as error:
            if error.reason != "max_cost_exceeded" or size == 1:
                raise
            size = max(1, size // 2)
        else:
            at += size
    return results


def next_size(size: int, requested_cost: int, largest: int) -> int:
    """How many to ask for next, so that the cost the shop itself told stays under `COST_AIM`; at most twice as many."""
    fitting = size * COST_AIM // requested_cost if requested_cost > 0 else size
    return max(1, min(fitting, size * 2, largest))


def _graphql_error(error: Mapping[str, Any], body: Mapping[str, Any], *, write: bool) -> ChannelError:
    extensions = error.get("extensions")
    code = str(extensions.get("code", "")) if isinstance(extensions, dict) else ""
    read_kind, write_kind, reason = GRAPHQL_ERRORS.get(code, UNKNOWN_GRAPHQL_ERROR)
    wait_s = _restored_in_s(body) if reason == "throttled" else None
    detail = str(error.get("message", ""))[:200]
    return (write_kind if write else read_kind)(reason, detail, retry_after_s=wait_s)


def _restored_in_s(body: Mapping[str, Any]) -> float | None:
    """Seconds until the bucket holds what the query asked for; one second where the shop does not say."""
    cost = _cost(body)
    status = cost.get("throttleStatus") or {}
    try:
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(missing / float(status["restoreRate"]), 0.0)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 1.0


def _cost(body: Mapping[str, Any]) -> Mapping[str, Any]:
    extensions = body.get("extensions")
    cost = extensions.get("cost") if isinstance(extensions, dict) else None
    return cost if isinstance(cost, dict) else {}


def _judge_read(answer: Answer) -> ChannelError | None:
    return failure(answer, write=False)


def _reply(answer: Answer, shop: Shop) -> Reply:
    body = answer.json()
    version = answer.headers.get("x-shopify-api-version", "")
    if version and version != API_VERSION:
        _log.warning(
            "%s answers as API version %s, not %s: the pin has been retired", shop.domain, version, API_VERSION
        )
    cost = _cost(body).get("requestedQueryCost")
    return Reply(body["data"], cost if isinstance(cost, int) else 0, version)


def _endpoint(shop: Shop) -> str:
    return f"{shop.base_url}/admin/api/{API_VERSION}/graphql.json"


def _headers(shop: Shop) -> dict[str, str]:
    return {"X-Shopify-Access-Token": shop.credentials["access_token"], "Content-Type": "application/json"}


def _body(name: str, variables: Mapping[str, object], operation: str | None) -> bytes:
    body: dict[str, object] = {"query": document(name), "variables": variables}
    if operation is not None:
        body["operationName"] = operation
    return orjson.dumps(body)
