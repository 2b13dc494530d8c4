"""The demo for real: its own processes, its own database, judged by the shops' own order books."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy

from app.accounts.merchants import create_merchant
from app.core.db import connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.migrate import migrate
from app.demo.shops import FORM, SHOPS_FILE
from tests.architecture.source import ROOT

KEYS = {
    "orders", "lines", "movements", "pushes", "lag_s", "settle_s", "oversold_units", "lost_units", "double_units",
    "parked", "mismatches", "verify",
}  # fmt: skip
ENDED_S = 110
SECRETS = {
    "PERPETUAL_SERVER__SECRET_KEY": "k" * 40,
    "PERPETUAL_SECURITY__ACTIVE_KEY": "k1",
    "PERPETUAL_SECURITY__ENCRYPTION_KEYS": '{"k1": "' + "A" * 43 + '="}',
}

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder that the database's own user may reach; its server is stopped whatever happens."""
    with tempfile.TemporaryDirectory(prefix="perpetual-demo-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Embedded(Path(folder)).stop()


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts `python -m app demo` with these arguments in that folder; ends it after the test."""
    begun: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore", "-m", "app", "demo", "--port", "0", "--data", str(home), *arguments]
        told = {name: value for name, value in os.environ.items() if not name.startswith("PERPETUAL_")}
        begun.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={**told, **environment},
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return begun[-1]

    yield run
    for process in begun:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=ENDED_S)


def report_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=ENDED_S)
    assert process.returncode == 0, out + err
    report: dict[str, Any] = json.loads(out)
    return report


def judge(report: dict[str, Any]) -> None:
    assert report.keys() >= KEYS
    assert report["lag_s"].keys() == {"p50", "p95", "p99", "max"}
    assert (report["lost_units"], report["double_units"], report["mismatches"]) == (0, 0, 0), report
    assert report["verify"] == "ok"
    assert report["orders"] > 0


def test_what_two_shops_sold_is_what_the_ledger_and_both_shops_show(start: Start) -> None:
    judge(report_of(start("--for", "5s", "--rate", "10", "--json")))


def test_on_a_wild_day_with_workers_killed_nothing_is_lost_and_nothing_doubled(start: Start) -> None:
    report = report_of(start("--for", "8s", "--rate", "8", "--faults", "wild", "--seed", "7", "--json"))
    judge(report)
    assert report["kills"] > 0


def test_a_worker_the_web_process_and_the_database_may_be_killed_while_shops_sell(start: Start, home: Path) -> None:
    process = start("--for", "12s", "--rate", "8", "--json")
    until(lambda: len(children(process.pid)) >= 3)
    time.sleep(4)  # into the selling; nothing depends on how far
    for pid in sorted(children(process.pid)):
        os.kill(pid, signal.SIGKILL)
    postmaster = int((home / "postgres-18" / "postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(postmaster, signal.SIGKILL)
    report = report_of(process)
    judge(report)
    assert report["restarts"] >= 3


def test_a_demo_goes_on_where_it_was_stopped(start: Start, home: Path) -> None:
    sold = []
    for _ in range(2):
        process = start("--rate", "10")
        until(lambda p=process: "sold" in read_line(p))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=ENDED_S)
        assert process.returncode == 0, out + err
        sold.append(movements(home))
    assert sold[1] > sold[0] > 40


def test_a_replayed_file_ends_with_books_ledger_and_both_shops_equal(start: Start, tmp_path: Path) -> None:
    rows = retail_rows(Random(3))
    file = tmp_path / "orders.csv"
    file.write_text("order_id,occurred_at,sku,quantity,unit_price\n" + "".join(rows))
    report = report_of(start("--replay", str(file), "--json"))
    judge(report)
    assert (report["lines"], report["parked"]) == (len(rows), 0)
    assert [month["month"] for month in report["months"]] == ["2010-12", "2011-01"]
    assert sum(float(month["cogs"]) for month in report["months"]) > 0


def test_a_demo_after_a_replay_starts_empty_says_so_and_sells(start: Start, home: Path, tmp_path: Path) -> None:
    (home / SHOPS_FILE).write_bytes(pickle.dumps({"form": FORM}))  # of a demo before the replay
    file = tmp_path / "orders.csv"
    file.write_text("order_id,occurred_at,sku,quantity,unit_price\n1,2010-12-01T08:00:00Z,A,1,2.95\n")
    judge(report_of(start("--replay", str(file), "--json")))
    process = start("--rate", "20")
    assert "starting empty" in read_line(process)
    until(lambda: "sold" in read_line(process))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=ENDED_S)
    assert process.returncode == 0, out + err
    assert "Stopped after" in out


def retail_rows(rng: Random) -> list[str]:
    """Eighty orders over two months, some given back again, one more than was ever sold."""
    rows, at = [], datetime(2010, 12, 1, 8, 0, tzinfo=UTC)
    for number in range(80):
        at += timedelta(hours=rng.uniform(1, 30))
        back = number % 9 == 8
        for sku in rng.sample("ABCDEFGH", rng.randint(1, 5)):
            quantity = -rng.randint(1, 4) if back else rng.choice((1, 2, 6, 12, 400))
            rows.append(f"{'C' if back else ''}{500 + number},{at:%Y-%m-%dT%H:%M:%SZ},{sku},{quantity},2.95\n")
    rows.append(f"C999,{at:%Y-%m-%dT%H:%M:%SZ},A,-5000,2.95\n")
    return rows


@pytest.mark.parametrize("holds", ["create table theirs (x int)", "merchant"])
def test_the_demo_refuses_a_database_that_is_not_its_own(start: Start, server: Embedded, holds: str) -> None:
    name = f"stranger_{holds.split(' ')[0]}"
    execute(server.url(OWNER_ROLE), f"create database {name}")
    owner = server.url(OWNER_ROLE, name)
    if holds == "merchant":
        migrate(owner)
        now = datetime(2026, 11, 23, tzinfo=UTC)
        database = connect(server.url(APP_ROLE, name))
        create_merchant(database, now, name="somebody")
        database.close()
    else:
        execute(owner, holds)
    process = start("--for", "1s", DATABASE_URL=plain(owner), **SECRETS)
    out, err = process.communicate(timeout=ENDED_S)
    assert (process.returncode, out) == (2, "")
    assert "not_the_demos_database" in err


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def execute(url: str, sql: str) -> None:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(sql)


def until(true: Callable[[], bool]) -> None:
    """Wait for other processes; what they do next is theirs to decide, nothing is asserted about when."""
    deadline = time.monotonic() + ENDED_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Web and workers, which the demo started (the database is nobody's child)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def movements(home: Path) -> int:
    embedded = Embedded(home)
    embedded.ensure()
    engine = sqlalchemy.create_engine(embedded.url(OWNER_ROLE), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        count: int = connection.exec_driver_sql("select count(*) from movement").scalar_one()
    embedded.stop()
    return count
