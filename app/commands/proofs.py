"""Proving it on this machine: the demo with its pretend shops, and the benchmarks; each is loaded where it is run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.frame import add_command
from app.core.config import Settings

if TYPE_CHECKING:
    from app.simulation.run import Summary

VARIANTS_MAX = 1_000_000
EVENTS_MAX = 1_000_000_000
PROCESSES_MAX = 1_000
AGAIN = "python -m app simulate --processes 1 --events 1"


def add(commands: Any) -> None:
    """demo, simulate, bench."""
    _add_demo(commands)
    _add_simulate(commands)
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


def _add_simulate(commands: Any) -> None:
    from app.simulation.weather import LOOPS

    parser = add_command(commands, "simulate", run_simulate, "play the service in virtual time while everything fails")
    parser.add_argument(
        "--events", type=_up_to(EVENTS_MAX), default=100_000, metavar="N", help="until there were so many events"
    )
    parser.add_argument(
        "--seed", type=_up_to(EVENTS_MAX), default=1, metavar="S", help="the first run's; each run takes the next"
    )
    parser.add_argument(
        "--heal",
        choices=("on", "off", *LOOPS),
        default="on",
        help="off: no healing loop; a name: all but that one",
    )
    parser.add_argument(
        "--processes", type=_up_to(PROCESSES_MAX), default=os.cpu_count() or 1, metavar="P", help="runs side by side"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run_simulate(arguments: argparse.Namespace, settings: Settings) -> int:
    """On database servers of their own; nothing configured is touched."""
    from app.simulation.run import simulate, theatres

    with theatres(arguments.processes) as servers:
        for episode, summary in simulate(  # noqa: B007  the last one counts
            servers, events=arguments.events, seed=arguments.seed, heal=arguments.heal
        ):
            for why in episode.violations:
                print(f"seed {episode.seed}: {why}", file=sys.stderr)
            if not arguments.json:
                print(f"seed {episode.seed}: {episode.events} events, {len(episode.violations)} violations", flush=True)
    return tell(summary, arguments.heal, as_json=arguments.json)


def tell(summary: Summary, heal: str, *, as_json: bool) -> int:
    """What all runs came to, and the line that plays each failing seed again; 1 when there is one."""
    for seed in summary.failed:
        print(f"again: {AGAIN} --seed {seed}{'' if heal == 'on' else f' --heal {heal}'}", file=sys.stderr)
    figures = summary.figures()
    print(json.dumps(figures) if as_json else "\n".join(f"{name}: {value}" for name, value in figures.items()))
    return 1 if summary.failed else 0


def _add_bench(commands: Any) -> None:
    parser = add_command(commands, "bench", run_bench, "measure against a limit measured in the same run")
    parser.add_argument("what", choices=("ledger", "ingest", "sync", "import", "pages", "kills"))
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object")
    parser.add_argument("--woo", choices=("instant", "cron"), default="instant", help="sync: how WooCommerce delivers")
    parser.add_argument(
        "--variants", type=_up_to(VARIANTS_MAX), default=100_000, metavar="N", help="import: how many (100000)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure")


def _up_to(most: int) -> Callable[[str], int]:
    """The type of an option that counts: 1 is the least."""

    def count(text: str) -> int:
        plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not plain or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
        return int(text)

    return count


def run_bench(arguments: argparse.Namespace, settings: Settings) -> int:
    """A benchmark on a scratch database of its own; 1 when what is also a proof says no."""
    import bench

    result = bench.run(arguments.what, quick=arguments.quick, woo=arguments.woo, variants=arguments.variants)
    print(json.dumps(result) if arguments.json else bench.as_text(result))
    return 1 if bench.is_no(result) else 0
