"""The command line: `python -m app COMMAND`. Each command is a few lines over the capability that does it.

Exit codes: 0 fine, 1 the answer is no (verify found something), 2 wrong use or configuration.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.accounts.merchants import create_merchant, get_merchant, list_merchants
from app.catalog.locations import create_location
from app.core.backup import backup, restore
from app.core.config import Settings, load_settings
from app.core.embedded import Embedded
from app.core.errors import ConfigError, PerpetualError
from app.core.local_secrets import store_owner_password_hash
from app.core.log import configure
from app.core.passwords import hash_password
from app.core.runtime import Runtime
from app.ledger import opening
from app.ledger.verify import verify
from app.listings.catalogue import reopen_unknown
from app.supervisor import Child, Supervisor
from app.wiring import build, embedded_of, prepare
from app.worker import Worker

Command = Callable[[argparse.Namespace, Settings], int]


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        settings = load_settings(config=arguments.config, data_dir=_data_dir(arguments), environ=os.environ)
        configure(settings.log.format, settings.log.level)
        command: Command = arguments.run
        return command(arguments, settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except PerpetualError as error:
        print(f"{error.reason}: {error.detail}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m app", description="Perpetual keeps one stock ledger and every channel equal to it."
    )
    parser.set_defaults(default_data=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", run_serve, "run everything on this machine: database, web, worker")
    _add(commands, "web", run_web, "run the web process (Procfile)")
    _add(commands, "worker", run_worker, "run a worker (Procfile)")
    _add(commands, "migrate", run_migrate, "bring the database to this version's schema (Procfile release)")
    _add_merchant(_add(commands, "verify", run_verify, "check the ledger's promises on the live data"))
    why = _add_merchant(_add(commands, "why", run_why, "say where a shown number comes from, down to the movements"))
    why.add_argument("sku")
    why.add_argument("--channel", help="only this channel, by name")
    why.add_argument("--json", action="store_true")
    items = commands.add_parser("items", help="the catalogue").add_subparsers(required=True, metavar="WHAT")
    importing = _add_merchant(_add(items, "import", run_items_import, "items with opening stock and cost from a CSV"))
    importing.add_argument("file", type=Path)
    importing.add_argument("--preview", action="store_true", help="say what would happen and write nothing")
    _add_setup(commands)
    for name, run in (("backup", run_backup), ("restore", run_restore)):
        _add(commands, name, run, f"{name} the embedded database").add_argument("file", type=Path)
    config = commands.add_parser("config", help="configuration").add_subparsers(required=True, metavar="WHAT")
    _add(config, "check", run_config_check, "read the configuration and list every fault")
    owner = commands.add_parser("owner", help="the one owner of this installation").add_subparsers(
        required=True, metavar="WHAT"
    )
    _add(owner, "set-password", run_set_password, "set the password that opens the pages from elsewhere")
    _add_demo(commands)
    _add_bench(commands)
    return parser


def _add(commands: Any, name: str, run: Command, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
    parser.add_argument("--config", type=Path, help="TOML file (default: config.toml if it exists)")
    parser.add_argument("--data", type=Path, help="folder of the embedded database and state (default var/data)")
    parser.set_defaults(run=run)
    return parser


def _add_merchant(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--merchant", help="which merchant, where there are several")
    return parser


def _add_setup(commands: Any) -> None:
    merchant = commands.add_parser("merchant", help="merchants").add_subparsers(required=True, metavar="WHAT")
    create = _add(merchant, "create", run_merchant_create, "a new merchant")
    create.add_argument("name")
    create.add_argument("--currency", default="USD", help="ISO 4217 code (default USD)")
    create.add_argument("--cost-method", default="fifo", choices=("fifo", "average"))
    create.add_argument("--time-zone", default="UTC", help="IANA name; it decides the accounting day (default UTC)")
    _add(merchant, "list", run_merchant_list, "all merchants")
    location = commands.add_parser("location", help="the merchant's places").add_subparsers(
        required=True, metavar="WHAT"
    )
    place = _add_merchant(_add(location, "create", run_location_create, "a new location"))
    place.add_argument("name")
    place.add_argument("--priority", type=int, default=100, help="lower serves orders first that say no place")


def _add_demo(commands: Any) -> None:
    from app import demo  # the pretend shops are only loaded where they are used

    parser = _add(
        commands,
        "demo",
        lambda arguments, settings: demo.run(arguments, settings),
        "two pretend shops sell from one stock",
    )
    parser.set_defaults(default_data=Path("var/demo"))
    demo.add_arguments(parser)


def _add_bench(commands: Any) -> None:
    parser = _add(commands, "bench", run_bench, "measure against a limit measured in the same run")
    parser.add_argument("what", choices=("ledger", "ingest", "sync"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--woo", choices=("instant", "cron"), default="instant", help="sync: how WooCommerce delivers")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure")


def _data_dir(arguments: argparse.Namespace) -> Path | None:
    """`--data`; else the command's own default, unless the environment or a file says otherwise."""
    given: Path | None = arguments.data
    if given is not None or "PERPETUAL_DATA__DIR" in os.environ:
        return given
    return arguments.default_data or Path("var/data")


