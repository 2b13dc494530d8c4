"""What every flow keeps besides what it is about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.no_transaction import watching


@pytest.fixture(scope="session", autouse=True)
def asked_in_transactions() -> Iterator[list[str]]:
    """Calls to shops that were made while a transaction was open."""
    with watching() as found:
        yield found


@pytest.fixture(autouse=True)
def asks_nobody_in_a_transaction(asked_in_transactions: list[str]) -> Iterator[None]:
    """Whatever a test is about: its locks wait for no shop."""
    asked_in_transactions.clear()
    yield
    assert asked_in_transactions == []
