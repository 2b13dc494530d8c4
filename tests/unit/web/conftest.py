"""The street's own site, with its merchant among others; and people, who are gone again after their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy

from app.core.embedded import OWNER_ROLE, Embedded
from tests.people import People
from tests.street import Street
from tests.unit.web.site import Site
from tests.world import World


@pytest.fixture
def site(street: Street) -> Site:
    return Site.of(street)


@pytest.fixture
def people(street: Street, other: World, server: Embedded) -> Iterator[People]:
    """While there are users, nobody is let in without a login: other tests need that there are none."""
    yield People(street, other)
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for table in ("user_session", "membership", "invitation", "user_account"):
            connection.exec_driver_sql(f"delete from {table}")
    engine.dispose()
