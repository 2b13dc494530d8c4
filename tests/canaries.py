"""Secrets that must not be seen anywhere, looked for in every log line, page and column."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import structlog
from sqlalchemy import Engine

from app.core.log import configure

SHORTEST = 8  # what is shorter says nothing by being found
_COLUMNS = """
select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
  and a.attnum > 0 and not a.attisdropped
"""


@contextmanager
def logging_to() -> Iterator[io.StringIO]:
    """Everything that is logged meanwhile, as a service logs it."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    configure("json", "DEBUG", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def as_they_travel(secrets: Collection[str]) -> set[str]:
    """Those that are long enough to say something, also as they stand in an address."""
    kept = {secret for secret in secrets if len(secret) >= SHORTEST}
    return kept | {quote(secret, safe="") for secret in kept}


def columns_with(owner: Engine, secrets: Collection[str]) -> list[tuple[str, str]]:
    """Every column of every table in which one of them stands in the clear."""
    needles = [f"%{form}%" for secret in secrets for form in (secret, secret.encode().hex())]
    with owner.connect() as connection:
        return [
            (table, column)
            for table, column in connection.exec_driver_sql(_COLUMNS).all()
            if connection.exec_driver_sql(
                f'select count(*) from "{table}" where "{column}"::text like any(%(needles)s)', {"needles": needles}
            ).scalar_one()
        ]
