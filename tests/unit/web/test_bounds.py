"""What a page or an answer of the API may take: each of its statements is given up after ten seconds (row 45)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy

from app.core.db import Database
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
