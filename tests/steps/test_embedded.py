"""The embedded server: it comes back after kill -9, starts once for all, and lets nobody else in."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from app.core import embedded
from app.core.embedded import APP_ROLE, MAJOR, OWNER_ROLE, SUPERUSER, Embedded
from app.core.errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NOBODY = 65_534


@pytest.fixture(scope="module")
def own() -> Iterator[Embedded]:
    """A server of these tests' own, to kill; its path is too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="perpetual-own-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Embedded(Path(folder) / ("long" * 25), fsync=False)
        server.ensure()
        yield server
        server.stop()


def postmaster(server: Embedded) -> int:
    return int((server.cluster / "postmaster.pid").read_text().split("\n", 1)[0])


def kill(pid: int) -> None:
    """As the kernel does when memory runs out; back when it is dead."""
    handle = os.pidfd_open(pid)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    select.select([handle], [], [])
    os.close(handle)


def ask(server: Embedded, sql: str, role: str = OWNER_ROLE) -> list[tuple[object, ...]]:
    with sqlalchemy.create_engine(server.url(role), poolclass=sqlalchemy.NullPool).begin() as connection:
        result = connection.exec_driver_sql(sql)
        return [tuple(row) for row in result] if result.returns_rows else []


def test_after_kill_9_the_same_process_gets_the_server_back_with_all_that_was_committed(own: Embedded) -> None:
    ask(own, "create table kept (n integer)")
    for round_number in range(3):
        ask(own, f"insert into kept values ({round_number})")
        kill(postmaster(own))
        assert own.ensure() is True
        assert own.ensure() is False
    assert ask(own, "select n from kept order by n") == [(0,), (1,), (2,)]


def test_two_processes_that_start_it_at_once_start_one_server(own: Embedded) -> None:
    own.stop()
    code = (
        "import sys; from pathlib import Path; from app.core.embedded import Embedded; "
        "print(Embedded(Path(sys.argv[1]), fsync=False).ensure())"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(own.data_dir)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0].strip() for process in both]
    assert sorted(said) == ["False", "False", "True"]
    assert ask(own, "select 1") == [(1,)]


def test_stop_stops_it_and_may_be_called_again(own: Embedded) -> None:
    own.stop()
    assert not own.is_running()
    own.stop()
    assert own.ensure() is True


def test_a_stranger_that_inherited_the_process_id_is_not_taken_for_the_server(own: Embedded) -> None:
    own.stop()
    (own.cluster / "postmaster.pid").write_text(f"{os.getppid()}\n")
    assert not own.is_running()
    (own.cluster / "postmaster.pid").unlink()
    assert own.ensure() is True


def test_it_listens_on_no_port(own: Embedded) -> None:
    assert ask(own, "show listen_addresses") == [("",)]
    assert ask(own, "select inet_server_addr()") == [(None,)]


def test_the_data_folder_is_pinned_to_the_servers_major_version(own: Embedded) -> None:
    assert own.cluster.name == f"postgres-{MAJOR}"
    assert (own.cluster / "PG_VERSION").read_text().strip() == str(MAJOR)


def test_a_long_data_path_gets_a_short_socket_folder_of_its_own(own: Embedded) -> None:
    assert own.data_dir not in own.socket_dir.parents
    assert len(f"{own.socket_dir}/.s.PGSQL.5432") < 107
    assert own.socket_dir != Embedded(own.data_dir / "other").socket_dir
    near = Embedded(Path("data"))
    assert near.socket_dir == Path("data/socket")


def test_nobody_else_enters_its_folders_and_only_named_roles_are_mapped(own: Embedded) -> None:
    for folder in (own.cluster, own.socket_dir):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (own.cluster / "pg_hba.conf").read_text() == "local all all peer map=perpetual\n"
    lines = (own.cluster / "pg_ident.conf").read_text().splitlines()
    assert {line.split()[2] for line in lines} == {SUPERUSER, OWNER_ROLE, APP_ROLE}


def test_a_role_that_is_not_mapped_is_refused_to_ourselves(own: Embedded) -> None:
    ask(own, "drop role if exists stranger", SUPERUSER)
    ask(own, "create role stranger login superuser", SUPERUSER)
    with pytest.raises(Unavailable, match="Peer authentication failed"):
        own.run_client("psql", "-c", "select 1", role="stranger")


@AS_ROOT
@pytest.mark.parametrize("opened", [False, True])
def test_another_user_of_the_machine_is_refused_even_with_the_folder_open(own: Embedded, opened: bool) -> None:
    own.socket_dir.chmod(0o755 if opened else 0o700)
    try:
        psql = [str(embedded._binaries() / "psql"), "-X", "-h", str(own.socket_dir), "-U", APP_ROLE, "-c", "select 1"]
        refused = subprocess.run(
            [*psql, embedded.DATABASE],
            capture_output=True,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
        )
    finally:
        own.socket_dir.chmod(0o700)
    assert refused.returncode != 0
    assert ("Peer authentication failed" if opened else "Permission denied") in refused.stderr


@AS_ROOT
@pytest.mark.parametrize("trap", ["link", "folder"])
def test_a_socket_folder_that_somebody_else_laid_out_is_refused(tmp_path: Path, trap: str) -> None:
    server = Embedded(tmp_path / ("long" * 40))
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    if trap == "link":
        server.socket_dir.symlink_to(victim)
    else:
        server.socket_dir.mkdir()
        os.chown(server.socket_dir, NOBODY, NOBODY)
    try:
        with pytest.raises(Unavailable) as refused:
            server.ensure()
    finally:
        server.socket_dir.unlink() if trap == "link" else server.socket_dir.rmdir()
    assert refused.value.reason == "folder_of_another_user"
    assert victim.stat().st_mode & 0o777 == 0o755


def test_a_program_that_fails_says_why(own: Embedded) -> None:
    with pytest.raises(Unavailable, match="no_such_table"):
        own.run_client("psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", "select * from no_such_table", role=OWNER_ROLE)
