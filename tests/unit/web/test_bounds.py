"""What a page or an answer of the API may take: each of its statements is given up after ten seconds (row 45), and the
shops that it asks have a minute in all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy

from app.core.db import Database
from connectors.http import Http
from sandbox.base import Request
from tests.street import Street
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site


@contextmanager
def timeouts(database: Database) -> Iterator[list[str]]:
    """The statement_timeout under which each statement of the read-only transactions was run meanwhile."""
    found: list[str] = []

    def note(connection: Any, *_: object) -> None:
        with connection.connection.dbapi_connection.cursor() as beside:
            beside.execute("select current_setting('transaction_read_only'), current_setting('statement_timeout')")
            read_only, timeout = beside.fetchone()
        if read_only == "on":
            found.append(timeout)

    sqlalchemy.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sqlalchemy.event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", ["/", "/items", "/items?q=(a%2B)%2B%24", "/items/mug", "/listings?q=%25_", "/import"])
def test_each_statement_of_a_page_has_ten_seconds_row_45(site: Site, path: str) -> None:
    site.street.world.item("mug")
    with timeouts(site.street.runtime.database) as found:
        assert site.ask(path).status_code == 200
    assert (set(found), len(found) > 0) == ({"10s"}, True)


@pytest.mark.parametrize("path", ["/items?q=(a%2B)%2B%24", "/stock", "/movements", "/orders", "/ledger/value"])
def test_each_statement_of_an_answer_has_ten_seconds_row_45(site: Site, path: str) -> None:
    program = Program.of(site)
    with timeouts(site.street.runtime.database) as found:
        assert program.call("GET", path).status_code == 200
    assert (set(found), len(found) > 0) == ({"10s"}, True)


def test_shops_that_dawdle_keep_a_page_waiting_for_a_minute_in_all(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = street.channel_of(street.open_woo({"mug": 5}))
    adapter, passed = street.adapters[channel], [0.0]
    street.runtime = replace(
        street.runtime,
        open_http=lambda: Http(session=street.session, sleep=lambda s: None, monotonic=lambda: passed[0]),
    )
    site = Site.of(street)

    def dawdle(asked: Request) -> None:
        passed[0] += 25
        adapter.calls.append(asked)

    monkeypatch.setattr(adapter, "_note", dawdle)
    page = f"/channels/{channel}/check?merchant={street.world.merchant_id}"
    for _ in range(2):  # each page has a minute of its own
        adapter.calls.clear()
        assert site.send(page, page=page).status_code == 303
        assert len(adapter.calls) == 3
    assert "it takes too long to answer" in site.get(page).text
