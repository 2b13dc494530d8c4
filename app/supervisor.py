"""Keeping a machine's processes alive: the embedded server, a web process, workers. What dies is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.core.embedded import Embedded
from app.core.errors import Unavailable
from app.core.log import get_logger

CHECK_S = 0.3
STOP_S = 15
log = get_logger("supervisor")


@dataclass
class Child:
    """A process that is to be running: a name and the arguments after `python -m app`."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None


@dataclass
class Supervisor:
    """Starts the children and brings back what dies, the embedded server included, until stopped."""

    children: Sequence[Child]
    environment: Mapping[str, str] = field(default_factory=dict)
    embedded: Embedded | None = None
    restarts: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Supervise until `stop` (also from a signal handler), then end the children."""
        try:
            while not self._stopping.is_set():
                self.check()
                self._stopping.wait(CHECK_S)
        finally:
            self.end()

    def check(self) -> None:
        """One look: the server first, then each child."""
        if self.embedded is not None and not self.embedded.is_running():
            self._revive(self.embedded)
        for child in self.children:
            if child.process is None or child.process.poll() is not None:
                if child.process is not None:
                    self.restarts += 1
                    log.warning("process_restarted", name=child.name, exit_code=child.process.returncode)
                child.process = self._start(child)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    def end(self) -> None:
        """Ask the children to finish what they are at; kill what does not."""
        running = [
            child.process for child in self.children if child.process is not None and child.process.poll() is None
        ]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, child: Child) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "app", *child.arguments]
        # A session of its own: Ctrl-C reaches us, and we tell the children in order.
        return subprocess.Popen(command, env={**os.environ, **self.environment}, start_new_session=True)  # noqa: S603

    def _revive(self, embedded: Embedded) -> None:
        try:
            embedded.ensure()
            log.warning("embedded_server_restarted")
        except Unavailable as error:
            log.error("embedded_server_failed", reason=error.reason, detail=error.detail)
