"""The demo's own database: never anybody else's. A marker says whose it is; what starts afresh empties it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from app.core.config import Settings
from app.core.errors import Conflict
from app.core.migrate import migrate
from app.wiring import embedded_of, owner_url

MARKER = "demo_database"
_STATE = """
select to_regclass('public.instance_setting') is not null as ours,
       exists (select from pg_tables where schemaname = 'public') as used
"""


def prepare_home(settings: Settings, *, empty: bool, durable: bool = True) -> bool:
    """Start the embedded server if that is what we use, check that the database is the demo's (or nobody's yet), empty
    it if asked, and bring its schema up to date; True when a merchant was there. Not `durable`: what is committed may
    be lost when the machine stops, which a replay can bear. Raises Conflict."""
    embedded = embedded_of(settings)
    if embedded is not None:
        embedded.ensure()
    engine = sqlalchemy.create_engine(owner_url(settings), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        lived_in = _is_lived_in(connection)
        if empty:
            connection.exec_driver_sql("drop schema public cascade")
            connection.exec_driver_sql("create schema public")
    migrate(owner_url(settings))
    with engine.begin() as connection:
        name = connection.exec_driver_sql("select quote_ident(current_database())").scalar_one()
        connection.exec_driver_sql(f"alter database {name} set synchronous_commit = {'on' if durable else 'off'}")
        connection.exec_driver_sql("select put_setting(%(name)s, 'yes')", {"name": MARKER})
    return lived_in


def _is_lived_in(connection: sqlalchemy.Connection) -> bool:
    """Whether a merchant is there. Raises Conflict unless the database is ours, or nobody's: without tables, or
    without a merchant."""
    state = connection.exec_driver_sql(_STATE).one()
    if not state.used:
        return False
    if state.ours:
        lived_in: bool = connection.exec_driver_sql("select exists (select from merchant)").scalar_one()
        marked = "select exists (select from instance_setting where name = %(name)s)"
        if not lived_in or connection.exec_driver_sql(marked, {"name": MARKER}).scalar_one():
            return lived_in
    raise Conflict(
        "not_the_demos_database",
        "this database holds something that is not the demo's, which may empty its database: give it another one",
    )


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """One demo per data folder. Raises Conflict when another one runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demo.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("demo_runs_already", f"another demo is running in {folder}") from None
        yield
