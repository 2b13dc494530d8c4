"""Proving it on this machine: the demo with its pretend shops, and the benchmarks; each is loaded where it is run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from app.commands.frame import add_command
from app.core.config import Settings


def add(commands: Any) -> None:
    """demo, bench."""
    _add_demo(commands)
    _add_bench(commands)


def _add_demo(commands: Any) -> None:
    from app import demo  # the pretend shops are only loaded where they are used

    parser = add_command(
        commands,
        "demo",
        lambda arguments, settings: demo.run(arguments, settings),
        "two pretend shops sell from one stock",
    )
    parser.set_defaults(default_data=Path("var/demo"))
    demo.add_arguments(parser)


def _add_bench(commands: Any) -> None:
    parser = add_command(commands, "bench", run_bench, "measure against a limit measured in the same run")
    parser.add_argument("what", choices=("ledger", "ingest", "sync"))
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object")
    parser.add_argument("--woo", choices=("instant", "cron"), default="instant", help="sync: how WooCommerce delivers")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure")


def run_bench(arguments: argparse.Namespace, settings: Settings) -> int:
    """A benchmark on a scratch database of its own."""
    import bench

    result = bench.run(arguments.what, quick=arguments.quick, woo=arguments.woo)
    print(json.dumps(result) if arguments.json else bench.as_text(result))
    return 0
