"""A backup is the whole database in one file, and restoring it gives the same one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.backup import backup, restore
from app.core.db import Database, connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, SUPERUSER, Embedded
from app.core.errors import Conflict, NotFound, Unavailable
from app.core.migrate import is_current
from tests.conftest import NOW
from tests.world import World

_DIGESTS = r"""
select format('select %L, count(*), md5(coalesce(string_agg(t::text, E''\n'' order by t::text), '''')) from %I t',
              relname, relname)
from pg_class where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace
order by relname \gexec
"""


@pytest.fixture
def bare() -> Iterator[Embedded]:
    """A server with an empty database."""
    with tempfile.TemporaryDirectory(prefix="perpetual-bare-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Embedded(Path(folder), fsync=False)
        server.ensure()
        yield server
        server.stop()


def digest(server: Embedded, tmp_path: Path) -> list[str]:
    """Every table's number of rows and a hash over them, as psql prints it."""
    script = tmp_path / "digest.sql"
    script.write_text(_DIGESTS)
    return server.run_client("psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-f", str(script), role=SUPERUSER).splitlines()


def test_what_is_no_backup_is_refused_by_name(bare: Embedded, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        restore(bare, tmp_path / "missing")
    junk = tmp_path / "junk"
    junk.write_text("not a backup")
    with pytest.raises(Unavailable, match="pg_restore"):
        restore(bare, junk)


def test_a_backup_never_overwrites_and_leaves_nothing_half_done(server: Embedded, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("precious")
    with pytest.raises(Conflict):
        backup(server, there)
    assert there.read_text() == "precious"
    with pytest.raises(Unavailable):
        backup(Embedded(tmp_path / "no server"), tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_a_restored_database_equals_the_one_that_was_backed_up(
    server: Embedded, database: Database, bare: Embedded, tmp_path: Path
) -> None:
    world = World.make(database, NOW, "Backed up", "fifo")
    world.move("mug", 10, "supplier > available@A", "33.3333")
    world.move("mug", 3, "available@A > customer")
    target = tmp_path / "perpetual.backup"
    backup(server, target)
    assert target.stat().st_mode & 0o777 == 0o600

    restore(bare, target)
    found = digest(bare, tmp_path)
    assert found == digest(server, tmp_path)
    assert any(line.startswith("movement|") and not line.startswith("movement|0|") for line in found)
    assert is_current(bare.url(OWNER_ROLE))

    copy = connect(bare.url(APP_ROLE))
    again = World(copy, NOW, world.merchant_id, world.a, world.b, world.items)
    assert again.verify() == []
    again.move("mug", 1, "available@A > customer")
    assert again.worth("mug")[0] == 6
    assert again.verify() == []
    copy.close()

    with pytest.raises(Conflict) as refused:
        restore(bare, target)
    assert refused.value.reason == "database_not_empty"
