"""The processes: everything at once on one machine, or the web process, a worker and the schema one by one."""

from __future__ import annotations

import argparse
import os
from typing import Any

from app.commands.frame import add_command, stop_embedded
from app.core.config import Settings
from app.core.signals import stop_on_signals
from app.supervisor import Child, Supervisor
from app.wiring import build, embedded_of, prepare
from app.worker import Worker


def add(commands: Any) -> None:
    """serve, web, worker, migrate."""
    add_command(commands, "serve", run_serve, "run everything on this machine: database, web, worker")
    add_command(commands, "web", run_web, "run the web process (Procfile)")
    add_command(commands, "worker", run_worker, "run a worker (Procfile)")
    add_command(commands, "migrate", run_migrate, "bring the database to this version's schema (Procfile release)")


def run_serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """Everything on one machine until Ctrl-C."""
    started = prepare(settings)
    try:
        _try(settings)
        environment = child_environment(settings)
        children = [Child("web", ["web"]), Child("worker", ["worker"])]
        supervisor = Supervisor(children, environment, embedded_of(settings))
        stop_on_signals(supervisor.stop)
        print(f"Perpetual is at http://{settings.server.host}:{settings.server.port}/ (Ctrl-C stops it)", flush=True)
        supervisor.run()
    finally:
        stop_embedded(embedded_of(settings), started=started)
    return 0


def _try(settings: Settings) -> None:
    """Stop here for what would stop every child: they would be started again for ever. Raises ConfigError."""
    build(settings).database.close()


def child_environment(settings: Settings) -> dict[str, str]:
    """What child processes are told, so that they read the same settings."""
    return {"PERPETUAL_DATA__DIR": str(settings.data.dir.resolve())}


def run_web(arguments: argparse.Namespace, settings: Settings) -> int:
    """The web process: granian over `app.wsgi`."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    prepare(settings)
    _try(settings)
    os.environ.update(child_environment(settings))
    server = settings.server
    Granian(
        "app.wsgi:application", address=server.host, port=server.port, interface=Interfaces.WSGI,
        workers=server.web_workers, blocking_threads=server.web_threads, log_level=LogLevels.warning,
        respawn_failed_workers=True,
    ).serve()  # fmt: skip
    return 0


def run_worker(arguments: argparse.Namespace, settings: Settings) -> int:
    """A worker until SIGTERM; finishes the steps it is at."""
    prepare(settings)
    worker = Worker(build(settings), embedded_of(settings))
    stop_on_signals(worker.stop)
    worker.run()
    return 0


def run_migrate(arguments: argparse.Namespace, settings: Settings) -> int:
    """The schema of this version."""
    started = prepare(settings)
    print("The database is up to date.")
    stop_embedded(embedded_of(settings), started=started)
    return 0