def run_serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """Everything on one machine until Ctrl-C."""
    started = prepare(settings)
    environment = child_environment(settings)
    children = [Child("web", ["web"]), Child("worker", ["worker"])]
    supervisor = Supervisor(children, environment, embedded_of(settings))
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: supervisor.stop())
    print(f"Perpetual is at http://{settings.server.host}:{settings.server.port}/ (Ctrl-C stops it)", flush=True)
    supervisor.run()
    _stop_embedded(embedded_of(settings), started=started)
    return 0


def child_environment(settings: Settings) -> dict[str, str]:
    """What child processes are told, so that they read the same settings."""
    return {"PERPETUAL_DATA__DIR": str(settings.data.dir.resolve())}


def _stop_embedded(embedded: Embedded | None, *, started: bool) -> None:
    if embedded is not None and started:
        embedded.stop()


def run_web(arguments: argparse.Namespace, settings: Settings) -> int:
    """The web process: granian over `app.wsgi`."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    prepare(settings)
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
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: worker.stop())
    worker.run()
    return 0


def run_migrate(arguments: argparse.Namespace, settings: Settings) -> int:
    """The schema of this version."""
    started = prepare(settings)
    print("The database is up to date.")
    _stop_embedded(embedded_of(settings), started=started)
    return 0


def run_verify(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when every promise holds for the merchant, or for all of them."""

    def check(runtime: Runtime) -> int:
        now = runtime.clock()
        merchants = list_merchants(runtime.database, now)
        if arguments.merchant is not None:
            merchants = [get_merchant(runtime.database, now, arguments.merchant)]
        faults = 0
        for merchant in merchants:
            with runtime.begin(merchant.merchant_id, now) as session:
                findings = verify(session)
            faults += len(findings)
            for finding in findings:
                print(f"{merchant.name}: {finding.check}: item {finding.item_id} {finding.place}")
            if not findings:
                print(f"{merchant.name}: ok")
        return 1 if faults else 0

    return _with_runtime(settings, check)


