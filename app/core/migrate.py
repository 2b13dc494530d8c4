"""Bring a database to this version's schema: Alembic, as the owner, one at a time by advisory lock."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells every start that nothing had to be done

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 7_201_964  # any constant: two processes must not migrate at once


def migrate(owner_url: str) -> None:
    """Upgrade to the newest revision; does nothing when it is there. Safe to call from many processes at once."""
    engine = sqlalchemy.create_engine(owner_url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("select pg_advisory_lock(%(key)s)", {"key": _LOCK})
        connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def is_current(owner_url: str) -> bool:
    """Whether the database is at this version's newest revision."""
    engine = sqlalchemy.create_engine(owner_url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        heads = MigrationContext.configure(connection).get_current_heads()
    return set(heads) == set(ScriptDirectory.from_config(_config()).get_heads())


def run_sql(connection: sqlalchemy.Connection, *names: str) -> None:
    """Run whole files of `migrations/sql`, named without `.sql`: only the driver's plain protocol takes many statements
    at once, and `%` is just a character there."""
    with closing(connection.connection.cursor()) as cursor:
        for name in names:
            cursor.execute((FOLDER / "sql" / f"{name}.sql").read_text())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
