"""Migrating is safe to ask for at any time, by any number of processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from app.core.embedded import OWNER_ROLE, Embedded
from app.core.migrate import is_current, migrate

ROOT = Path(__file__).resolve().parents[2]
_names = count(1)


@contextmanager
def _database(server: Embedded) -> Iterator[str]:
    name = f"perpetual_empty_{next(_names)}"
    server.run_client("psql", "-qX", "-c", f"create database {name}", role=OWNER_ROLE)
    yield name
    server.run_client("psql", "-qX", "-c", f"drop database {name} with (force)", role=OWNER_ROLE)


@pytest.fixture
def empty(server: Embedded) -> Iterator[str]:
    """The name of an empty database."""
    with _database(server) as name:
        yield name


@pytest.fixture
def migrated(server: Embedded) -> Iterator[str]:
    """The name of a database that one process migrated."""
    with _database(server) as name:
        migrate(server.url(OWNER_ROLE, name))
        yield name


def schema(server: Embedded, database: str) -> str:
    dump = server.run_client("pg_dump", "--schema-only", role=OWNER_ROLE, database=database)
    return "\n".join(line for line in dump.splitlines() if not line.startswith("\\"))  # a random word of pg_dump's


def test_migrating_again_changes_nothing_and_is_current_tells(server: Embedded, empty: str) -> None:
    url = server.url(OWNER_ROLE, empty)
    assert not is_current(url)
    migrate(url)
    assert is_current(url)
    before = schema(server, empty)
    assert "CREATE TABLE public.movement" in before
    migrate(url)
    assert schema(server, empty) == before
    assert is_current(url)


def test_processes_that_migrate_at_once_wait_for_one_another(server: Embedded, empty: str, migrated: str) -> None:
    code = "import sys; from app.core.migrate import migrate; migrate(sys.argv[1])"
    command = [sys.executable, "-W", "ignore", "-c", code, server.url(OWNER_ROLE, empty)]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert schema(server, empty) == schema(server, migrated)
