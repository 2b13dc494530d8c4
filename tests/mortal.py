"""A process that is killed with kill -9 at the n-th point of what it does, as the kernel would when memory runs out.

`python -m tests.mortal` is a nursery: one process without threads that has loaded everything. For every errand it is
told it forks a child with connections of its own, which does the acts and at its point sends itself SIGKILL; nothing of
it can tidy up. A point is: before a statement is sent, after it was sent and before its answer is read, after a commit
was answered; before a call to a shop, after it was sent, after its answer came.
"""

from __future__ import annotations

import gc
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
import sqlalchemy
from psycopg.pq import Format
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from app.core.db import Database, connect, psycopg_url
from app.inbox.receive import Delivery, receive
from app.worker import ACTS
from tests.street import Street
from tests.world import World

ROOT = Path(__file__).parents[1]
NAME = "mortal"  # of the worker, and of its connections
LAST_CALL = "x-last-call"  # on a request whose sender dies before it is answered
LABEL_MAX = 90
NOBODYS = datetime(2026, 11, 23, tzinfo=UTC)  # a time before an errand says which it is


@dataclass(frozen=True, slots=True)
class Errand:
    """What a child is to do: RECEIVE these deliveries, then these acts of these channels; `doors` says at which
    loopback address each shop answers."""

    url: str
    data: Path
    merchant_id: int
    now: datetime
    doors: Mapping[str, str]
    deliveries: Sequence[Delivery]
    acts: Sequence[tuple[int, str]]
    die_at: int = -1


@dataclass(frozen=True, slots=True)
class End:
    """The points a child came to, in order; where it was killed is the last."""

    points: tuple[str, ...]
    killed: bool
    exit_code: int


@dataclass
class Fuse:
    """Counts the points once it is lit, writes each down where others can read it, and kills at its own."""

    die_at: int = -1
    book: int = -1
    passed: int = 0

    def burn(self, label: str) -> None:
        if self.book < 0:
            return
        os.write(self.book, label.encode()[:LABEL_MAX] + b"\n")
        if self.passed == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def next_kills(self) -> bool:
        return self.book >= 0 and self.passed == self.die_at


FUSE = Fuse()


def watched(steps: Any, name: str, *, waits: bool = True) -> Any:
    """A driver's exchange with the server, with points around it; one that waits has sent everything when it first
    waits."""
    FUSE.burn(f"before {name}")
    told = False
    try:
        wanted = next(steps)
        while True:
            if waits and not told:
                FUSE.burn(f"sent {name}")
                told = True
            wanted = steps.send((yield wanted))
    except StopIteration as stop:
        if not told:
            FUSE.burn(f"sent {name}")
        if name == "COMMIT":
            FUSE.burn(f"after {name}")
        return stop.value


class MortalCursor(psycopg.Cursor[Any]):
    def _execute_gen(self, query: Any, params: Any = None, **more: Any) -> Any:
        yield from self._conn._start_query()
        waits = not self._conn._pipeline
        yield from watched(super()._execute_gen(query, params, **more), " ".join(str(query).split()), waits=waits)


class MortalConnection(psycopg.Connection[Any]):
    def _exec_command(self, command: Any, result_format: Format = Format.TEXT) -> Any:
        name = command.decode() if isinstance(command, bytes) else str(command)
        return watched(super()._exec_command(command, result_format), name)


class _Line(HTTPConnection):
    def getresponse(self) -> Any:
        FUSE.burn("sent call")
        return super().getresponse()


class _Lines(HTTPConnectionPool):
    ConnectionCls = _Line


class Road(HTTPAdapter):
    """Calls to a shop go to its door on this machine, under the name it has in the world."""

    def __init__(self, door: str) -> None:
        self.door = door
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Lines}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        FUSE.burn(re.sub(r"\d+", "N", f"before call {request.method} {parts.path}"))
        request.headers["Host"] = parts.netloc
        if FUSE.next_kills():
            request.headers[LAST_CALL] = "1"
        request.url = f"{self.door}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        response = super().send(request, *args, **kwargs)
        FUSE.burn("after call")
        return response


def mortal_database(url: str) -> Database:
    database = connect(url, pool_max=4)

    @sqlalchemy.event.listens_for(database.engine, "do_connect")
    def open_mortal(dialect: Any, record: Any, arguments: Any, parameters: Any) -> Any:
        del dialect, record
        return MortalConnection.connect(*arguments, cursor_factory=MortalCursor, application_name=NAME, **parameters)

    return database


@cache
def ready(url: str, data: Path, merchant_id: int, doors: tuple[tuple[str, str], ...]) -> Street:
    """All that a child needs but connections, which are its own."""
    database = mortal_database(url)
    street = Street(World(database, NOBODYS, merchant_id, 0, 0), data)
    for prefix, door in doors:
        street.session.mount(prefix, Road(door))
    with database.across(NOBODYS) as session:
        session.value("select 1")  # the driver has asked what it wants to know once
    database.close()
    gc.collect()
    gc.freeze()
    return street


def live(errand: Errand, street: Street, book: int) -> None:
    """Do the errand, or as much of it as there is time for."""
    present = psycopg.connect(psycopg_url(errand.url), autocommit=True, application_name=NAME)
    present.execute("select pg_advisory_lock(presence_key(%s))", (NAME,))
    street.world.now = errand.now
    runtime = replace(street.runtime, worker=NAME, ring=lambda: FUSE.burn("before the doorbell"))
    with runtime.database.across(errand.now) as session:
        session.value("select 1")  # connected, before the first point
    FUSE.die_at, FUSE.book = errand.die_at, book
    if errand.deliveries:
        receive(runtime, errand.deliveries)
    for channel_id, act in errand.acts:
        ACTS[act](runtime, errand.merchant_id, channel_id)
    FUSE.book = -1


def bear(errand: Errand) -> End:
    """Fork a child for the errand and wait for its end."""
    street = ready(errand.url, errand.data, errand.merchant_id, tuple(errand.doors.items()))
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read_end)
            live(errand, street, write_end)
            code = 0
        finally:
            if code:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            sys.stderr.flush()
            os._exit(code)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as book:
        points = tuple(book.read().decode(errors="replace").splitlines())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return End(points, code == -signal.SIGKILL, code)


@dataclass
class Nursery:
    """The other end of the nursery's pipes."""

    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Callable[[Errand], End]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mortal"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self.run

    def run(self, errand: Errand) -> End:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        pickle.dump(errand, self.process.stdin)
        self.process.stdin.flush()
        end: End = pickle.load(self.process.stdout)
        return end

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=30)


@contextmanager
def nursery() -> Iterator[Callable[[Errand], End]]:
    """Runs errands, one at a time."""
    with Nursery() as run:
        yield run


def main() -> None:
    """Serve errands until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            errand = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(bear(errand), answers)
        answers.flush()


if __name__ == "__main__":
    from tests import mortal  # not as __main__: errands are pickled under the module's name

    mortal.main()
