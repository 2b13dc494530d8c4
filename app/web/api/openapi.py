"""The OpenAPI 3.1 document, written from the table of routes and the models that serve them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.web.api.incoming import JSON
from app.web.api.problem import MEANS, PROBLEM, Problem
from app.web.api.route import PREFIX, Route

TITLE = "Perpetual"
SCHEME = "key"
_REF = "#/components/schemas/{model}"
_ALWAYS = (400, 401, 406, 422, 429, 503)
_KEY_HEADER = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "description": "A new key for each thing to be done; the same when that is tried again. Kept for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]+$"},
}  # fmt: skip
_VERSION_HEADER = {
    "name": "If-Match", "in": "header", "required": True, "description": "The ETag of what is changed, or `*`.",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]+$"},
}  # fmt: skip

Schemas = Mapping[Any, Mapping[str, Any]]  # (model, mode) → its schema


def write_openapi(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document of these routes."""
    table = list(routes)
    schemas, shared = models_json_schema(sorted(_models(table), key=str), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version, "description": "One stock ledger; see docs/api.md."},
        "servers": [{"url": "/"}],
        "security": [{SCHEME: []}],
        "paths": paths,
        "components": {
            "schemas": shared["$defs"],
            "securitySchemes": {SCHEME: {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(routes: Iterable[Route]) -> set[tuple[type[BaseModel], JsonSchemaMode]]:
    models: set[tuple[type[BaseModel], JsonSchemaMode]] = {(Problem, "serialization")}
    for route in routes:
        models.add((route.query, "validation"))
        if route.body is not None:
            models.add((route.body, "validation"))
        if route.answer is not None:
            models.add((route.answer, "serialization"))
    return models


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.says,
        "tags": [route.path.split("/")[1]],
        "parameters": list(_parameters(route)),
        "responses": _responses(route, schemas),
    }
    if route.scope is not None:
        operation["description"] = f"Needs the scope `{route.scope}`."
    if route.body is not None:
        schema = schemas[route.body, "validation"]
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.places:
        schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    query = route.query.model_json_schema(ref_template=_REF)
    for name, schema in query.get("properties", {}).items():
        yield {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": _plain(schema)}
    if route.method == "POST":
        yield _KEY_HEADER
    elif route.versioned and not route.reads:
        yield _VERSION_HEADER


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query's value is there or not: null is no text."""
    found = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "title", "default")}
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    return {**rest, **found[0]} if len(found) == 1 else rest


def refusals_of(route: Route) -> list[int]:
    """Every status but the good one that the route answers with."""
    found = {*_ALWAYS, *route.refuses}
    if route.scope is not None:
        found.add(403)
    if route.places:
        found.add(404)
    if not route.reads:
        found |= {409, 413, 415}
    if route.versioned and route.reads:
        found.add(304)
    elif route.versioned and route.method != "POST":
        found |= {412, 428}
    return sorted(found)


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    good: dict[str, Any] = {"description": route.says}
    if route.answer is not None:
        good["content"] = {JSON: {"schema": schemas[route.answer, "serialization"]}}
    if route.versioned:
        good["headers"] = {"ETag": {"required": True, "schema": {"type": "string"}}}
    problem = {PROBLEM: {"schema": schemas[Problem, "serialization"]}}
    refused = {
        str(status): {"description": MEANS[status], **({} if status == 304 else {"content": problem})}
        for status in refusals_of(route)
    }
    return {str(route.status): good, **refused}
