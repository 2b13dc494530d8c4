"""Cases: what a person, or a program for one, should look at, decide or dismiss."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from app.listings.cases import dismiss, get_case
from app.listings.cases import list_cases as list_rows
from app.publishing.decisions import decide
from app.web.api.call import Call
from app.web.api.fields import In, Out, Paged
from app.web.api.route import Route
from app.web.api.table import serves


class CasesAsked(Paged):
    """Those in a state; `any` for all."""

    state: Literal["open", "explained", "corrected", "dismissed", "any"] = "open"


class CaseOut(Out):
    """A case. `difference`: units that the channel shows more than its orders explain."""

    case_id: int
    kind: str
    channel: str | None
    subject: str
    cause: str | None
    detail: str
    difference: int | None
    decision: Literal["ledger", "channel"] | None
    decided_by: str | None
    state: Literal["open", "explained", "corrected", "dismissed"]
    opened_at: datetime
    closed_at: datetime | None
    evidence: dict[str, Any]
    sku: str | None


class CasesOut(Out):
    """A page of cases, the latest first."""

    data: list[CaseOut]
    next_cursor: str | None


class DecisionIn(In):
    """`ledger`: our number is written again. `channel`: the ledger is adjusted by the difference."""

    right: Literal["ledger", "channel"]


@serves(Route("GET", "/cases", CasesOut, "Cases, the latest first", "channels:read", query=CasesAsked))
def list_cases(call: Call) -> CasesOut:
    """A page of cases."""
    asked: CasesAsked = call.query
    state = None if asked.state == "any" else asked.state
    rows = list_rows(call.session, state, asked.limit + 1, before=call.position())
    page = rows[: asked.limit]
    following = call.next_cursor(rows, page[-1].case_id if page else None)
    return CasesOut(data=[CaseOut.model_validate(row) for row in page], next_cursor=following)


@serves(Route("GET", "/cases/{case_id}", CaseOut, "One case", "channels:read"))
def get_one(call: Call) -> CaseOut:
    """One case."""
    return CaseOut.model_validate(get_case(call.session, call.path["case_id"]))


@serves(Route("POST", "/cases/{case_id}/decision", CaseOut, "Say which number is right", "channels:write",
              body=DecisionIn))  # fmt: skip
def decide_one(call: Call) -> CaseOut:
    """Decide a case that holds a number back."""
    decide(call.session, call.path["case_id"], call.body.right, call.by)
    return get_one(call)


@serves(Route("POST", "/cases/{case_id}/dismissal", CaseOut, "Close a case that was seen to", "channels:write"))
def dismiss_one(call: Call) -> CaseOut:
    """Dismiss a case that holds nothing back."""
    dismiss(call.session, call.path["case_id"], call.by)
    return get_one(call)
