"""Results as a drawing: a panel for each demand and lag, a group of bars for each mix of faults, a bar per adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

Result = Mapping[str, Any]  # one adapter under some conditions: `adapter`, `demand`, `lag`, `faults` and its figures

COLOURS = ("#0b6e4f", "#c1121f", "#f08a24", "#5a6acf", "#9a9a9a", "#7b2d8b", "#2b9eb3", "#8c6d1f")
PANEL_WIDTH, PANEL_HEIGHT, GAP_X, GAP_Y, LEFT, TOP = 420, 150, 40, 62, 20, 92
FIGURES = {"oversold_units": "sold twice", "stranded_units": "stranded"}
TITLE = "Units sold twice, and units that no buyer could get, per 100,000 orders"
_TEMPLATE = Path(__file__).with_name("chart.svg.jinja")


def draw(results: Sequence[Result]) -> str:
    """An SVG of the results of every adapter under all conditions; the heights of one figure are to one scale."""
    adapters = _in_order(results, "adapter")
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(adapters)}
    settings = sorted({(result["demand"], result["lag"]) for result in results})
    panels = [
        {"x": LEFT + column * (PANEL_WIDTH + GAP_X), "y": TOP + line * (PANEL_HEIGHT + GAP_Y), **panel}
        for column, figure in enumerate(FIGURES)
        for line, panel in enumerate(_panels(results, figure, settings, colours))
    ]
    legend = [{"x": LEFT + 170 * place, "name": name, "colour": colours[name]} for place, name in enumerate(adapters)]
    return Environment(autoescape=True, trim_blocks=True).from_string(_TEMPLATE.read_text("utf-8")).render(
        title=TITLE, panels=panels, legend=legend, panel_width=PANEL_WIDTH, panel_height=PANEL_HEIGHT,
        width=max(LEFT + len(FIGURES) * (PANEL_WIDTH + GAP_X), LEFT + 170 * len(adapters)),
        height=TOP + len(settings) * (PANEL_HEIGHT + GAP_Y),
    )  # fmt: skip


def _panels(
    results: Sequence[Result], figure: str, settings: Sequence[tuple[float, float]], colours: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    most = max(result[figure] for result in results) or 1
    mixes, adapters = _in_order(results, "faults"), list(colours)
    group = PANEL_WIDTH / len(mixes)
    width = 0.9 * group / len(adapters)
    for demand, lag in settings:
        bars = [
            {
                "x": round(mixes.index(result["faults"]) * group + adapters.index(result["adapter"]) * width, 1),
                "width": round(width - 1, 1),
                "height": round(result[figure] / most * (PANEL_HEIGHT - 12), 1),
                "colour": colours[result["adapter"]],
                "label": f"{result[figure]:,.0f}",
                "told": f"{result['adapter']}: {result[figure]:,}",
            }
            for result in results
            if (result["demand"], result["lag"]) == (demand, lag)
        ]
        groups = [{"x": round((place + 0.45) * group, 1), "name": mix} for place, mix in enumerate(mixes)]
        yield {"title": f"{FIGURES[figure]}: {demand:g} orders/s, lag {lag:g} s", "bars": bars, "groups": groups}


def _in_order(results: Sequence[Result], key: str) -> list[Any]:
    """The different values, as they first come."""
    return list(dict.fromkeys(result[key] for result in results))
