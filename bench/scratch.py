"""A machine of its own for one measurement: an embedded server (fsync on) in a temporary folder, and the product's real
processes beside it. All of it is ended and removed afterwards, and nothing configured elsewhere is touched.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from app.core.clock import monotonic_s
from app.core.config import Settings, load_settings
from app.core.runtime import Runtime
from app.wiring import build, embedded_of, prepare
from bench import process

HOST = "127.0.0.1"
STOP_S = 20.0
START_S = 180.0
ROOT = Path(__file__).parent.parent


@dataclass
class Scratch:
    """`processes`: what was started, by name."""

    folder: Path
    settings: Settings
    runtime: Runtime
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Where the web process answers."""
        return f"http://{HOST}:{self.settings.server.port}"

    def start(self, name: str, *arguments: str, **environment: str) -> None:
        """Run `python -m ARGUMENTS` until the end of the measurement; what it prints goes to `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments], env={**self.environment, **environment}, cwd=ROOT,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def start_web(self, port: int | None = None) -> None:
        """The real web process; returns when it answers."""
        self.start("web", "app", "web")
        wait_until_answers(port or self.settings.server.port)

    def stop(self, *names: str) -> None:
        """End these processes, or all of them."""
        ending = [self.processes.pop(name) for name in names or list(self.processes)]
        for one in ending:
            one.send_signal(signal.SIGTERM)
        for one in ending:
            try:
                one.wait(STOP_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(one.pid, signal.SIGKILL)
                one.wait()

    def trees(self) -> dict[str, list[int]]:
        """Process ids of each started process with its children, and of the database's."""
        postmaster = int((_cluster(self.settings) / "postmaster.pid").read_text().split("\n", 1)[0])
        roots = {**{name: one.pid for name, one in self.processes.items()}, "postgres": postmaster}
        return {name: process.tree(pid) for name, pid in roots.items()}

    def memory_mb(self) -> dict[str, int]:
        """Proportional memory (shared pages counted once) of each process with its children."""
        return {name: round(sum(map(process.memory_mb, pids))) for name, pids in self.trees().items()}

    def cpu_s(self) -> dict[str, float]:
        """Processor time so far of each process with its children."""
        return {name: sum(map(process.cpu_s, pids)) for name, pids in self.trees().items()}


@contextmanager
def scratch(**sync: int) -> Iterator[Scratch]:
    """A running database with the schema, nothing else yet. `sync` changes settings of that section."""
    with tempfile.TemporaryDirectory(prefix="perpetual-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server runs as another user
        environment = _environment(folder, sync)
        settings = load_settings(config=None, data_dir=None, environ=environment)
        embedded = embedded_of(settings)
        assert embedded is not None
        with ExitStack() as ending:
            ending.callback(embedded.stop)
            prepare(settings)
            runtime = build(settings, name="bench")
            ending.callback(runtime.database.close)
            made = Scratch(folder, settings, runtime, environment)
            ending.callback(made.stop)
            yield made


def _environment(folder: Path, sync: Mapping[str, int]) -> dict[str, str]:
    """Nothing of ours from outside: a database that is configured here must not be written to."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith("PERPETUAL_") and k not in ("DATABASE_URL", "PORT")
    }
    config = folder / "empty.toml"
    config.write_text("")
    return {
        **inherited,
        **{f"PERPETUAL_SYNC__{name.upper()}": str(value) for name, value in sync.items()},
        "PERPETUAL_CONFIG": str(config),
        "PERPETUAL_DATA__DIR": str(folder / "data"),
        "PERPETUAL_LOG__LEVEL": "WARNING",
        "PERPETUAL_SECURITY__ALLOW_LOOPBACK": "true",  # the pretend shops are on this machine
        "PORT": str(free_port()),
    }


def _cluster(settings: Settings) -> Path:
    embedded = embedded_of(settings)
    assert embedded is not None
    return embedded.cluster


def wait_until_answers(port: int) -> None:
    """Until `/healthz` there says 200."""
    until = monotonic_s() + START_S
    while monotonic_s() < until:
        with suppress(requests.RequestException):
            if requests.get(f"http://{HOST}:{port}/healthz", timeout=5).ok:
                return
        process.rest(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