def run_why(arguments: argparse.Namespace, settings: Settings) -> int:
    """The tree behind a shown number."""
    from app.publishing import why, why_text

    def explain(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            answer = why.run(session, arguments.sku, arguments.channel)
        print(why_text.as_json(answer) if arguments.json else why_text.as_text(answer))
        return 0

    return _with_runtime(settings, explain)


def run_merchant_create(arguments: argparse.Namespace, settings: Settings) -> int:
    """A merchant; everything else belongs to one."""

    def create(runtime: Runtime) -> int:
        how = {"currency": arguments.currency, "cost_method": arguments.cost_method, "time_zone": arguments.time_zone}
        create_merchant(runtime.database, runtime.clock(), name=arguments.name, **how)
        print(f"{arguments.name} is there.")
        return 0

    return _with_runtime(settings, create)


def run_merchant_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each."""

    def show(runtime: Runtime) -> int:
        for merchant in list_merchants(runtime.database, runtime.clock()):
            print(f"{merchant.name}\t{merchant.currency}\t{merchant.cost_method}\t{merchant.time_zone}")
        return 0

    return _with_runtime(settings, show)


def run_location_create(arguments: argparse.Namespace, settings: Settings) -> int:
    """A place of the merchant's own."""

    def create(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            create_location(session, arguments.name, arguments.priority)
        print(f"{arguments.name} is there.")
        return 0

    return _with_runtime(settings, create)


def run_items_import(arguments: argparse.Namespace, settings: Settings) -> int:
    """All of the file or nothing; 1 with every fault's place when it has some."""

    def bring_in(runtime: Runtime) -> int:
        now, data = runtime.clock(), arguments.file.read_bytes()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            plan = opening.preview(session, data)
            for fault in plan.faults:
                print(fault.as_fault())
            if plan.faults or arguments.preview:
                print(f"{plan.items_new} new items, {plan.openings} opening stocks; nothing was written")
                return 1 if plan.faults else 0
            result = opening.commit_import(session, data, name=arguments.file.name)
            reopen_unknown(session)
        with runtime.database.across(now) as session:
            session.run("select refresh_statistics()")
        print(
            f"{result.items_created} new items, {result.openings} opening stocks, {result.repeated} were there already"
        )
        return 0

    return _with_runtime(settings, bring_in)


def run_backup(arguments: argparse.Namespace, settings: Settings) -> int:
    """The embedded database as one file; the data folder's secrets are not in it."""
    return _with_embedded(settings, lambda embedded: backup(embedded, arguments.file), "written")


def run_restore(arguments: argparse.Namespace, settings: Settings) -> int:
    """A backup into an embedded database that is empty."""
    return _with_embedded(settings, lambda embedded: restore(embedded, arguments.file), "restored")


def _with_embedded(settings: Settings, act: Callable[[Embedded], object], done: str) -> int:
    embedded = embedded_of(settings)
    if embedded is None:
        print("Your own database is yours to back up, with its own pg_dump.", file=sys.stderr)
        return 2
    started = embedded.ensure()
    try:
        act(embedded)
    finally:
        _stop_embedded(embedded, started=started)
    print(f"The backup is {done}.")
    return 0


def run_config_check(arguments: argparse.Namespace, settings: Settings) -> int:
    """Reaching this line is the answer: faults end in `main`."""
    print("The configuration is fine.")
    return 0


def run_set_password(arguments: argparse.Namespace, settings: Settings) -> int:
    """Ask twice, or read one line when piped; store only the hash."""
    if sys.stdin.isatty():
        password = getpass.getpass("New owner password: ")
        if getpass.getpass("Again: ") != password:
            print("The two differ; nothing was changed.", file=sys.stderr)
            return 2
    else:
        password = sys.stdin.readline().rstrip("\n")
    store_owner_password_hash(settings.data.dir, hash_password(password))
    print("The owner password is set.")
    return 0


def run_bench(arguments: argparse.Namespace, settings: Settings) -> int:
    """A benchmark on a scratch database of its own."""
    import bench

    result = bench.run(arguments.what, quick=arguments.quick, woo=arguments.woo)
    print(json.dumps(result) if arguments.json else bench.as_text(result))
    return 0


def _with_runtime(settings: Settings, act: Callable[[Runtime], int]) -> int:
    """Run one command against the database; an embedded server that was not running is stopped again."""
    started = prepare(settings)
    runtime = build(settings)
    try:
        return act(runtime)
    finally:
        runtime.database.close()
        _stop_embedded(embedded_of(settings), started=started)
