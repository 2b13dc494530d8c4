"""The benchmarks for real, as small as they get: every promised figure is there, and nothing is left behind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

import bench
from bench import ingest, pages, sync
from bench.scratch import Scratch, scratch
from tests.architecture.source import ROOT

CODE = re.compile(r"`([a-z0-9_.]+)`")


def promised(section: str) -> list[str]:
    """The figures that docs/benchmarks.md explains for a benchmark."""
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    part = text.split(f"\n## `{section}`", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in part.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in CODE.findall(row.split("|")[1])]


def named(result: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every key, alone and with the way to it."""
    for key, value in result.items():
        yield key
        yield f"{path}{key}"
        if isinstance(value, Mapping):
            yield from named(value, f"{path}{key}.")


def is_gone(pid: int) -> bool:
    """Ended, whether anybody has looked or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("fails", [False, True])
def test_a_scratch_database_and_what_runs_beside_it_are_gone_afterwards_whatever_happened(fails: bool) -> None:
    seen = list[Scratch]()
    pids: list[int] = []

    def measure() -> None:
        with scratch(poll_interval_s=7) as home:
            seen.append(home)
            home.start("idle", "app", "worker")
            pids.extend(pid for tree in home.trees().values() for pid in tree)
            assert home.settings.sync.poll_interval_s == 7
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            measure()
    else:
        measure()
    assert not seen[0].folder.exists()
    assert len(pids) >= 2
    assert [pid for pid in pids if not is_gone(pid)] == []


def test_a_database_that_is_configured_here_is_never_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://somebody@127.0.0.1:1/theirs",
        "PERPETUAL_DATABASE__URL": "postgresql://somebody@127.0.0.1:1/theirs",
        "PERPETUAL_CONFIG": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    with scratch() as home:
        assert home.settings.database.url is None
        assert "DATABASE_URL" not in home.environment
        assert str(home.settings.data.dir).startswith(str(home.folder))


def test_ingest_tells_every_figure_that_the_document_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "ITEMS", 20)
    monkeypatch.setattr(ingest, "QUICK", ingest.Size(rounds=1, orders=40, connections=(2, 4), alone=5, workers=1))
    result = bench.run("ingest", quick=True, woo="instant")
    assert set(promised("ingest")) - set(named(result)) == set()
    assert result["by_connections"].keys() == {"2", "4"}
    best = result["end_to_end_orders_per_s"] / result["answer_nothing_orders_per_s"]
    assert result["ratio_to_nothing"] == pytest.approx(best, abs=0.02)
    assert "by_connections:" in bench.as_text(result)


def test_sync_tells_every_figure_that_the_document_explains_and_ends_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "QUICK", sync.Size(items=5, seconds=1.0, idle_s=0.2))
    result = bench.run("sync", quick=True, woo="instant")
    assert set(promised("sync")) - set(named(result)) == set()
    assert result["lag_s"].keys() == {"sale", "known"}
    for by_direction in result["lag_s"].values():
        assert by_direction.keys() == set(sync.DIRECTIONS)
        assert all(lag.keys() == {"p50", "p95", "p99", "units_not_shown"} for lag in by_direction.values())
    assert (result["verify"], result["woo_delivers"]) == ("ok", "instant")
    assert result["orders"] > 0
    assert result["calls_per_order"] == pytest.approx(sum(result["calls"].values()) / result["orders"], abs=0.001)


def test_pages_are_asked_for_whole_and_further_and_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "QUICK", pages.Size(items=250, asked=3))
    result = bench.run("pages", quick=True, woo="instant")
    assert set(promised("pages")) - set(named(result)) == set()
    assert result["items"] == 250
    assert all(0 < told["p50"] <= told["p95"] for told in result["page_ms"].values())


def test_the_walk_through_a_list_follows_its_own_links_to_the_end() -> None:
    links = {"/items": "?after=b&amp;x=1", "/items?after=b&x=1": "?after=c", "/items?after=c": ""}

    class Browser(requests.Session):
        def get(self, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            answer = requests.Response()
            further = links[url.removeprefix("http://here")]
            answer.status_code, answer._content = 200, f'<a href="/items{further}">more</a>'.encode()
            return answer

    assert pages._walk(Browser(), "http://here", 9) == list(links)


def test_a_catalogue_comes_in_whole_and_says_what_the_worker_held() -> None:
    result = bench.run("import", quick=True, woo="instant", variants=300)
    assert set(promised("import")) <= set(named(result))
    assert result["variants"] == 300
    assert result["peak_rss_mib"] > 0
