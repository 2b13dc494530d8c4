"""Refusals as a model: what every answer but a good one looks like (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

PROBLEM = "application/problem+json"
# What each status means here, for whoever reads the document.
MEANS = {
    304: "What you have is what is there.",
    400: "It can't be read: not JSON, a header that is missing or no header at all.",
    401: "No key, or not one that is valid.",
    403: "The key lacks the scope.",
    404: "There is no such thing, or it is another merchant's.",
    406: "The answer is JSON, which is not accepted.",
    409: "It does not fit how things are now.",
    412: "It was changed meanwhile; `current` and `wanted` hold both values.",
    413: "The body is too large.",
    415: "The body has to be application/json.",
    422: "It can be read and is wrong; `errors` names every place.",
    428: "Which version is changed has to be said with If-Match.",
    429: "Too many requests; Retry-After says when to go on.",
    503: "Not now; Retry-After says when to try again.",
}


class Fault(BaseModel):
    """One thing that is wrong."""

    reason: str
    where: str
    detail: str


class Problem(BaseModel):
    """A refusal. `reason` is a slug that stays the same; `where` a field, a header or a place in the body."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    reason: str
    detail: str = ""
    where: str = ""
    errors: list[Fault] = []
    more: int = 0
    retry_after_s: int = 0
