"""kill -9 under load, for real: PostgreSQL (ten times, and one of its backends), the web process and the worker, while
clients post; what was acknowledged is there, once."""

from __future__ import annotations

import json

import pytest

import bench
from bench import kills


@pytest.mark.timeout(900)
def test_kill_9_of_postgresql_ten_times_of_a_backend_and_of_web_and_worker_loses_nothing_acknowledged() -> None:
    result = kills.run(kills.FULL)
    print(json.dumps(result))
    assert result["killed"] == {"postgres": 10, "backend": 1, "web": 2, "worker": 2}
    assert result["kills"] == 10
    assert result["orders"] > kills.BETWEEN * len(kills.FULL)
    assert result["movements"] > kills.BETWEEN * len(kills.FULL)
    assert (result["lost"], result["doubled"], result["verify"]) == (0, 0, "ok")


@pytest.mark.parametrize("found", [{"lost": 1}, {"doubled": 1}, {"verify": "level_differs"}])
def test_a_measurement_that_is_also_a_proof_says_no_by_its_exit_code(found: dict[str, object]) -> None:
    assert bench.is_no({"lost": 0, "doubled": 0, "verify": "ok", **found})
    assert not bench.is_no({"lost": 0, "doubled": 0, "verify": "ok"})
    assert not bench.is_no({"ratio_to_limit": 0.5})
