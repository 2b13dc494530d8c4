"""Errors that a caller can act on, by HTTP status, and their rendering as RFC 9457 problem documents.

    PerpetualError
    ├── BadRequest        400  the bytes can't be read
    ├── Unauthenticated   401  who are you
    ├── Forbidden         403  known, not allowed
    ├── NotFound          404  absent, or another merchant's: the same answer
    ├── NotAcceptable     406  not a format we write
    ├── Conflict          409  not in the state that things are in now
    ├── Stale             412  somebody changed it since it was read
    ├── TooLarge          413  over a bound
    ├── WrongContentType  415  not a format we read
    ├── InvalidInput      422  readable, and wrong: `faults` names every place
    ├── NotConditional    428  say which version is changed
    ├── RateLimited       429  too often: again after `retry_after_s`
    ├── Unavailable       503  ours to cure: again after `retry_after_s`
    └── ConfigError        –   the process can't start: exit 2

Every error has a `reason`: one slug, the same in log, metric, page and test. Neither `detail` nor `where` repeats what
was sent, because what was sent may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

RETRY_AFTER_S = 5
SHOWN_FAULTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: a slug, a plain sentence that says what to do, and the place."""

    reason: str
    detail: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}" if self.where else self.detail


class PerpetualError(Exception):
    """Base of all. `where` is a field, a line and column, or a path; empty where there is only one place. `more`: what
    the caller needs to go on, by name, such as the quantity that is there."""

    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    more: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, reason: str, detail: str = "", where: str = "") -> None:
        self.reason = reason
        self.detail = detail
        self.where = where
        super().__init__(": ".join(part for part in (reason, where, detail) if part))


class BadRequest(PerpetualError):
    """The bytes can't be read as what they claim to be."""

    status = HTTPStatus.BAD_REQUEST


class Unauthenticated(PerpetualError):
    """No proof, or no valid proof, of who is asking."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(PerpetualError):
    """Who is asking is known and may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(PerpetualError):
    """Absent, or another merchant's: the caller can't tell which."""

    status = HTTPStatus.NOT_FOUND


class NotAcceptable(PerpetualError):
    """A format we do not write."""

    status = HTTPStatus.NOT_ACCEPTABLE


class Conflict(PerpetualError):
    """What is asked does not fit the state that things are in now."""

    status = HTTPStatus.CONFLICT


class Stale(PerpetualError):
    """Somebody changed it since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED


class NotConditional(PerpetualError):
    """A change that does not say which version it changes."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class TooLarge(PerpetualError):
    """Over a bound that has a name."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongContentType(PerpetualError):
    """A format we do not read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class InvalidInput(PerpetualError):
    """Readable and wrong. `faults` names every place when there are several; nothing was written."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, reason: str, detail: str = "", where: str = "", *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(reason, detail, where)
        self.faults = tuple(faults) or (Fault(reason, detail, where),)


class RateLimited(PerpetualError):
    """Asked too often."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, reason: str, detail: str = "", where: str = "", *, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(reason, detail, where)
        self.retry_after_s = retry_after_s


class Unavailable(PerpetualError):
    """We can't do it now: database down, disk full, statement timed out. Nothing was half written."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, reason: str, detail: str = "", where: str = "", *, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(reason, detail, where)
        self.retry_after_s = retry_after_s


class ConfigError(PerpetualError):
    """The process can't start as it is set up. `str()` lists every fault with its file and key, and no value."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("bad_configuration", "\n".join(map(str, self.faults)))

    def __str__(self) -> str:
        return self.detail


def problem_json(error: PerpetualError) -> dict[str, Any]:
    """The RFC 9457 document of an error; send as application/problem+json.

    Beside the standard members: `reason` (slug), `where`, `retry_after_s` and `errors` (at most 100 places, `more`
    counts the rest), and the error's `more`. A `ConfigError` is ours alone: it shows nothing.
    """
    if isinstance(error, ConfigError):
        return _members(HTTPStatus.INTERNAL_SERVER_ERROR, error.reason, "", "")
    problem = _members(error.status, error.reason, error.detail, error.where)
    if isinstance(error, InvalidInput) and len(error.faults) > 1:
        problem["errors"] = [
            {"reason": fault.reason, "where": fault.where, "detail": fault.detail}
            for fault in error.faults[:SHOWN_FAULTS_MAX]
        ]
        problem["more"] = max(0, len(error.faults) - SHOWN_FAULTS_MAX)
    if isinstance(error, RateLimited | Unavailable):
        problem["retry_after_s"] = error.retry_after_s
    return {**error.more, **problem}


def _members(status: int, reason: str, detail: str, where: str) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "reason": reason,
    }
    if detail:
        problem["detail"] = detail
    if where:
        problem["where"] = where
    return problem
