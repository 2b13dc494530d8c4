"""No shop is asked anything while a transaction is open: every flow sees to it, and this one that they do."""

from __future__ import annotations

from tests.street import Street


def test_a_call_within_a_transaction_is_noticed_and_one_outside_is_fine(
    street: Street, asked_in_transactions: list[str]
) -> None:
    shop = street.open_woo({"mug": 5})
    url = f"{shop.options.base_url}/wp-json/"
    street.session.get(url)
    assert asked_in_transactions == []
    with street.world.session():
        street.session.get(url)
    assert asked_in_transactions == [f"GET {url}"]
    asked_in_transactions.clear()
