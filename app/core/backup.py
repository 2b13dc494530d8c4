"""A copy of the embedded database in one file, and the way back: pg_dump's custom format, by the package's programs.

The file holds everything but the secrets of the data folder; without those, sealed credentials in it can't be opened.
"""

from __future__ import annotations

from pathlib import Path

from app.core.embedded import SUPERUSER, Embedded
from app.core.errors import Conflict, NotFound

_HAS_TABLES = "select exists (select from pg_tables where schemaname = 'public')"


def backup(embedded: Embedded, target: Path) -> None:
    """Write the database to `target`, consistent as of the call, while others go on working. The file appears only when
    it is whole, readable by nobody else. Raises Conflict (`file_exists`), Unavailable with pg_dump's own words."""
    if target.exists():
        raise Conflict("file_exists", "that file is there already", where=str(target))
    part = target.with_name(f"{target.name}.part")
    try:
        part.touch(mode=0o600)
        # As the superuser: for anybody else pg_dump refuses tables whose rows are kept apart by merchant.
        embedded.run_client("pg_dump", "--format=custom", f"--file={part}", role=SUPERUSER)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


def restore(embedded: Embedded, source: Path) -> None:
    """Read a file of `backup` into an empty database, all of it or nothing. Raises NotFound, Conflict
    (`database_not_empty`), Unavailable with pg_restore's own words."""
    if not source.is_file():
        raise NotFound("no_such_file", "there is no such file", where=str(source))
    if embedded.run_client("psql", "-qXAt", "-c", _HAS_TABLES, role=SUPERUSER).strip() == "t":
        raise Conflict("database_not_empty", "a backup is restored into an empty database only")
    how = ("--single-transaction", "--exit-on-error", "--dbname=")
    embedded.run_client("pg_restore", *how, str(source.resolve()), role=SUPERUSER)
