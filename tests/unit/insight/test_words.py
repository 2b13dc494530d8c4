"""What went wrong on the way to a shop is said in words, each reason in its own."""

from __future__ import annotations

import pytest

from app.insight.words import FAILURES
from connectors.http import CERTIFICATE_ERRORS, REQUEST_ERRORS

BESIDE = {"request_failed", "no_encryption", "bad_certificate"}  # what neither table names
REASONS = sorted({*REQUEST_ERRORS.values(), *CERTIFICATE_ERRORS.values(), *BESIDE})


@pytest.mark.parametrize("reason", REASONS)
def test_every_way_in_which_a_call_can_fail_has_a_sentence_of_its_own_33(reason: str) -> None:
    said = FAILURES[reason]
    assert " " in said
    assert [other for other, sentence in FAILURES.items() if sentence == said and other in REASONS] == [reason]
