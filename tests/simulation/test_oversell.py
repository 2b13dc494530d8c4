"""Our own adapter of the oversell benchmark: the service itself, measured by what the shops' books say."""

from __future__ import annotations

from app.simulation.run import fresh_database, theatre
from bench.oversell.__main__ import MIXES
from bench.oversell.market import Conditions, Market
from bench.oversell.naive import Oracle
from bench.oversell.ours import Perpetual


def test_our_adapter_sells_nothing_twice_but_what_nobody_could_have_known_and_turns_nobody_away() -> None:
    conditions = Conditions(40, 3, demand=0.5, lag_s=2.0, weather=MIXES["mild"])
    with theatre() as server, fresh_database(server, "oversell") as database:
        ours = Perpetual(database)
        told = Market(conditions).run(ours)
    best = Market(conditions).run(Oracle())
    assert ours.violations == []
    assert told["writes"] > 0
    assert told["oversold_units"] <= best["oversold_units"]
    assert (told["oversold_beyond_delay_units"], told["stranded_units"]) == (0, 0)
    assert told["lag_p99_s"] >= best["lag_p99_s"] == conditions.lag_s
