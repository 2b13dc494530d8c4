"""Bulk operations of a pretend shop: asked for, worked off in the background, left behind as a file of JSON lines.

The habits are Shopify's (2026-10): several at once and no more, a query with connections of limited number and depth,
children behind their parent only when grouping was asked for, a file that expires, and part of one when it failed. The
`next_*` fields bend the next operation or answer, as a test or a demo wants it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from graphql import (
    FieldNode,
    GraphQLError,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute_sync,
    get_named_type,
    parse,
    validate,
    visit,
)

from sandbox.base import Context, Request, Response
from sandbox.shopify.api import admin_schema
from sandbox.shopify.state import gid, number
from sandbox.shopify.views import BULK, connection

AT_ONCE_MAX = 5
CONNECTIONS_MAX = 5
DEPTH_MAX = 2  # of connections below the first
CREATED_S = 1.0  # before it runs
TAKES_S = 20.0
KEPT = timedelta(days=7)
_FILE = re.compile(r"/bulk/(\d+)\.jsonl")
_RANGE = re.compile(r"bytes=(\d+)-")
Row = dict[str, Any]


@dataclass
class Operation:
    """One operation. `error` set: it fails when its time has come, `partial` with what it had by then."""

    id: int
    query: str
    grouped: bool
    created_at: datetime
    takes_s: float
    error: str = ""
    partial: bool = False
    canceled: bool = False
    expired: bool = False
    body: bytes | None = None  # written when its time has come
    objects: int = 0


@dataclass
class Bulk:
    """The operations of one shop. `next_error` and `next_partial` are of the next operation to start, `spoil` bends the
    bytes of every file, `content` makes a file and the number of its objects without asking the shop, `at_once_max` is
    how many may run side by side, `ranges` False ignores a wish for a part."""

    context: Context
    root: Mapping[str, Any]
    next_id: Callable[[], int]
    origin: str = ""  # where the shop was last called
    operations: list[Operation] = field(default_factory=list)
    next_error: str = ""
    next_partial: bool = False
    takes_s: float = TAKES_S
    at_once_max: int = AT_ONCE_MAX
    ranges: bool = True
    spoil: Callable[[bytes], bytes] = lambda body: body
    content: Callable[[], tuple[bytes, int]] | None = None
    host: str = ""  # where files are said to lie, the shop itself when empty
    fetched: list[Request] = field(default_factory=list)

    # Root fields of the schema.

    def run_query(self, _info: object, query: str, groupObjects: bool = False) -> Row:
        """`bulkOperationRunQuery`."""
        fault = _fault(query)
        if fault:
            return _refusal("INVALID", fault)
        if sum(self._status(operation) in ("CREATED", "RUNNING") for operation in self.operations) >= self.at_once_max:
            return _refusal(
                "OPERATION_IN_PROGRESS", "A bulk query operation for this app and shop is already in progress"
            )
        made = Operation(
            self.next_id(), query, groupObjects, self.context.now(), self.takes_s, self.next_error, self.next_partial
        )
        self.next_error, self.next_partial = "", False
        self.operations.append(made)
        return {"bulkOperation": self._view(made), "userErrors": []}

    def find(self, _info: object, id: str) -> Row | None:
        """`bulkOperation`."""
        return next((self._view(found) for found in self.operations if found.id == number(id)), None)

    def recent(self, info: object, **page: Any) -> Row:
        """`bulkOperations`, newest first."""
        return connection(self.operations[::-1], self._view)(info, **page)

    # What becomes of them.

    def cancel(self) -> None:
        """Cancel what runs."""
        for operation in self.operations:
            operation.canceled |= self._status(operation) in ("CREATED", "RUNNING")

    def expire(self) -> None:
        """The files that are there have outlived their days."""
        for operation in self.operations:
            operation.expired |= self._status(operation) in ("COMPLETED", "FAILED")

    def serve(self, request: Request) -> Response | None:
        """The file at this address, None for another address."""
        match = _FILE.fullmatch(request.path)
        if match is None or request.method != "GET":
            return None
        self.fetched.append(request)
        operation = next((found for found in self.operations if found.id == int(match.group(1))), None)
        if operation is None or operation.body is None or self._status(operation) == "EXPIRED":
            return Response(403, {"Content-Type": "application/xml"}, b"<Error><Code>ExpiredToken</Code></Error>")
        body, headers = self.spoil(operation.body), {"Content-Type": "application/jsonl"}
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        if wanted is None or not self.ranges:
            return Response(200, headers, body)
        start = int(wanted.group(1))
        if start >= len(body):
            return Response(416, headers, b"")
        told = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        return Response(206, {**headers, **told}, body[start:])

    def _status(self, operation: Operation) -> str:
        now = self.context.now()
        age_s = (now - operation.created_at).total_seconds()
        if operation.canceled:
            return "CANCELED"
        if operation.expired or age_s > KEPT.total_seconds():
            return "EXPIRED"
        if age_s < CREATED_S:
            return "CREATED"
        if age_s < operation.takes_s:
            return "RUNNING"
        return "FAILED" if operation.error else "COMPLETED"

    def _view(self, operation: Operation) -> Row:
        status = self._status(operation)
        if status in ("COMPLETED", "FAILED") and operation.body is None:
            self._write(operation)
        there = bool(operation.body) and status in ("COMPLETED", "FAILED")
        url = f"{self.host or self.origin}/bulk/{operation.id}.jsonl" if there else None
        return {
            "id": gid("BulkOperation", operation.id),
            "status": status,
            "errorCode": operation.error if status == "FAILED" else None,
            "query": operation.query,
            "createdAt": operation.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "objectCount": str(operation.objects),
            "fileSize": str(len(operation.body or b"")) if status == "COMPLETED" else None,
            "url": url if status == "COMPLETED" else None,
            "partialDataUrl": url if status == "FAILED" and operation.partial else None,
        }

    def _write(self, operation: Operation) -> None:
        if self.content is not None:
            operation.body, operation.objects = self.content()
            return
        result = execute_sync(admin_schema(), parse(operation.query), root_value=self.root, context_value=BULK)
        rows = list(_rows(result.data or {}, None))
        if not operation.grouped:
            rows.sort(key=lambda row: "__parentId" in row)
        if operation.error:
            rows = rows[: len(rows) * 2 // 3]
        operation.objects = len(rows)
        operation.body = b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _rows(data: Mapping[str, Any], parent: str | None) -> Iterator[Row]:
    """The objects of all connections in `data`, each followed by its own."""
    for value in data.values():
        if isinstance(value, dict) and "edges" in value:
            for edge in value["edges"]:
                row, below = _row(edge["node"])
                if parent is not None:
                    row["__parentId"] = parent
                yield row
                yield from _rows(below, str(row.get("id")))


def _row(node: Mapping[str, Any]) -> tuple[Row, Row]:
    """A node without its connections, and those."""
    row: Row = {}
    below: Row = {}
    for name, value in node.items():
        if isinstance(value, dict) and "edges" in value:
            below[name] = value
        elif isinstance(value, dict):
            row[name], deeper = _row(value)
            below |= deeper
        else:
            row[name] = value
    return row, below


class _Connections(Visitor):
    """Counts connections and how deep they lie in one another."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info, self.count, self.depth, self.deepest = info, 0, 0, 0

    def _is_connection(self) -> bool:
        type_ = self.info.get_type()
        return type_ is not None and get_named_type(type_).name.endswith("Connection")

    def enter_field(self, _node: FieldNode, *_: object) -> None:
        if self._is_connection():
            self.count, self.depth = self.count + 1, self.depth + 1
            self.deepest = max(self.deepest, self.depth)

    def leave_field(self, _node: FieldNode, *_: object) -> None:
        self.depth -= self._is_connection()


def _fault(query: str) -> str:
    """Why the shop would not run this query; empty when it would."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return error.message
    errors = validate(admin_schema(), document)
    if errors:
        return errors[0].message
    info = TypeInfo(admin_schema())
    found = _Connections(info)
    visit(document, TypeInfoVisitor(info, found))
    if not 1 <= found.count <= CONNECTIONS_MAX:
        return f"Bulk queries must contain one to {CONNECTIONS_MAX} connections"
    return (
        "Bulk queries cannot contain connections with a nesting depth greater than 2"
        if (found.deepest > DEPTH_MAX + 1)
        else ""
    )


def _refusal(code: str, message: str) -> Row:
    return {"bulkOperation": None, "userErrors": [{"code": code, "field": ["query"], "message": message}]}
