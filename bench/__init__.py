"""Measurements that anybody can repeat: each prints its figures beside a limit measured in the same run.

`python -m app bench ledger|ingest|sync|import|pages|kills`. Each has a database of its own, made for it and removed
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def run(what: str, *, quick: bool, woo: str, variants: int = 100_000) -> dict[str, Any]:
    """Run one benchmark; its figures by name. `woo`: how WooCommerce delivers, for `sync`; `variants`:
    how many, for `import`."""
    if what == "ledger":
        return _ledger(quick=quick)
    if what == "ingest":
        from bench import ingest

        return ingest.run(quick=quick)
    if what == "import":
        from bench import catalogue

        return catalogue.run(variants)
    if what == "pages":
        from bench import pages

        return pages.run(quick=quick)
    if what == "kills":
        from bench import kills

        return kills.run(kills.QUICK if quick else kills.FULL)
    from bench import sync

    return sync.run(quick=quick, woo="cron" if woo == "cron" else "instant")


MUST_BE_NOTHING = ("lost", "doubled", "hot_units_lost", "numbers_that_differ")


def is_no(result: Mapping[str, Any]) -> bool:
    """Whether a measurement that is also a proof says no: something acknowledged was lost, is there twice, or a shop
    does not show what it should."""
    return any(result.get(name) for name in MUST_BE_NOTHING) or result.get("verify", "ok") != "ok"


def _ledger(*, quick: bool) -> dict[str, Any]:
    from app.wiring import embedded_of
    from bench import ledger
    from bench.scratch import scratch

    with scratch() as home:
        server = embedded_of(home.settings)
        assert server is not None
        return ledger.run(server, quick=quick)


def as_text(result: Mapping[str, Any]) -> str:
    """One figure a line, groups indented."""
    return "\n".join(_lines(result, 0))


def _lines(values: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
            yield f"{'  ' * depth}{name}:"
            yield from _lines(value, depth + 1)
        elif isinstance(value, Mapping):
            told = ", ".join(f"{inner} {figure}" for inner, figure in value.items())
            yield f"{'  ' * depth}{name}: {told}"
        else:
            yield f"{'  ' * depth}{name}: {value}"
