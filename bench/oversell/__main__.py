"""`python -m bench.oversell [--orders N] [--seed S] [--demand D] [--lag L] [--faults none|mild|wild] [--json]`"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from app.core.log import configure
from app.simulation.run import fresh_database, theatre
from app.simulation.weather import Weather
from bench.oversell.market import Conditions, Market
from bench.oversell.naive import BlindRetry, Oracle, Overwrite, PushOnChange
from bench.oversell.ours import Perpetual
from sandbox.faults import NAMED

MIXES = {name: Weather(faults=faults, skew_s=0.0) for name, faults in NAMED.items()}
MIXES["wild"] = replace(MIXES["wild"], late=0.01, garbled=0.01, crash_after=3_000)


def run(conditions: Conditions) -> dict[str, Any]:
    """Every adapter under the same conditions, by its name."""
    return dict(_results(conditions))


def _results(conditions: Conditions) -> Iterator[tuple[str, Any]]:
    with theatre() as server, fresh_database(server, "oversell") as database:
        ours = Perpetual(database)
        yield ours.name, Market(conditions).run(ours)
        if ours.violations:
            raise SystemExit("\n".join(ours.violations))
    for adapter in (Overwrite(), PushOnChange(), BlindRetry(), Oracle()):
        yield adapter.name, Market(conditions).run(adapter)


def main() -> int:
    """Print one object per adapter."""
    parser = argparse.ArgumentParser(prog="python -m bench.oversell")
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--demand", type=float, default=0.5, help="orders a second over both shops")
    parser.add_argument("--lag", type=float, default=2.0, help="seconds that a delivery takes")
    parser.add_argument("--faults", choices=sorted(MIXES), default="mild")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    configure("json", "CRITICAL")
    results = run(Conditions(given.orders, given.seed, given.demand, given.lag, MIXES[given.faults]))
    if given.json:
        print(json.dumps(results))
        return 0
    for name, figures in results.items():
        print(f"{name:24}" + "  ".join(f"{figure} {value:>9}" for figure, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
