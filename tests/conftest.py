"""One embedded PostgreSQL per test run (without fsync), one migrated database, a fresh merchant per test.

Tenancy keeps the tests apart just as it keeps merchants apart.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine

from app.core.db import Database, connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.migrate import migrate
from tests.canaries import logging_to
from tests.people import People
from tests.street import Street
from tests.world import World

_names = count(1)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def server() -> Iterator[Embedded]:
    with tempfile.TemporaryDirectory(prefix="perpetual-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        embedded = Embedded(Path(folder), fsync=False)
        embedded.ensure()
        migrate(embedded.url(OWNER_ROLE))
        yield embedded
        embedded.stop()


@pytest.fixture(scope="session")
def database(server: Embedded) -> Iterator[Database]:
    database = connect(server.url(APP_ROLE), pool_max=20)
    yield database
    database.close()


@pytest.fixture(params=["fifo"])
def cost_method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(database: Database, cost_method: str) -> Iterator[World]:
    """A fresh merchant with two locations, A before B."""
    world = World.make(database, NOW, f"merchant {next(_names)}", cost_method)
    yield world
    world.leave()


@pytest.fixture
def other(database: Database) -> Iterator[World]:
    """Another merchant, for asking whether one sees the other's."""
    other = World.make(database, NOW, f"other merchant {next(_names)}", "fifo")
    yield other
    other.leave()


@pytest.fixture
def street(world: World, tmp_path: Path) -> Street:
    """Two pretend shops can be opened on it; the merchant is `world`."""
    return Street(world, tmp_path)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged during the test, as JSON lines."""
    with logging_to() as stream:
        yield stream


@pytest.fixture
def owner(server: Embedded) -> Iterator[Engine]:
    """The database as its owner sees it: every row, every column."""
    engine = create_engine(server.url(OWNER_ROLE), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def people(street: Street, other: World, owner: Engine) -> Iterator[People]:
    """While there are users, nobody is let in without a login: other tests need that there are none afterwards."""
    yield People(street, other)
    with owner.begin() as connection:
        for table in ("user_session", "membership", "invitation", "user_account"):
            connection.exec_driver_sql(f"delete from {table}")
