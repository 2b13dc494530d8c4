"""What Shopify's own error codes mean for the caller: one table for GraphQL errors, one for what mutations refuse.

Both are complete against the pinned schema (a test fails when a code is missing). Source: the code's own text in the
schema of 2026-10; the advice for each is the project's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from connectors.errors import AccessDenied, ChannelError, NeverApplied, OutcomeUnknown, Refused, Throttled, Transient

# errors[].extensions.code of an answer with status 200: (reading, writing, reason)
GRAPHQL_ERRORS: Mapping[str, tuple[type[ChannelError], type[ChannelError], str]] = {
    "THROTTLED": (Throttled, Throttled, "throttled"),
    "MAX_COST_EXCEEDED": (Refused, Refused, "max_cost_exceeded"),
    "ACCESS_DENIED": (AccessDenied, AccessDenied, "access_denied"),
    "SHOP_INACTIVE": (AccessDenied, AccessDenied, "shop_inactive"),
    "INTERNAL_SERVER_ERROR": (Transient, OutcomeUnknown, "internal_server_error"),
}
# A code that nobody told us of. Without `data` the request was refused before any of it was carried out (GraphQL's
# specification, "Errors"); with it, even null, something may have been.
UNKNOWN_REQUEST_ERROR = (Refused, Refused, "graphql_error")
UNKNOWN_EXECUTION_ERROR = (Refused, OutcomeUnknown, "graphql_error")


class Row(Enum):
    """A refusal of one row: the others of its batch are not to blame."""

    CONFLICT = "conflict"
    BUNDLE_PARENT = "bundle_parent"
    ITEM_GONE = "gone"
    LOCATION_GONE = "location_gone"
    OUT_OF_RANGE = "quantity_out_of_range"
    UNKNOWN = "user_error"  # a code newer than our pin, or none


@dataclass(frozen=True, slots=True)
class Call:
    """A refusal of the whole call, as the error to raise."""

    error: type[ChannelError]
    reason: str


_BUG = Refused
USER_ERRORS: Mapping[str, Row | Call] = {
    "CHANGE_FROM_QUANTITY_STALE": Row.CONFLICT,
    "COMPARE_QUANTITY_STALE": Row.CONFLICT,  # of a field that is gone since 2026-04, but still in the enum
    "NON_MUTABLE_INVENTORY_ITEM": Row.BUNDLE_PARENT,
    "INVALID_INVENTORY_ITEM": Row.ITEM_GONE,
    "INVALID_LOCATION": Row.LOCATION_GONE,
    "INVALID_QUANTITY_NEGATIVE": Row.OUT_OF_RANGE,
    "INVALID_QUANTITY_TOO_HIGH": Row.OUT_OF_RANGE,
    "INVALID_QUANTITY_TOO_LOW": Row.OUT_OF_RANGE,
    "IDEMPOTENCY_CONCURRENT_REQUEST": Call(Transient, "idempotency_concurrent_request"),  # wait, same key
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": Call(_BUG, "idempotency_key_parameter_mismatch"),
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": Call(NeverApplied, "idempotency_previous_attempt_failed"),
    "OPERATION_IN_PROGRESS": Call(Transient, "export_busy"),
    "LIMIT_REACHED": Call(Transient, "export_busy"),
    "INVALID": Call(_BUG, "export_refused"),
    "ADJUST_QUANTITIES_FAILED": Call(Transient, "adjust_quantities_failed"),
    "SERVICE_UNAVAILABLE": Call(Transient, "service_unavailable"),
    "COMPARE_QUANTITY_REQUIRED": Call(_BUG, "compare_quantity_required"),
    "INVALID_NAME": Call(_BUG, "invalid_name"),
    "INVALID_REASON": Call(_BUG, "invalid_reason"),
    "INVALID_REFERENCE_DOCUMENT": Call(_BUG, "invalid_reference_document"),
    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": Call(_BUG, "duplicate_row"),
    "INTERNAL_LEDGER_DOCUMENT": Call(_BUG, "internal_ledger_document"),
    "INVALID_AVAILABLE_DOCUMENT": Call(_BUG, "invalid_available_document"),
    "INVALID_LEDGER_DOCUMENT": Call(_BUG, "invalid_ledger_document"),
    "INVALID_QUANTITY_DOCUMENT": Call(_BUG, "invalid_quantity_document"),
    "INVALID_QUANTITY_NAME": Call(_BUG, "invalid_quantity_name"),
    "MAX_ONE_LEDGER_DOCUMENT": Call(_BUG, "max_one_ledger_document"),
}
UNKNOWN_USER_ERROR = Row.UNKNOWN
