"""The simulator says everything by which a connector knows a refusal."""

from __future__ import annotations

from app.simulation.answers import GRAPHQL_CODES, WOO_CODES, WOO_SENTENCES
from app.simulation.whims import SHOPIFY, WOO_BEFORE
from connectors.shopify.errors import GRAPHQL_ERRORS
from connectors.woocommerce.errors import CODES, ITEM_CODES, SENTENCES
from sandbox.shopify.api import introspection


def test_every_code_of_a_call_is_said() -> None:
    assert set(GRAPHQL_CODES) == set(GRAPHQL_ERRORS)
    assert {code for codes in WOO_CODES.values() for code in codes} == set(CODES)
    assert set(WOO_SENTENCES) == {text for text, _, _ in SENTENCES}


def test_every_code_that_the_schema_has_for_a_number_and_every_one_of_an_item_of_a_batch_is_said() -> None:
    types = {entry["name"]: entry for entry in introspection()["__schema"]["types"]}
    named = {
        value["name"]
        for mutation in ("InventoryAdjustQuantities", "InventorySetQuantities")
        for value in types[f"{mutation}UserErrorCode"]["enumValues"]
    }
    assert named - {"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"} <= set(SHOPIFY)
    assert {code for code, _ in WOO_BEFORE} == set(ITEM_CODES)
