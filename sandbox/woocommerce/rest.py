"""The REST API's frame: routes, bodies, headers and errors. What a route does is in `rest_products`, `rest_orders` and
`rest_site`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from sandbox.base import Request, Response
from sandbox.woocommerce.access import Access
from sandbox.woocommerce.problem import Problem, invalid
from sandbox.woocommerce.query import Page, Query
from sandbox.woocommerce.state import State
from sandbox.woocommerce.wire import Json, encode

BATCH_MAX = 100
NO_CACHE = {
    "Expires": "Wed, 11 Jan 1984 05:00:00 GMT",
    "Cache-Control": "no-cache, must-revalidate, max-age=0, no-store, private",
}


@dataclass(slots=True)
class Call:
    """One call: the ids in its path, its parameters and its body; `headers` are added to the answer."""

    method: str
    ids: list[int]
    names: list[str]
    query: Query
    body: Json
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200

    def paged(self, page: Page, *, total: int | None = None) -> None:
        """Announce a list's size."""
        self.headers["X-WP-Total"] = str(page.total if total is None else total)
        self.headers["X-WP-TotalPages"] = str(page.last)
        links = self.query.links(page)
        if links:
            self.headers["Link"] = links

    def created(self, location: str) -> None:
        """201 with where it is."""
        self.status = 201
        self.headers["Location"] = location


Act = Callable[[Call], object]


@dataclass(frozen=True, slots=True)
class Route:
    """A path (`#` an id, `*` a name) and what each method does there."""

    path: str
    acts: Mapping[str, Act]
    public: bool = False

    def pattern(self) -> re.Pattern[str]:
        """The path as a pattern."""
        return re.compile(re.escape(self.path).replace(r"\#", r"(\d+)").replace(r"\*", r"([a-z0-9_]+)") + r"/?\Z")


class Rest:
    """Finds the route, checks who asks, answers as WordPress would."""

    def __init__(self, state: State, routes: Iterable[Route]) -> None:
        self._state = state
        self._access = Access(state)
        self._routes = [(route.pattern(), route) for route in routes]

    def answer(self, request: Request) -> Response:
        """One request."""
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Robots-Tag": "noindex",
            "Link": f'<{self._state.options.base_url}/wp-json/>; rel="https://api.w.org/"',
            "X-Content-Type-Options": "nosniff",
            "Access-Control-Expose-Headers": "X-WP-Total, X-WP-TotalPages, Link",
        }
        try:
            call, route = self._call(request)
            headers["Allow"] = ", ".join(route.acts)
            if not route.public:
                self._access.check(request)
                headers.update(NO_CACHE)
            value = _method(route, call.method)(call)
        except Problem as problem:
            return Response(problem.status, headers, encode(problem.body()))
        headers.update(call.headers)
        return Response(call.status, headers, encode(value))

    def _call(self, request: Request) -> tuple[Call, Route]:
        path = f"/wp-json{dict(request.query).get('rest_route', '')}" if request.path == "/" else request.path
        for pattern, route in self._routes:
            match = pattern.match(path)
            if match:
                parts = match.groups()
                ids = [int(part) for part in parts if part.isdigit()]
                names = [part for part in parts if not part.isdigit()]
                call = Call(_meant(request), ids, names, Query(request, self._state.zone), _json(request))
                return call, route
        raise _no_route()


def _meant(request: Request) -> str:
    """The method that a call means: WordPress takes one in the query before one in a header before its own."""
    overriding = request.headers.get("x-http-method-override", request.method)
    return (dict(request.query).get("_method") or overriding).upper()


def _method(route: Route, method: str) -> Act:
    act = route.acts.get(method)
    if act is None:
        raise _no_route()
    return act


def _json(request: Request) -> Json:
    if not request.body or "json" not in request.headers.get("content-type", ""):
        return {}
    try:
        value = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "rest_invalid_json", "Invalid JSON body passed.") from error
    return value if isinstance(value, dict) else {}


def _no_route() -> Problem:
    return Problem(404, "rest_no_route", "No route was found matching the URL and request method.")


def batch(call: Call, acts: dict[str, Callable[[Json], object]]) -> Json:
    """create, update and delete in one call: no transaction, each item its own result, 200 whatever happens."""
    lists = {name: call.body.get(name) or [] for name in ("create", "update", "delete")}
    counted = [items for items in lists.values() if isinstance(items, list)]
    if sum(map(len, counted)) > BATCH_MAX:
        text = f"Unable to accept more than {BATCH_MAX} items for this request."
        raise Problem(413, "woocommerce_rest_request_entity_too_large", text)
    answer: Json = {}
    for name, items in lists.items():
        if isinstance(items, list) and items and name in acts:
            answer[name] = [_item(acts[name], item) for item in items]
    return answer


def _item(act: Callable[[Json], object], item: object) -> object:
    body: Json = item if isinstance(item, dict) else {"id": item}
    try:
        return act(body)
    except Problem as problem:
        return {"id": body.get("id", 0), "error": problem.body()}


def whole(body: Json, name: str) -> int | None:
    """An integer of a body, validated as a single call does. Raises 400."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str) and re.match(r"-?\d+\Z", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise invalid(name, f"{name} is not of type integer.", "rest_invalid_type")
    return int(value)
