"""The demo's processes: web and two workers as they run in earnest, logs in a file, and a killer for wild days."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from app.core.config import Settings
from app.core.errors import Unavailable
from app.core.runtime import Runtime
from app.supervisor import Child, Supervisor
from app.wiring import embedded_of

WORKERS = 2
KILL_EVERY_S = (2.0, 5.0)
PACE = {
    "poll_interval_s": 2,
    "poll_overlap_s": 5,
    "sweep_interval_s": 20,
    "sweep_overlap_s": 60,
    "audit_interval_s": 20,
    "attempt_deadline_s": 71,
}
_RELEASE = (
    """update push_attempt set deadline = %(now)s
       where merchant_id = %(merchant_id)s and state <> 'done' and owner like %(worker)s || '/%%'""",
    """update channel_poll set deadline = %(now)s
       where merchant_id = %(merchant_id)s and deadline is not null and owner = %(worker)s""",
    "update inbox set deadline = %(now)s where merchant_id = %(merchant_id)s and state = 'reading'",
)


def paced(settings: Settings, port: int) -> Settings:
    """The settings with the demo's pace and port."""
    sync = settings.sync.model_copy(update=PACE)
    server = settings.server.model_copy(update={"port": port, "web_workers": 1})
    security = settings.security.model_copy(update={"allow_loopback": True})  # the pretend shops are on this machine
    return settings.model_copy(update={"sync": sync, "server": server, "security": security})


def environment(settings: Settings) -> dict[str, str]:
    """What the child processes are told so that they read the same."""
    told = {f"PERPETUAL_SYNC__{name.upper()}": str(value) for name, value in PACE.items()}
    return {
        **told,
        "PERPETUAL_DATA__DIR": str(settings.data.dir.resolve()),
        "PORT": str(settings.server.port),
        "PERPETUAL_SERVER__HOST": settings.server.host,
        "PERPETUAL_SERVER__WEB_WORKERS": "1",
        "PERPETUAL_SECURITY__ALLOW_LOOPBACK": "true",
    }


@dataclass
class DemoSupervisor(Supervisor):
    """A supervisor whose children write to `log_file`. `died(worker's name)` is called for a child that had to be
    brought back."""

    log_file: Path = Path("demo.log")
    died: Callable[[str], None] = lambda name: None

    def _start(self, child: Child) -> subprocess.Popen[bytes]:
        if child.process is not None:
            _end_group(child.process.pid)
            self.died(f"{socket.gethostname()}:{child.process.pid}")
        command = [sys.executable, "-m", "app", *child.arguments]
        with self.log_file.open("ab") as log:
            started = subprocess.Popen(  # noqa: S603
                command, env={**os.environ, **self.environment}, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        with _pids_file(self.log_file).open("a") as file:
            file.write(f"{started.pid}\n")
        return started


def end_orphans(log_file: Path) -> None:
    """End the processes of an earlier demo that was killed and could not end them (Linux)."""
    noted = _pids_file(log_file)
    for line in noted.read_text().split() if noted.exists() else ():
        with suppress(OSError):
            if b"\0-m\0app\0" in Path(f"/proc/{line}/cmdline").read_bytes():
                _end_group(int(line))
    noted.unlink(missing_ok=True)


def _pids_file(log_file: Path) -> Path:
    return log_file.with_suffix(".pids")


def _end_group(leader: int) -> None:
    """What a killed process leaves behind (a web server's own children) would keep its port."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


@dataclass
class Household:
    """The supervisor in a thread of its own, and the killer beside it."""

    runtime: Runtime
    merchant_id: int
    log_file: Path
    killed: int = 0
    _calm: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = self.runtime.settings
        workers = [Child(f"worker {number}", ["worker"]) for number in range(1, WORKERS + 1)]
        self.workers = workers
        self.supervisor = DemoSupervisor(
            [Child("web", ["web"]), *workers], environment(settings), embedded_of(settings),
            log_file=self.log_file, died=self._release,
        )  # fmt: skip

    def start(self) -> None:
        """Start the processes and keep them running."""
        self._spawn(self.supervisor.run, "supervisor")

    def start_killing(self, rng: Random) -> None:
        """Every few seconds a worker is killed with SIGKILL, wherever it is."""
        self._spawn(lambda: self._kill(rng), "killer")

    def calm(self) -> None:
        """Kill nobody any more."""
        self._calm.set()

    def stop(self) -> None:
        """End the processes in order."""
        self._calm.set()
        self.supervisor.stop()
        for thread in self._threads:
            thread.join()

    def _spawn(self, run: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _kill(self, rng: Random) -> None:
        while not self._calm.wait(rng.uniform(*KILL_EVERY_S)):
            process = rng.choice(self.workers).process
            if process is not None and process.poll() is None:
                process.kill()
                self.killed += 1

    def _release(self, worker: str) -> None:
        """What a dead worker had claimed is free at once: elsewhere its deadline says so a minute later, here we have
        seen it die."""
        now = self.runtime.clock()
        with suppress(Unavailable), self.runtime.begin(self.merchant_id, now) as session:
            for sql in _RELEASE:
                session.run(sql, now=now, worker=worker)
