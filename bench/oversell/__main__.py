"""`python -m bench.oversell [--orders N] [--seed S] [--demand D] [--lag L] [--faults none|mild|wild]
[--adapter MODULE:CLASS] [--grid FOLDER] [--json]`"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from app.core.log import configure
from app.simulation.run import fresh_database, theatre
from app.simulation.weather import Weather
from bench.oversell import grid
from bench.oversell.market import Adapter, Conditions, Market
from bench.oversell.naive import BlindRetry, Oracle, Overwrite, PushOnChange
from bench.oversell.ours import Perpetual
from sandbox.faults import NAMED

MIXES = {name: Weather(faults=faults, skew_s=0.0) for name, faults in NAMED.items()}
MIXES["wild"] = replace(MIXES["wild"], late=0.01, garbled=0.01, crash_after=3_000)
NAIVE = (Overwrite, PushOnChange, BlindRetry)
OTHERS = (*NAIVE, Oracle)


def run(conditions: Conditions, more: Sequence[type[Adapter]] = ()) -> dict[str, Any]:
    """Every adapter under the same conditions, by its name; `more`: those of other tools."""
    return dict(_results(conditions, more))


def _results(conditions: Conditions, more: Sequence[type[Adapter]]) -> Iterator[tuple[str, Any]]:
    with theatre() as server, fresh_database(server, "oversell") as database:
        ours = Perpetual(database)
        yield ours.name, Market(conditions).run(ours)
        if ours.violations:
            raise SystemExit("\n".join(ours.violations))
    for adapter in (*(make() for make in OTHERS), *(make() for make in more)):
        yield adapter.name, Market(conditions).run(adapter)


def _class_of(named: str) -> type[Adapter]:
    """The adapter that `package.module:Class` names.

    :raises argparse.ArgumentTypeError: there is none.
    """
    module, _, name = named.partition(":")
    try:
        found: type[Adapter] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{named}: {error}; name one as package.module:Class") from error
    return found


def _above_zero(kind: type[int] | type[float]) -> Callable[[str], float]:
    """The type of an option that things are divided by."""

    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError("a number above 0")
        return value

    return number


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.oversell")
    parser.add_argument("--orders", type=_above_zero(int), default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--demand", type=_above_zero(float), default=0.5, help="orders a second over both shops")
    parser.add_argument("--lag", type=_above_zero(float), default=2.0, help="seconds that a delivery takes")
    parser.add_argument("--faults", choices=sorted(MIXES), default="mild")
    parser.add_argument("--adapter", type=_class_of, action="append", default=[], metavar="MODULE:CLASS")
    parser.add_argument(
        "--grid", type=Path, metavar="FOLDER", help="all demands, lags and faults; writes a table and a chart"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Print one object per adapter, or write the whole grid; 1 when a promise was broken (`_verdict`)."""
    given = _given()
    configure("json", "CRITICAL")

    def under(demand: float, lag: float, mix: str) -> dict[str, Any]:
        return run(Conditions(given.orders, given.seed, demand, lag, MIXES[mix]), given.adapter)

    if given.grid:
        found = []
        for result in grid.results_of(under, list(MIXES)):
            found.append(result)
            grid.write(given.grid, found)  # it takes an hour: what is there can be looked at
        return _verdict(found)
    results = under(given.demand, given.lag, given.faults)
    if given.json:
        print(json.dumps(results))
    else:
        for name, figures in results.items():
            print(f"{name:24}" + "  ".join(f"{figure} {value:>9}" for figure, value in figures.items()))
    return _verdict([{"faults": given.faults, "adapter": name, **figures} for name, figures in results.items()])


def _verdict(found: Sequence[Mapping[str, Any]]) -> int:
    """Whether the promises were kept, as an exit status: nothing sold twice that could have been known, and under each
    mix of faults less sold twice than by any naive tool that sold anything twice."""
    ours = [figures for figures in found if figures["adapter"] == Perpetual.name]
    broken = [
        f"sold twice although it could have been known: {dict(figures)}"
        for figures in ours
        if figures["oversold_beyond_delay_units"] > 0
    ]
    for mix in dict.fromkeys(figures["faults"] for figures in ours):
        sold: Counter[str] = Counter()
        for figures in found:
            sold[figures["adapter"]] += figures["oversold_units"] if figures["faults"] == mix else 0
        least = min((sold[naive.name] for naive in NAIVE if sold[naive.name] > 0), default=None)
        if least is not None and sold[Perpetual.name] >= least:
            broken.append(f"{mix}: {sold[Perpetual.name]} sold twice, a naive tool {least}")
    print("\n".join(broken), end="\n" if broken else "", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
