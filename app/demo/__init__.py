"""The demo: two pretend shops really sell from one stock, on this machine; their own order books judge the numbers."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from app.core.config import Settings

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?\Z")
RATE_MAX = 200.0
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, None: 1.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's options; `--data` is the command line's own."""
    parser.add_argument("--port", type=int, default=8000, help="where the pages are (default 8000; 0: any free port)")
    parser.add_argument(
        "--for", dest="for_s", type=span_s, metavar="TIME", help="sell so long (20s, 5m), then check and report"
    )
    parser.add_argument("--rate", type=per_second, default=5.0, help="orders per second (default 5)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is left to chance (default 1)")
    parser.add_argument(
        "--faults", choices=("none", "mild", "wild"), default="none", help="what goes wrong (default none)"
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="sell the order lines of a CSV file (may be .gz) instead"
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


def span_s(text: str) -> float:
    """`20s`, `5m`, `1h` or plain seconds, as seconds."""
    match = _SPAN.match(text)
    if match is None:
        raise argparse.ArgumentTypeError("a time like 20s or 5m")
    return float(match[1]) * _SECONDS[match[2]]


def per_second(text: str) -> float:
    """A rate above 0 and up to what one seller can do."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= RATE_MAX:
        raise argparse.ArgumentTypeError(f"a number above 0, up to {RATE_MAX:g}")
    return rate


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run it; 0 when nothing was lost, doubled or left unequal."""
    if args.replay is not None:
        from app.demo.replay import replay  # the pretend shops are only loaded where they are used

        return replay(args, settings)
    from app.demo.play import play

    return play(args, settings)
