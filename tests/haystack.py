"""Looking for a word in everything that is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy

from app.core.embedded import OWNER_ROLE, Embedded
from app.core.secrets import SealBroken, Sealer

_TABLES = """
select relname from pg_class
where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace
"""
# The server looks through whole rows first: other tests have left many.
_FIND = """
select distinct e.key from "{table}" t cross join lateral jsonb_each_text(to_jsonb(t)) e
where t::text ilike any(%(words)s) and e.value ilike any(%(words)s)
"""
_BYTES = f"""
select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relname in ({_TABLES}) and a.atttypid = 'bytea'::regtype and not a.attisdropped
"""
_SEALED = """select "{column}", * from "{table}" where substring("{column}" from 1 for 1) = '\\x01'"""


class Haystack:
    """Every value of every table of the database, sealed ones opened."""

    def __init__(self, server: Embedded, sealer: Sealer) -> None:
        self.engine = sqlalchemy.create_engine(server.url(OWNER_ROLE))
        self.sealer = sealer

    def find(self, *needles: str) -> list[str]:
        """The columns in which one of the words is, in whatever case."""
        words = [f"%{form}%" for needle in needles for form in (needle, needle.encode().hex())]
        found = set()
        with self.engine.connect() as connection:
            for table in connection.exec_driver_sql(_TABLES).scalars().all():
                columns = connection.exec_driver_sql(_FIND.format(table=table), {"words": words}).scalars()
                found |= {f"{table}.{column}" for column in columns}
            for table, column in connection.exec_driver_sql(_BYTES).all():
                for value, *row in connection.exec_driver_sql(_SEALED.format(table=table, column=column)):
                    opened = [text.lower() for text in self._opened(bytes(value), row)]
                    if any(needle.lower() in text for needle in needles for text in opened):
                        found.add(f"{table}.{column}")
        return sorted(found)

    def columns(self, connection: sqlalchemy.Connection) -> list[tuple[str, str]]:
        """(table, column) of all that is stored."""
        rows = connection.exec_driver_sql(
            f"""select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
                where c.relname in ({_TABLES}) and a.attnum > 0 and not a.attisdropped"""
        )
        return [(row[0], row[1]) for row in rows]

    def _opened(self, value: bytes, row: list[Any]) -> Iterator[str]:
        for number in row[:4]:
            for name in (f"inbox:{number}", f"channel:{row[0]}:{number}"):
                try:
                    yield self.sealer.open(value, bound_to=name).decode(errors="replace")
                except SealBroken:
                    continue
