"""The demo's processes: what dies is started again, what it had claimed is free; orphans are ended, nobody else is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import supervisor
from app.core.config import load_settings
from app.demo import supervisor as household
from app.demo.shops import dice
from app.demo.supervisor import DemoSupervisor, Household, end_orphans, environment, paced
from app.supervisor import Child, Supervisor
from tests.street import Street

WAITS = "import signal, sys; signal.signal(signal.SIGTERM, signal.{}); print('up', flush=True); signal.pause()"


class Processes:
    """Processes of a test's own that do nothing but wait; all are gone after it."""

    def __init__(self) -> None:
        self.begun: list[subprocess.Popen[bytes]] = []

    def waiting(self, *words: str, sigterm: str = "SIG_DFL") -> subprocess.Popen[bytes]:
        """One that is up, with these words on its command line."""
        process = subprocess.Popen(
            [sys.executable, "-c", WAITS.format(sigterm), *words], stdout=subprocess.PIPE, start_new_session=True
        )
        self.begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes()
    yield made
    for process in made.begun:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def pid(process: subprocess.Popen[bytes]) -> str:
    return f"{process.pid}\n"


def test_a_child_that_ended_is_started_again_counted_and_its_name_is_told(tmp_path: Path) -> None:
    died: list[str] = []
    child = Child("helper", ["--help"])
    made = DemoSupervisor([child], {}, None, log_file=tmp_path / "demo.log", died=died.append)
    made.check()
    first = child.process
    assert first is not None
    first.wait(60)
    made.check()
    assert child.process is not None
    child.process.wait(60)
    assert (made.restarts, died) == (1, [f"{socket.gethostname()}:{first.pid}"])
    assert (tmp_path / "demo.log").read_text().count("usage: python -m app") == 2
    assert (tmp_path / "demo.pids").read_text().split() == [str(first.pid), str(child.process.pid)]


def test_a_child_that_runs_is_left_alone(processes: Processes) -> None:
    child = Child("worker", ["worker"], processes.waiting())
    made = Supervisor([child])
    for _ in range(3):
        made.check()
    assert (made.restarts, child.process) == (0, processes.begun[0])


def test_what_a_dead_child_left_behind_is_ended_before_the_next_takes_its_place(tmp_path: Path) -> None:
    script = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', sys.argv[1]]).pid, flush=True)"
    dead = subprocess.Popen(
        [sys.executable, "-c", script, WAITS.format("SIG_DFL")], stdout=subprocess.PIPE, start_new_session=True
    )
    assert dead.stdout is not None
    orphan, up = sorted(dead.stdout.readline() for _ in range(2))  # the one may speak before it is named
    assert up == b"up\n"
    dead.wait(30)
    child = Child("web", ["--help"], dead)
    DemoSupervisor([child], {}, None, log_file=tmp_path / "demo.log").check()
    assert child.process is not None
    child.process.wait(60)
    assert dead.stdout.read() == b""  # its end of the pipe is closed: nobody of that group is left
    dead.stdout.close()
    assert not Path(f"/proc/{int(orphan)}/cmdline").exists() or not Path(f"/proc/{int(orphan)}/cmdline").read_bytes()


def test_children_are_asked_to_finish_and_only_what_does_not_is_killed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_S", 0.1)
    willing, stubborn = processes.waiting(), processes.waiting(sigterm="SIG_IGN")
    Supervisor([Child("a", [], willing), Child("b", [], stubborn), Child("never started", [])]).end()
    assert (willing.returncode, stubborn.returncode) == (-signal.SIGTERM, -signal.SIGKILL)


def test_orphans_of_an_earlier_demo_are_ended_and_a_number_that_is_somebody_elses_now_is_not(
    processes: Processes, tmp_path: Path
) -> None:
    ours, stranger = processes.waiting("-m", "app", "worker"), processes.waiting("-m", "application")
    (tmp_path / "demo.pids").write_text(pid(ours) + pid(stranger) + "4194305\nnonsense\n")
    end_orphans(tmp_path / "demo.log")
    assert ours.wait(30) == -signal.SIGKILL
    assert stranger.poll() is None
    assert not (tmp_path / "demo.pids").exists()
    end_orphans(tmp_path / "demo.log")


def test_the_killer_kills_workers_only_and_nobody_after_calm(
    street: Street, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(household, "KILL_EVERY_S", (0.0, 0.0))
    made = Household(street.runtime, street.world.merchant_id, tmp_path / "demo.log")
    web, *workers = made.supervisor.children
    assert workers == made.workers
    for child in (web, *workers):
        child.process = processes.waiting()
    made.start_killing(dice(1))
    for child in workers:
        assert child.process is not None
        assert child.process.wait(30) == -signal.SIGKILL
    made.calm()
    for thread in made._threads:
        thread.join(30)
    assert made.killed >= len(workers)
    assert web.process is not None
    assert web.process.poll() is None


def test_what_a_dead_worker_had_claimed_is_free_at_once_and_what_others_have_is_not(
    street: Street, tmp_path: Path
) -> None:
    for sku in ("mug", "bowl"):
        street.world.move(sku, 9, "opening > available@A", "9")
    street.open_woo({"mug": 4})
    street.open_woo({"bowl": 4})
    street.settle()
    channels = sorted(street.shops)
    later = street.world.now + timedelta(hours=1)
    with street.world.session() as session:
        for channel_id, owner in zip(channels, ("host:12", "host:123"), strict=True):
            session.run(
                """update push_attempt set state = 'open', owner = %(owner)s || '/key', deadline = %(later)s
                   where merchant_id = %(merchant_id)s and channel_id = %(channel)s
                     and attempt_id = (select max(attempt_id) from push_attempt
                                       where merchant_id = %(merchant_id)s and channel_id = %(channel)s)""",
                channel=channel_id, owner=owner, later=later,
            )  # fmt: skip
            session.run(
                """update channel_poll set owner = %(owner)s, deadline = %(later)s
                   where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'""",
                channel=channel_id, owner=owner, later=later,
            )  # fmt: skip
    Household(street.runtime, street.world.merchant_id, tmp_path / "demo.log")._release("host:12")
    with street.world.session() as session:
        held = session.rows(
            """select 'attempt' as what, channel_id from push_attempt
               where merchant_id = %(merchant_id)s and state = 'open' and deadline > %(now)s
               union all
               select 'poll', channel_id from channel_poll
               where merchant_id = %(merchant_id)s and deadline > %(now)s order by 1""",
            now=session.now,
        )
    assert [tuple(row) for row in held] == [("attempt", channels[1]), ("poll", channels[1])]


def test_the_children_read_the_settings_that_the_demo_itself_runs_with(tmp_path: Path) -> None:
    settings = paced(load_settings(config=None, data_dir=tmp_path, environ={}), 8123)
    told: dict[str, Any] = environment(settings)
    assert load_settings(config=None, data_dir=None, environ=told) == settings
    assert os.environ.get("PERPETUAL_DATA__DIR") is None
