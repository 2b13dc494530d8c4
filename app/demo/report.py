"""What a run came to: one object, for people as a few lines and for machines as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

WORST_SHOWN = 10
SETTLE_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """`lag_s`: from a sale in one shop to the first write on the other that reflects it. `settle_s`: real seconds, in a
    replay too, until all was at rest once selling was over; None: it did not come to rest. `findings`: what `verify` or
    the audit found, worst first."""

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
    replay_s: float | None = None  # how long a replay took; its `lag_s` is on the data's clock
    months: Sequence[Mapping[str, str]] = ()

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled or unequal, the ledger sound, and at rest in time."""
        equal = not (self.lost_units or self.double_units or self.mismatches)
        return equal and self.verify == "ok" and self.is_settled

    @property
    def is_settled(self) -> bool:
        """At rest within `SETTLE_MAX_S`."""
        return self.settle_s is not None and self.settle_s <= SETTLE_MAX_S


def as_json(report: Report) -> str:
    """One object on one line."""
    return orjson.dumps(asdict(report)).decode()


def as_text(report: Report) -> str:
    """A few lines for a person."""
    lines = [
        f"Sold {report.orders} orders with {report.lines} lines; {report.movements} movements, {report.pushes} writes.",
        f"A sale reached the other shop after {_lag(report)}.",
        f"Then {_settled(report)}: {report.mismatches} numbers differ, {report.parked} documents parked.",
        f"By the shops' own books: {report.oversold_units} units oversold, {report.lost_units} lost, "
        f"{report.double_units} double.",
        f"Ledger: {report.verify}.",
    ]
    if report.kills or report.restarts:
        lines.insert(2, f"Killed {report.kills} times; {report.restarts} processes brought back.")
    if report.months:
        lines += ["Month     inventory value              COGS"]
        lines += [f"{m['month']}  {m['inventory_value']:>16}  {m['cogs']:>16}" for m in report.months]
        lines.append(f"{report.lines} lines in {report.replay_s} s.")
    lines += [f"  {finding}" for finding in report.findings[:WORST_SHOWN]]
    lines.append("All equal." if report.is_good else "NOT EQUAL.")
    return "\n".join(lines)


def _settled(report: Report) -> str:
    if report.settle_s is None:
        return "did not come to rest"
    late = "" if report.is_settled else f", later than {SETTLE_MAX_S:.0f} s"
    return f"at rest after {report.settle_s:.1f} s{late}"


def _lag(report: Report) -> str:
    p50, p95, worst = (report.lag_s[name] for name in ("p50", "p95", "max"))
    if report.replay_s is None:
        return f"{p50:.2f} s (median), {p95:.2f} s (p95), {worst:.2f} s (worst)"
    return f"{p50 / 60:.0f} min (median), {p95 / 60:.0f} min (p95), {worst / 60:.0f} min (worst) of the data's time"
