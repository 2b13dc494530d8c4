"""No request makes the API stumble, and every answer is one that its document names. `make fuzz` sends 50,000."""

from __future__ import annotations

import pytest
from flask import Flask

from app.web.api.table import ROUTES
from tests.fuzz.served import furnish, fuzzing
from tests.street import Street

CASES = 2_000


@pytest.mark.timeout(600)
def test_two_thousand_requests_by_the_document_get_no_5xx_and_nothing_undocumented(street: Street) -> None:
    furnish(street)
    with fuzzing(street, seed=1) as fuzzer:
        sent = fuzzer.run(CASES)
    print(f"{sent.cases} cases, {len(sent.operations)} operations, {dict(sorted(sent.statuses.items()))}")
    assert sent.faults == []
    assert sent.cases >= CASES
    assert len(sent.operations) == len(ROUTES)
    assert max(sent.statuses) < 500
    assert street.world.verify() == []


@pytest.mark.parametrize("status", [500, 418])
def test_an_answer_that_breaks_or_that_the_document_does_not_name_would_be_noticed(street: Street, status: int) -> None:
    def break_it(app: Flask) -> None:
        app.view_functions["api.get_audit_log"] = lambda: ("{}", status)

    with fuzzing(street, 1, break_it) as fuzzer:
        sent = fuzzer.run(5)
    assert sent.faults
    assert sent.faults[0].startswith(f"GET /api/v1/audit-log {status}")
