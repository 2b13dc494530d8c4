"""The database: engines, transactions bound to one merchant, and the few calls that look across merchants.

A transaction is opened only by a step function, through `Database.begin(merchant_id, now)`: it sets the merchant that
row-level security compares with, so a statement that forgets its `merchant_id` sees nothing instead of everything.
SQL is written as SQL (docs/decisions/001); parameters are always bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, NoReturn

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from app.core.clock import AgreedClock
from app.core.embedded import APP_ROLE
from app.core.errors import InvalidInput, PerpetualError, Unavailable

STATEMENT_TIMEOUT_S = 60
LOCK_TIMEOUT_S = 20
POOL_MAX = 10

# Custom plans: with a generic plan the set-based statements guess the arrays' length and run at half the speed.
_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s -c timezone=UTC"
    " -c plan_cache_mode=force_custom_plan -c jit=off -c idle_in_transaction_session_timeout=120s"
)

_BEGIN = """
select set_config('app.merchant_id', %(m)s, true), set_config('app.now', %(n)s, true),
       set_config('app.actor', %(a)s, true), set_config('app.origin', %(o)s, true), clock_timestamp()
"""
# Joined in any other way than row by row along the key, updates would lock in another order and read whole tables. With
# that said nothing is left to plan for one length of the arrays that another would not do with.
_ALONG_THE_KEY = """
select set_config('enable_hashjoin', %(others)s, true), set_config('enable_mergejoin', %(others)s, true),
       set_config('enable_seqscan', %(others)s, true), set_config('plan_cache_mode', %(plans)s, true)
"""
_ROLLBACKS = count()
_NESTED_LOOPS = "select set_config('enable_nestloop', %(how)s, true)"

Row = Any  # a SQLAlchemy row: a named tuple of the statement's columns


class ConstraintViolated(PerpetualError):
    """A unique or check constraint said no; `name` is the constraint's name."""

    def __init__(self, name: str) -> None:
        super().__init__("constraint_violated", f"the database refused it: {name}")
        self.name = name


def array(values: list[Any]) -> str:
    """A list as PostgreSQL's array literal; the statement casts it. The driver's own way costs five times as much, and
    arrays are how every batch travels. Takes None, int, Decimal, str, bool, date, aware datetime and bytes."""
    kind = next((type(v) for v in values if v is not None), int)
    write = _WRITERS.get(kind) or (_text if issubclass(kind, str) else str)
    if values and values.count(values[0]) == len(values):  # many columns of a batch hold one value
        return "{" + ",".join(["NULL" if values[0] is None else write(values[0])] * len(values)) + "}"
    if None not in values:
        if kind is int:
            return "{" + repr(values)[1:-1] + "}"
        if write is _text:
            return _texts(values)
    return "{" + ",".join(["NULL" if v is None else write(v) for v in values]) + "}"


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _texts(values: list[str]) -> str:
    """All at once where none of them needs escaping."""
    joined = "".join(values)
    if '"' in joined or "\\" in joined:
        return "{" + ",".join(map(_text, values)) + "}"
    return '{"' + '","'.join(values) + '"}'


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    int: int.__repr__,
    str: _text,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: '"\\\\x' + bytes(value).hex() + '"',
    datetime: datetime.isoformat,
}


@dataclass(frozen=True, slots=True)
class Session:
    """One transaction of one merchant. What is below a step takes it first and neither commits nor rolls back."""

    connection: sqlalchemy.Connection
    merchant_id: int
    now: datetime

    def rows(self, sql: str, **params: Any) -> Sequence[Row]:
        """All rows of a statement. `%(merchant_id)s` is always bound."""
        return self._execute(sql, params).fetchall()

    def row(self, sql: str, **params: Any) -> Row | None:
        """The first row or None."""
        return self._execute(sql, params).fetchone()

    def value(self, sql: str, **params: Any) -> Any:
        """The first column of the first row, None without one."""
        row = self._execute(sql, params).fetchone()
        return None if row is None else row[0]

    def run(self, sql: str, **params: Any) -> int:
        """Execute and say how many rows it touched."""
        return self._execute(sql, params).rowcount

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A nested part that may fail without the rest."""
        with self.connection.begin_nested():
            yield

    @contextmanager
    def over_all(self) -> Iterator[None]:
        """A nested part whose statements go over everything of a channel or merchant. Of what was just imported nobody
        has counted the rows yet, and whoever takes them for a few joins them one by one: the square of their number."""
        self.run(_NESTED_LOOPS, how="off")
        yield
        self.run(_NESTED_LOOPS, how="on")

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """A nested part that may fail without the rest, whose statements are sent one behind the other without waiting:
        the server works on one while the next is being put together. What went wrong with any of them is raised when an
        answer is asked for, or at the end. They look rows up one by one along their keys (`_ALONG_THE_KEY`)."""
        driver = self.connection.connection.driver_connection
        assert driver is not None  # noqa: S101  a session has a live connection
        try:
            with driver.pipeline():
                driver.execute("savepoint pipeline")
                driver.execute(_ALONG_THE_KEY, {"others": "off", "plans": "force_generic_plan"})
                yield Pipeline(self, driver)
                driver.execute(_ALONG_THE_KEY, {"others": "on", "plans": "force_custom_plan"})
                driver.execute("release pipeline")
        except BaseException as error:
            if not driver.broken:
                _roll_back(driver, forget=isinstance(error, psycopg.Error))
            raise _typed(error) or error from error

    def bound(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as they travel: lists as array literals, the merchant's id with them."""
        return {
            "merchant_id": self.merchant_id,
            **{name: array(v) if isinstance(v, list) else v for name, v in params.items()},
        }

    def _execute(self, sql: str, params: Mapping[str, Any]) -> sqlalchemy.CursorResult[Any]:
        try:
            return self.connection.exec_driver_sql(sql, self.bound(params))
        except DBAPIError as error:
            _raise_typed(error)


