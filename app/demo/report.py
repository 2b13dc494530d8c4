"""What a run came to: one object, for people as a few lines and for machines as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

WORST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Report:
    """`lag_s`: from a sale in one shop to the first write on the other that reflects it. `settle_s` None: it did not come
    to rest. `findings`: what `verify` or the audit found, worst first."""

    orders: int
    lines: int
    movements: int
    pushes: int
    lag_s: Mapping[str, float]
    settle_s: float | None
    oversold_units: int
    lost_units: int
    double_units: int
    parked: int
    mismatches: int
    verify: str
    kills: int = 0
    restarts: int = 0
    findings: Sequence[str] = ()
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled or unequal, the ledger sound, and at rest in time."""
        equal = not (self.lost_units or self.double_units or self.mismatches)
        return equal and self.verify == "ok" and self.settle_s is not None


def as_json(report: Report) -> str:
    """One object on one line."""
    values = asdict(report)
    figures = values.pop("figures")
    return orjson.dumps({**values, **figures}, default=str).decode()


def as_text(report: Report) -> str:
    """A few lines for a person."""
    lag = report.lag_s
    settled = "did not come to rest" if report.settle_s is None else f"at rest after {report.settle_s:.1f} s"
    lines = [
        f"Sold {report.orders} orders with {report.lines} lines; {report.movements} movements, {report.pushes} writes.",
        f"A sale reached the other shop after {lag['p50']:.2f} s (median), {lag['p95']:.2f} s (p95), "
        f"{lag['max']:.2f} s (worst).",
        f"Then {settled}: {report.mismatches} numbers differ, {report.parked} documents parked.",
        f"By the shops' own books: {report.oversold_units} units oversold, {report.lost_units} lost, "
        f"{report.double_units} double.",
        f"Ledger: {report.verify}.",
    ]
    if report.kills or report.restarts:
        lines.insert(2, f"Killed {report.kills} times; {report.restarts} processes brought back.")
    lines += [f"  {finding}" for finding in report.findings[:WORST_SHOWN]]
    lines.append("All equal." if report.is_good else "NOT EQUAL.")
    return "\n".join(lines)
