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
from connectors.errors import ChannelError, Malformed, OutcomeUnknown, Refused, Throttled
from connectors.http import RETRY_AFTER_MAX_S, Answer, Http
from connectors.shopify.errors import GRAPHQL_ERRORS, UNKNOWN_EXECUTION_ERROR, UNKNOWN_REQUEST_ERROR

API_VERSION = "2026-10"
COST_MAX = 1_000  # of one query, checked against the requested cost before it runs
COST_AIM = 800
ANSWERED_S = 10.0  # a write's answer; later, asking again under the same key tells what became of it sooner
RESERVE = 50  # points that reading leaves to writes
STEADY_S = 5  # one page uses at most what the bucket restores in so many seconds
POINTS_MAX = 10_000_000  # of anything that a shop tells about costs; beyond it nothing is believed
IMPORTS_MAX = 20
PAGES_MAX = 2_500
_IMPORT = "#import "
_log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost and what is left, in points; None where the shop does not say, or says what can't be."""

    requested: float | None = None
    actual: float | None = None
    available: float | None = None
    restored_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """`data` of a good answer and what it cost; `version` as the shop answered it."""

    data: dict[str, Any]
    cost: Cost
    version: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a connection; `cursor` where the next one begins, None on the last."""

    nodes: list[dict[str, Any]]
    cursor: str | None


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
        body, headers = _body(name, variables, None), _headers(shop)
        answer = http.write("POST", _endpoint(shop), data=body, headers=headers, within_s=ANSWERED_S)
        error = failure(answer, write=True)
    except Malformed as unreadable:
        raise OutcomeUnknown("unreadable_answer", unreadable.detail) from unreadable
    if error is not None:
        raise error
    return _reply(answer, shop)


def failure(answer: Answer, *, write: bool) -> ChannelError | None:
    """The error that an answer with status 200 stands for. Raises `Malformed` when it is no GraphQL answer. A mutation
    that answered was carried out, whatever else went wrong: its answer counts."""
    body = answer.json()
    if not isinstance(body, dict):
        raise Malformed("wrong_type", "a GraphQL answer is an object")
    errors = body.get("errors")
    if errors and not (write and _has_payload(body)):
        first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {"message": str(errors)}
        return _graphql_error(first, body, write=write)
    if not isinstance(body.get("data"), dict):
        raise Malformed("missing_field", "neither data nor errors", field="data")
    return None


def page_of(parent: object, name: str, after: str | None = None) -> Page:
    """The page of connection `name`. Raises `Malformed` for what is no page, and for a cursor that does not move: it
    would be read for ever."""
    if not isinstance(parent, dict) or not isinstance(parent.get(name), dict):
        raise Malformed("missing_field", "expected a connection", field=name)
    nodes, here = parent[name].get("nodes"), parent[name].get("pageInfo")
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise Malformed("wrong_type", "expected a list of objects", field=f"{name}.nodes")
    if not isinstance(here, dict) or not isinstance(here.get("hasNextPage"), bool):
        raise Malformed("missing_field", "does not say whether it is the last page", field=f"{name}.pageInfo")
    if not here["hasNextPage"]:
        return Page(nodes, None)
    cursor = here.get("endCursor")
    if not isinstance(cursor, str) or cursor == after or not nodes:
        raise Malformed("cursor_stuck", "says that there is more, but not where", field=f"{name}.pageInfo.endCursor")
    return Page(nodes, cursor)


def nodes_of(reply: Reply, wanted: Sequence[str]) -> list[dict[str, Any] | None]:
    """The answer to `nodes(ids:)`: one object or null for each of `wanted`, in their order. Raises `Malformed`."""
    nodes = reply.data.get("nodes")
    if not isinstance(nodes, list) or len(nodes) != len(wanted):
        raise Malformed("wrong_type", "expected one entry for each id", field="nodes")
    for node, key in zip(nodes, wanted, strict=True):
        if node is not None and (not isinstance(node, dict) or node.get("id", key) != key):
            raise Malformed("wrong_type", "expected the object that was asked for, or null", field="nodes")
    return nodes


def in_slices(
    items: Sequence[T], size: int, fetch: Callable[[Sequence[T]], tuple[Sequence[R], Cost]], *, largest: int
) -> list[R]:
    """`fetch` over slices of `items`, as large as the costs told so far allow, and smaller for as long as the shop
    finds one too expensive."""
    results: list[R] = []
    at = 0
    while at < len(items):
        try:
            found, cost = fetch(items[at : at + size])
        except (Refused, Throttled) as error:
            size = smaller(error, size)
        else:
            at += size
            results += found
            size = next_size(size, cost, largest)
    return results


def smaller(error: ChannelError, size: int) -> int:
    """What to ask for instead of a size that was too expensive: half; or that did not fit into the bucket even after a
    wait: a quarter, or a poor bucket would be waited for again and again. Raises the error when it is another one, or
    when there is nothing smaller."""
    if size == 1:
        raise error
    if isinstance(error, Throttled):
        return max(1, size // 4)
    if error.reason != "max_cost_exceeded":
        raise error
    return size // 2


def next_size(size: int, cost: Cost, largest: int) -> int:
    """How many to ask for next, by what `size` of them cost: the reservation fits into what the bucket holds now (and
    under `COST_AIM`), and what is used of it is restored within `STEADY_S`. At most twice as many as before."""
    fitting = float(min(size * 2, largest))
    if cost.requested:
        aim = COST_AIM if cost.available is None else min(COST_AIM, cost.available - RESERVE)
        fitting = min(fitting, size * aim / cost.requested)
    if cost.actual and cost.restored_per_s:
        fitting = min(fitting, size * cost.restored_per_s * STEADY_S / cost.actual)
    return max(1, int(fitting))


def _has_payload(body: Mapping[str, Any]) -> bool:
    return any(isinstance(payload, dict) for payload in _object(body, "data").values())


def _graphql_error(error: Mapping[str, Any], body: Mapping[str, Any], *, write: bool) -> ChannelError:
    extensions = error.get("extensions")
    code = str(extensions.get("code", "")) if isinstance(extensions, dict) else ""
    unknown = UNKNOWN_EXECUTION_ERROR if "data" in body else UNKNOWN_REQUEST_ERROR
    read_kind, write_kind, reason = GRAPHQL_ERRORS.get(code, unknown)
    wait_s = _restored_in_s(body) if reason == "throttled" else None
    detail = str(error.get("message", ""))[:200]
    return (write_kind if write else read_kind)(reason, detail, retry_after_s=wait_s)


def _restored_in_s(body: Mapping[str, Any]) -> float:
    """Seconds until the bucket holds what the query asked for; one second where the shop does not say."""
    cost = _cost(body)
    if cost.requested is None or cost.available is None or not cost.restored_per_s:
        return 1.0
    return min(max((cost.requested - cost.available) / cost.restored_per_s, 0.0), RETRY_AFTER_MAX_S)


def _cost(body: Mapping[str, Any]) -> Cost:
    cost = _object(_object(body, "extensions"), "cost")
    status = _object(cost, "throttleStatus")
    return Cost(
        requested=_points(cost.get("requestedQueryCost")),
        actual=_points(cost.get("actualQueryCost")),
        available=_points(status.get("currentlyAvailable")),
        restored_per_s=_points(status.get("restoreRate")),
    )


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _points(value: object) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= POINTS_MAX
    return float(value) if good else None  # type: ignore[arg-type]


def _judge_read(answer: Answer) -> ChannelError | None:
    return failure(answer, write=False)


def _reply(answer: Answer, shop: Shop) -> Reply:
    body = answer.json()
    version = answer.headers.get("x-shopify-api-version", "")
    if version and version != API_VERSION:
        _log.warning(
            "%s answers as API version %s, not %s: the pin has been retired", shop.domain, version, API_VERSION
        )
    return Reply(body["data"], _cost(body), version)


def _endpoint(shop: Shop) -> str:
    return f"{shop.base_url}/admin/api/{API_VERSION}/graphql.json"


def _headers(shop: Shop) -> dict[str, str]:
    return {"X-Shopify-Access-Token": shop.credentials["access_token"], "Content-Type": "application/json"}


def _body(name: str, variables: Mapping[str, object], operation: str | None) -> bytes:
    body: dict[str, object] = {"query": document(name), "variables": variables}
    if operation is not None:
        body["operationName"] = operation
    return orjson.dumps(body)
