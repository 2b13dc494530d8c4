"""The demo's database is nobody else's: what is not its own is refused untouched, what is its own may be emptied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy
from pydantic import SecretStr

from app.accounts.merchants import create_merchant, list_merchants
from app.core.config import Settings, load_settings
from app.core.db import connect
from app.core.embedded import APP_ROLE, SUPERUSER, Embedded
from app.core.errors import Conflict
from app.core.migrate import migrate
from app.demo.home import only_one, prepare_home

NOW = datetime(2026, 11, 23, tzinfo=UTC)
_names = count(1)


class Home:
    """A database of the test's own server, empty at first, and settings that lead to it."""

    def __init__(self, server: Embedded, folder: Path) -> None:
        self.server, self.name = server, f"demo_home_{next(_names)}"
        server.run_client("psql", "-qX", "-c", f"create database {self.name} owner perpetual_owner", role=SUPERUSER)
        self.owner = server.url("perpetual_owner", self.name)
        settings = load_settings(config=None, data_dir=folder, environ={})
        url = SecretStr(self.owner.replace("postgresql+psycopg://", "postgresql://"))
        self.settings: Settings = settings.model_copy(
            update={"database": settings.database.model_copy(update={"url": url})}
        )

    def sql(self, text: str) -> list[tuple[object, ...]]:
        engine = sqlalchemy.create_engine(self.owner, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            found = connection.exec_driver_sql(text)
            return [tuple(row) for row in found] if found.returns_rows else []

    def settle_in(self, merchant: str) -> None:
        """A merchant moves in."""
        database = connect(self.server.url(APP_ROLE, self.name))
        create_merchant(database, NOW, name=merchant)
        database.close()

    def leave(self) -> None:
        """The database is gone."""
        self.server.run_client("psql", "-qX", "-c", f"drop database {self.name} with (force)", role=SUPERUSER)

    def merchants(self) -> list[str]:
        database = connect(self.server.url(APP_ROLE, self.name))
        names = [merchant.name for merchant in list_merchants(database, NOW)]
        database.close()
        return names


@pytest.fixture
def home(server: Embedded, tmp_path: Path) -> Iterator[Home]:
    made = Home(server, tmp_path)
    yield made
    made.leave()


@pytest.mark.parametrize("empty", [False, True])
def test_a_database_without_a_table_becomes_the_demos(home: Home, empty: bool) -> None:
    assert not prepare_home(home.settings, empty=empty)
    assert home.merchants() == []
    assert not prepare_home(home.settings, empty=empty)


def test_the_demos_own_database_is_kept_or_emptied_as_asked(home: Home) -> None:
    prepare_home(home.settings, empty=False)
    home.settle_in("demo")
    assert prepare_home(home.settings, empty=False)
    assert home.merchants() == ["demo"]
    assert prepare_home(home.settings, empty=True)
    assert home.merchants() == []


@pytest.mark.parametrize("empty", [False, True])
def test_somebodys_merchant_is_refused_and_still_there(home: Home, empty: bool) -> None:
    migrate(home.owner)
    home.settle_in("somebody")
    with pytest.raises(Conflict) as refused:
        prepare_home(home.settings, empty=empty)
    assert refused.value.reason == "not_the_demos_database"
    assert home.merchants() == ["somebody"]
    with pytest.raises(Conflict):
        prepare_home(home.settings, empty=empty)


@pytest.mark.parametrize("empty", [False, True])
def test_a_database_of_another_program_is_refused_and_untouched(home: Home, empty: bool) -> None:
    home.sql("create table theirs (x int)")
    home.sql("insert into theirs values (7)")
    with pytest.raises(Conflict):
        prepare_home(home.settings, empty=empty)
    assert home.sql("select x from theirs") == [(7,)]
    assert home.sql("select count(*) from pg_tables where schemaname = 'public'") == [(1,)]


def test_a_schema_of_ours_in_which_nobody_lives_yet_may_be_taken(home: Home) -> None:
    migrate(home.owner)
    prepare_home(home.settings, empty=True)
    assert home.merchants() == []


def test_only_a_replay_does_without_waiting_for_the_disk_and_the_next_demo_waits_again(home: Home) -> None:
    seen = []
    for durable in (False, True):
        prepare_home(home.settings, empty=True, durable=durable)
        seen += home.sql("show synchronous_commit")
    assert seen == [("off",), ("on",)]


def test_two_demos_never_share_a_folder_and_the_next_one_may_have_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with only_one(folder):
        with pytest.raises(Conflict) as refused, only_one(folder):
            raise AssertionError("two at once")
        assert refused.value.reason == "demo_runs_already"
        with only_one(tmp_path / "another"):
            pass
    with only_one(folder):
        pass
