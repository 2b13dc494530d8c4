"""The Admin GraphQL endpoint of a pretend shop: the real schema, executed by graphql-core, priced and throttled.

Costs follow the published rules (scalar 0, object 1, mutation 10, a connection times its size); what is measured on
real shops is lower, so whoever fits in here fits there. Texts are parsed, validated and analysed once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    execute_sync,
    parse,
    validate,
    visit,
)

from sandbox.base import Response
from sandbox.shopify.cost import Bucket, actual_cost, requested_cost
from sandbox.shopify.stock import BadInput

API_VERSION = "2026-10"
SCHEMA_FILE = "admin_2026-10.pruned.json"
COST_MAX = 1_000


@lru_cache
def introspection() -> dict[str, Any]:
    """The pruned schema as Shopify's introspection gives it, with `requiredAccess` and `isProtected`."""
    text = files(__package__).joinpath("schema", SCHEMA_FILE).read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)["data"]
    return schema


@lru_cache
def admin_schema() -> GraphQLSchema:
    """The pruned schema, executable."""
    raw: Any = introspection()
    return build_client_schema(raw, assume_valid=True)


@dataclass
class Endpoint:
    """Executes documents over `root`, a mapping of root fields to values or resolvers."""

    root: Mapping[str, Any]
    bucket: Bucket
    scopes: set[str]
    version: str = API_VERSION  # what it answers as; another one stands for a retired pin
    cost_max: int = COST_MAX
    _documents: dict[str, DocumentNode | list[GraphQLError]] = field(default_factory=dict)

    def execute(self, body: bytes, now: datetime) -> Response:
        """One request; always HTTP 200 once the body is a GraphQL request."""
        request = orjson.loads(body)
        document = self._document(request["query"])
        if isinstance(document, list):
            return self._answer({"errors": [{"message": error.message} for error in document]})
        operation = _operation(document, request.get("operationName"))
        variables = request.get("variables") or {}
        requested = requested_cost(admin_schema(), document, operation, variables)
        if requested > self.cost_max:
            return self._too_expensive(requested)
        if not self.bucket.take(requested, now):
            return self.throttled(requested, now)
        missing = _missing_scope(document, operation, variables, self.scopes)
        if missing:
            self.bucket.give_back(requested)
            text = f"Access denied for {missing} field."
            return self._answer({"errors": [{"message": text, "extensions": {"code": "ACCESS_DENIED"}}], "data": None})
        result = execute_sync(
            admin_schema(), document, root_value=self.root, variable_values=variables,
            operation_name=request.get("operationName"),
        )  # fmt: skip
        return self._executed(result, requested, now)

    def throttled(self, requested: int, now: datetime) -> Response:
        """Throttled in Shopify's way: status 200 and an error in the body."""
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return self._answer({"errors": [error], "extensions": self._cost(requested, None, now)})

    def _executed(self, result: ExecutionResult, requested: int, now: datetime) -> Response:
        actual = min(actual_cost(result.data), requested)
        self.bucket.give_back(requested - actual)
        body: dict[str, Any] = {"data": result.data, "extensions": self._cost(requested, actual, now)}
        if result.errors:
            body["errors"] = [_shown_error(error) for error in result.errors]
        return self._answer(body)

    def _too_expensive(self, requested: int) -> Response:
        text = f"Query cost is {requested}, which exceeds the single query max cost limit ({self.cost_max})."
        extensions = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": self.cost_max}
        return self._answer({"errors": [{"message": text, "extensions": extensions}]})

    def _cost(self, requested: int, actual: int | None, now: datetime) -> dict[str, Any]:
        status = {
            "maximumAvailable": float(self.bucket.size),
            "currentlyAvailable": int(self.bucket.available(now)),
            "restoreRate": float(self.bucket.restored_per_s),
        }
        return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}

    def _answer(self, body: Mapping[str, Any]) -> Response:
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Shopify-API-Version": self.version}
        return Response(200, headers, orjson.dumps(body))

    def _document(self, text: str) -> DocumentNode | list[GraphQLError]:
        if text not in self._documents:
            try:
                document = parse(text)
            except GraphQLError as error:
                return [error]
            self._documents[text] = validate(admin_schema(), document) or document
        return self._documents[text]


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return next(node for node in operations if name is None or (node.name is not None and node.name.value == name))


def _shown_error(error: GraphQLError) -> dict[str, Any]:
    code = error.original_error.code if isinstance(error.original_error, BadInput) else "INTERNAL_SERVER_ERROR"
    return {"message": error.message, "path": error.path, "extensions": {"code": code}}


class _Access(Visitor):
    """Collects the fields that need a scope: (name, any of these scopes)."""

    def __init__(self, info: TypeInfo, left_out: set[str]) -> None:
        super().__init__()
        self.info, self.left_out = info, left_out
        self.needed: list[tuple[str, frozenset[str]]] = []

    def enter_field(self, node: FieldNode, *_: object) -> Any:
        if node.name.value in self.left_out:
            return False
        parent = self.info.get_parent_type()
        scopes = _scopes_of(parent.name, node.name.value) if parent is not None else frozenset()
        if scopes:
            self.needed.append((node.name.value, scopes))
        return None


@lru_cache
def _access() -> dict[tuple[str, str], frozenset[str]]:
    """Scopes per field: those of the field itself, else those of the object it returns."""
    types = {entry["name"]: entry for entry in introspection()["__schema"]["types"]}
    needed = {}
    for entry in types.values():
        for field_ in entry.get("fields") or []:
            named = field_["type"]
            while named.get("ofType"):
                named = named["ofType"]
            text = field_.get("requiredAccess") or types[named["name"]].get("requiredAccess") or ""
            needed[entry["name"], field_["name"]] = frozenset(text.split(" Also")[0].split("`")[1::2])
    return needed


def _scopes_of(parent: str, name: str) -> frozenset[str]:
    return _access().get((parent, name), frozenset())


def _missing_scope(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any], scopes: set[str]
) -> str | None:
    """The first field that none of the granted scopes covers; `write_x` covers `read_x`."""
    granted = scopes | {scope.replace("write_", "read_", 1) for scope in scopes}
    left_out = frozenset({"return"} if variables.get("returns") is False else set())
    name = operation.name.value if operation.name else ""
    needed = _needed(_Text(document), name, left_out)
    return next((field_ for field_, alternatives in needed if not alternatives & granted), None)


@dataclass(frozen=True)
class _Text:
    """A document that hashes by identity, so that its analysis can be kept."""

    document: DocumentNode

    def __hash__(self) -> int:
        return id(self.document)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and other.document is self.document


@lru_cache(maxsize=200)
def _needed(text: _Text, operation: str, left_out: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Fields with scopes in one operation and in every fragment of its document."""
    info = TypeInfo(admin_schema())
    access = _Access(info, set(left_out))
    for node in text.document.definitions:
        if not isinstance(node, OperationDefinitionNode) or node.name is None or node.name.value == operation:
            visit(node, TypeInfoVisitor(info, access))
    return access.needed
