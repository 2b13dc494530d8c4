"""Our documents against the real Admin schema (2026-10, pruned), and what the schema can't see."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    parse,
    validate,
    visit,
)

from connectors.base import StockKey, StockWrite
from connectors.shopify import graphql, stock
from connectors.shopify.errors import GRAPHQL_ERRORS, USER_ERRORS
from connectors.shopify.shop import SCOPES, TOPICS

SCHEMA_FOLDER = Path("sandbox/shopify/schema")
RAW = json.loads((Path(__file__).parents[3] / SCHEMA_FOLDER / "admin_2026-10.pruned.json").read_text("utf-8"))["data"]
TYPES: dict[str, Any] = {entry["name"]: entry for entry in RAW["__schema"]["types"]}
QUERIES = sorted(
    entry.name.removesuffix(".graphql")
    for entry in files("connectors.shopify").joinpath("queries").iterdir()
    if entry.name.endswith(".graphql")
)
WHOLE = [name for name in QUERIES if name not in ("order_stock", "order_parts")]  # those two are only imported
# Where Shopify enforces @idempotent at run time since 2026-04, although the schema does not say so.
IDEMPOTENT = {
    "inventorySetQuantities", "inventoryAdjustQuantities", "inventoryMoveQuantities", "inventorySetOnHandQuantities",
    "inventoryActivate", "inventoryShipmentCreate", "inventoryShipmentCreateInTransit", "inventoryShipmentAddItems",
    "inventoryShipmentReceive", "inventoryTransferCreate", "inventoryTransferCreateAsReadyToShip",
    "inventoryTransferDuplicate", "inventoryTransferSetItems", "locationActivate", "locationDeactivate", "refundCreate",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_client_schema(RAW, assume_valid=True)


def parsed(name: str) -> DocumentNode:
    return parse(graphql.document(name))


def selected(schema: GraphQLSchema, document: DocumentNode) -> set[tuple[str, str]]:
    """(type, field) of every field a document selects."""
    info, found = TypeInfo(schema), set()

    class Collect(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent = info.get_parent_type()
            if parent is not None:
                found.add((parent.name, node.name.value))

    visit(document, TypeInfoVisitor(info, Collect()))
    return found


def marked(key: str) -> dict[tuple[str, str], Any]:
    return {
        (entry["name"], field["name"]): field[key]
        for entry in TYPES.values()
        for field in entry.get("fields") or []
        if field.get(key)
    }


@pytest.mark.parametrize("name", WHOLE)
def test_every_document_is_valid_against_the_pinned_schema(schema: GraphQLSchema, name: str) -> None:
    assert validate(schema, parsed(name)) == []


def test_no_document_selects_protected_customer_data(schema: GraphQLSchema) -> None:
    protected = set(marked("isProtected"))
    assert ("Order", "email") in protected
    assert {field for name in WHOLE for field in selected(schema, parsed(name))} & protected == set()
    assert selected(schema, parse("{ orders(first: 1) { nodes { email } } }")) & protected


@pytest.mark.parametrize("name", WHOLE)
def test_every_mutation_that_needs_it_carries_an_idempotency_key(name: str) -> None:
    for operation in parsed(name).definitions:
        if isinstance(operation, OperationDefinitionNode) and operation.operation.value == "mutation":
            for node in operation.selection_set.selections:
                assert isinstance(node, FieldNode)
                directives = {directive.name.value for directive in node.directives or ()}
                assert ("idempotent" in directives) == (node.name.value in IDEMPOTENT)


def test_the_scopes_we_ask_for_cover_every_field_that_needs_one(schema: GraphQLSchema) -> None:
    granted = set(SCOPES) | {scope.replace("write_", "read_") for scope in SCOPES}
    access = marked("requiredAccess")
    for field in {field for name in WHOLE for field in selected(schema, parsed(name))} & set(access):
        alternatives = set(re.findall(r"`(\w+)`", access[field].split(" Also")[0]))
        assert not alternatives or alternatives & granted, field  # bulk operations ask for a kind of token, not a scope


def test_every_topic_we_subscribe_to_exists() -> None:
    assert set(TOPICS) <= {value["name"] for value in TYPES["WebhookSubscriptionTopic"]["enumValues"]}


def test_the_table_of_refusals_knows_every_code_of_the_pinned_schema() -> None:
    codes = {
        value["name"]
        for name, entry in TYPES.items()
        if name.endswith("UserErrorCode")
        for value in entry["enumValues"]
    }
    assert len(codes) > 20
    assert codes - set(USER_ERRORS) == set()
    assert set(USER_ERRORS) - codes == set()


def test_the_table_of_graphql_errors_knows_every_code_that_is_documented() -> None:
    documented = {"THROTTLED", "MAX_COST_EXCEEDED", "ACCESS_DENIED", "SHOP_INACTIVE", "INTERNAL_SERVER_ERROR"}
    assert set(GRAPHQL_ERRORS) == documented


@pytest.mark.parametrize("relative", [False, True])
def test_every_row_says_what_it_compares_with_even_when_that_is_nothing(relative: bool) -> None:
    # Shopify demands the field, although the schema makes it optional: null means "do not compare".
    rows = [StockWrite(StockKey(f"i{n}", "l"), expected=5, target=n, relative=relative) for n in range(3)]
    sent = stock.write_input(rows, "k")
    listed = sent["changes" if relative else "quantities"]
    assert isinstance(listed, list)
    assert [row["changeFromQuantity"] for row in listed] == [None if relative else 5] * 3
    assert sent["reason"] in stock.REASONS
    assert len(stock.REASONS) == 17
    assert sent["name"] == "available"
    assert sent["referenceDocumentUri"] == "gid://perpetual/Push/k"
    assert all("ledgerDocumentUri" not in row for row in listed)


def test_the_schema_travels_with_its_licence() -> None:
    text = (Path(__file__).parents[3] / SCHEMA_FOLDER / "LICENSE-shopify.txt").read_text("utf-8")
    assert "ISC License" in text
    assert "Shopify Inc." in text
