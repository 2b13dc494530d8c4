"""Fuzzing the API by its own document: schemathesis makes requests that fit it and requests that do not, and judges
every answer by it. Bounded and seeded: the same seed sends the same requests.

Ids of things that are there are put in for some of the made-up ones, else nearly every answer would be 404.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROUND = 25  # cases of one operation before the next one has its turn
ROUNDS_MAX = 500
FAULTS_MAX = 20
FAULT_MAX = 2_000  # characters
CALL_S = 60
REAL = 0.7  # of the ids


@dataclass(frozen=True)
class Known:
    """What there is: ids by the names that paths, queries and bodies give them, and SKUs."""

    ids: Mapping[str, Sequence[int]]
    skus: Sequence[str]


@dataclass
class Sent:
    """What was sent and what came: cases by operation, answers by status, and what went wrong (a few of each kind)."""

    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.operations.total()


@dataclass
class Fuzzer:
    """Sends to one address with one key."""

    address: str
    token: str
    known: Known
    seed: int = 1
    tell: Callable[[Sent], None] = lambda sent: None  # after each round of all operations
    sent: Sent = field(default_factory=Sent)
    session: requests.Session = field(default_factory=requests.Session)  # one connection for all

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def run(self, cases: int) -> Sent:
        """At least so many cases, over all operations in turn."""
        schema = schemathesis.openapi.from_url(f"{self.address}/api/v1/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        modes = cycle([GenerationMode.NEGATIVE, GenerationMode.POSITIVE])
        for number, mode in zip(range(ROUNDS_MAX), modes, strict=False):
            for operation in operations:
                if self.sent.cases >= cases or len(self.sent.faults) >= FAULTS_MAX:
                    return self.sent
                self._round(operation, mode, number)
            self.tell(self.sent)
        return self.sent

    def _round(self, operation: Any, mode: GenerationMode, number: int) -> None:
        dice = Random(f"{self.seed} {number} {operation.label}")

        @hypothesis.seed(dice.randrange(2**32))
        @hypothesis.settings(
            max_examples=ROUND, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Case) -> None:
            self._send(case, dice)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            send()

    def _send(self, case: Case, dice: Random) -> None:
        self._make_real(case, dice)
        answer = case.call(session=self.session, timeout=CALL_S, headers={"Authorization": f"Bearer {self.token}"})
        self.sent.operations[case.operation.label] += 1
        self.sent.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            told = "; ".join(f"{type(one).__name__}: {one}"[:FAULT_MAX] for one in group.exceptions)
            self.sent.faults.append(f"{case.operation.label} {answer.status_code}: {told}\n{_as_curl(case)}")
            print(self.sent.faults[-1], file=sys.stderr, flush=True)

    def _make_real(self, case: Case, dice: Random) -> None:
        for values in (case.path_parameters, case.query):
            for name in values or {}:
                if name in self.known.ids and dice.random() < REAL:
                    values[name] = dice.choice(self.known.ids[name])
        if "If-Match" in (case.headers or {}) and dice.random() < REAL:
            case.headers["If-Match"] = "*"
        if isinstance(case.body, dict):
            self._make_real_body(case.body, dice)

    def _make_real_body(self, body: dict[str, Any], dice: Random) -> None:
        for holder in _dicts(body):
            for name in list(holder):
                if name.endswith("location_id") and dice.random() < REAL:
                    holder[name] = dice.choice(self.known.ids["location_id"])
                elif name == "sku" and (holder is not body or len(body) == 1) and dice.random() < REAL:
                    holder[name] = dice.choice(self.known.skus)
                elif name == "url" and dice.random() < REAL:
                    holder[name] = "https://93.184.215.14/hook"


def _as_curl(case: Case) -> str:
    return case.as_curl_command()[:FAULT_MAX]


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from _dicts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _dicts(one)
