"""Whether memory grows is told by the first and the last quarter of the looks, for each kind of process."""

from __future__ import annotations

import os
from pathlib import Path

from bench.memory import by_role, summary


def test_growth_is_from_the_first_quarter_of_the_looks_to_the_last() -> None:
    web = [10.0, 12.0, 50.0, 1.0, 90.0, 3.0, 20.0, 22.0]
    assert summary([{"web": mb, "worker": 5.0} for mb in web]) == {
        "web": {"first_mb": 11.0, "last_mb": 21.0, "grown_mb": 10.0},
        "worker": {"first_mb": 5.0, "last_mb": 5.0, "grown_mb": 0.0},
    }


def test_a_kind_of_process_that_is_gone_at_the_end_counts_as_nothing() -> None:
    assert summary([{"web": 8.0}, {}, {}, {}])["web"] == {"first_mb": 8.0, "last_mb": 0.0, "grown_mb": -8.0}


def test_a_running_process_holds_something(tmp_path: Path) -> None:
    assert sum(by_role(os.getpid(), tmp_path).values()) > 1
