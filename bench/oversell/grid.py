"""All conditions in turn: demand × lag × mix of faults, written as data, as a table and as a chart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from bench.oversell.chart import Result, draw

DEMANDS = (0.1, 0.5)  # orders a second
LAGS_S = (2.0, 20.0)
Run = Callable[[float, float, str], Mapping[str, Mapping[str, Any]]]


def results_of(run: Run, mixes: Sequence[str]) -> Iterator[Result]:
    """One row per adapter and conditions; `run(demand, lag, mix)` gives the figures of every adapter."""
    for demand, lag, mix in product(DEMANDS, LAGS_S, mixes):
        for adapter, figures in run(demand, lag, mix).items():
            yield {"demand": demand, "lag": lag, "faults": mix, "adapter": adapter, **figures}


def write(folder: Path, results: Sequence[Result]) -> None:
    """`oversell.json`, `oversell.md` and `oversell.svg` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(json.dumps(result) for result in results)
    (folder / "oversell.json").write_text(f"[\n{rows}\n]\n", "utf-8")
    (folder / "oversell.md").write_text(table(results), "utf-8")
    (folder / "oversell.svg").write_text(draw(results), "utf-8")


def table(results: Sequence[Result]) -> str:
    """The same as a table of Markdown, a line for each row."""
    names = [name for name in results[0] if name != "adapter"]
    lines = [["adapter", *names]] + [
        [result["adapter"], *(_told(result[name]) for name in names)] for result in results
    ]
    text = ["| " + " | ".join(name.replace("_", " ") for name in line) + " |" for line in lines]
    return "\n".join([text[0], "|---" * len(lines[0]) + "|", *text[1:]]) + "\n"


def _told(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,.{0 if float(value).is_integer() else 1}f}"