def _roll_back(driver: Any, *, forget: bool) -> None:
    """To before the pipeline. The server skipped what came after the statement that failed, and of those the driver
    (psycopg 3.3.9, `PrepareManager`) takes one for prepared that it was about to. It forgets them all at the first
    ROLLBACK of each text that it meets, so `forget` gives it a text of its own."""
    driver.execute(f"rollback to pipeline -- {next(_ROLLBACKS)}" if forget else "rollback to pipeline")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where statements go whose answer is not waited for; see `Session.pipeline`."""

    session: Session
    driver: Any

    def run(self, sql: str, **params: Any) -> Any:
        """Send. The driver's cursor fetches the answer (tuples) when it is needed; it knows `rowcount` once the block
        has ended."""
        return self.driver.execute(sql, self.session.bound(params))


@dataclass(frozen=True, slots=True)
class Database:
    """The application's engine. Its role is neither owner nor superuser. `clock` is told the server's time with every
    transaction."""

    engine: sqlalchemy.Engine
    clock: AgreedClock | None = None

    @contextmanager
    def begin(
        self, merchant_id: int, now: datetime, *, snapshot: bool = False, acting: tuple[str, str] = ("", "")
    ) -> Iterator[Session]:
        """One transaction of one merchant; committed on leaving, rolled back on any error. `snapshot`: all of its
        statements see the same moment. `acting`: for whom, and from where they asked (for the audit log)."""
        with self._transaction() as connection:
            if snapshot:
                connection.exec_driver_sql("set transaction isolation level repeatable read")
            asked_at = self.clock.local() if self.clock is not None else now
            bound = {"m": str(merchant_id), "n": now.isoformat(), "a": acting[0], "o": acting[1]}
            *_, told = connection.exec_driver_sql(_BEGIN, bound).one()
            if self.clock is not None:
                self.clock.hear(asked_at, told)
            yield Session(connection, merchant_id, now)

    @contextmanager
    def across(self, now: datetime) -> Iterator[Session]:
        """A transaction without a merchant: tables show nothing, only the registry's functions answer."""
        with self._transaction() as connection:
            yield Session(connection, 0, now)

    def ask_time(self) -> None:
        """Have the clock agree with the server's before anything is written down. Raises Unavailable."""
        with self._transaction() as connection:
            connection.exec_driver_sql("select 1")  # a connection that is made first would take too long to say much
            if self.clock is not None:
                asked_at = self.clock.local()
                self.clock.hear(asked_at, connection.exec_driver_sql("select clock_timestamp()").scalar_one())

    @contextmanager
    def _transaction(self) -> Iterator[sqlalchemy.Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            _raise_typed(error)

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Nobody else, in any process, is inside a block of the same name. No transaction is open meanwhile, so the
        network may be crossed; the lock has a connection of its own and ends with it, also when the process dies.
        Raises Unavailable when the others take too long."""
        url = psycopg_url(self.engine.url.render_as_string(hide_password=False))
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=10, options=_OPTIONS) as connection:
                connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"alone {what}",))
                yield
        except psycopg.Error as error:
            raise _typed(error) or error from error

    def close(self) -> None:
        """Drop all pooled connections (after a fork, and when the server was restarted)."""
        self.engine.dispose()


def connect(url: str, *, pool_max: int = POOL_MAX, clock: AgreedClock | None = None) -> Database:
    """The application's database for a URL; connections take the restricted role whoever logs in. `clock` will agree
    with the server's."""
    engine = sqlalchemy.create_engine(
        url,
        pool_size=pool_max,
        max_overflow=0,
        pool_timeout=30,
        pool_use_lifo=True,  # the connection used last is the warm one
        connect_args={"options": f"{_OPTIONS} -c role={APP_ROLE}", "connect_timeout": 10},
    )
    return Database(engine, clock)


def _raise_typed(error: DBAPIError) -> NoReturn:
    raise _typed(error.orig) or error from error


def _typed(cause: BaseException | None) -> PerpetualError | None:
    """A driver error as ours: a violated constraint by its name, a lost or full server as Unavailable; else None."""
    if isinstance(cause, psycopg.errors.IntegrityError) and cause.diag.constraint_name:
        return ConstraintViolated(cause.diag.constraint_name)
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return Unavailable("took_too_long", "this takes too long: ask for less at once, or try again later")
    if isinstance(cause, psycopg.errors.SerializationFailure):
        return Unavailable("changed_meanwhile", "somebody else changed it at the same moment: try again")
    if isinstance(cause, psycopg.DataError) or (isinstance(cause, psycopg.Error) and _beyond_limits(cause)):
        return InvalidInput("out_of_range", "a number, a date or a text in it can't be kept")
    if isinstance(cause, (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)):
        return Unavailable("database_unavailable", "the database can't be reached or can't write now")
    return None


def _beyond_limits(cause: psycopg.Error) -> bool:
    """Class 54, which the driver takes for a server in trouble: what was sent is too long or too much for it."""
    return (cause.sqlstate or "").startswith("54")


def psycopg_url(url: str) -> str:
    """The same address for psycopg itself (LISTEN needs a connection of its own)."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
