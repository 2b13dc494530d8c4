"""The service in virtual time while everything fails: nothing that must not happen does, with every healing loop and
without; bugs that are planted are found; a seed is one run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import orjson
import pytest

from app.commands.proofs import tell
from app.core.clock import AgreedClock
from app.core.embedded import Embedded
from app.simulation.clockwork import Clockwork, Killed, Process
from app.simulation.episode import FULL, Episode, Script
from app.simulation.run import Summary, loops_off, run_one, simulate, theatre
from app.simulation.weather import CALM, LOOPS, STORM, Weather
from sandbox.faults import NONE
from tests.simulation.bugs import BUGS, FOUND_BY, HEAL, SEEDS, STORMS, plant

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHORT = Script(rounds=2, storm_s=60, to_the_end=False, sound_every_s=5)
ALSO_WITHOUT = (1, 2, 3)  # seeds that are played without a bug as well
TRIES = 8  # short runs in which a planted bug has to be found
pytestmark = pytest.mark.timeout(1_800)


@pytest.fixture(scope="module")
def stage() -> Iterator[Embedded]:
    with theatre() as server:
        yield server


def _played(
    stage: Embedded, seeds: Sequence[int], heal: str = "off", script: Script = SHORT, weather: Weather = STORM
) -> list[Episode]:
    return [run_one(stage, seed, loops_off(heal), script, weather) for seed in seeds]


@pytest.fixture
def apart() -> Iterator[ProcessPoolExecutor]:
    """Another process, in which the order of sets is the same every time."""
    os.environ["PYTHONHASHSEED"] = "0"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def _found_in(stage: Embedded, name: str) -> tuple[int, str] | None:
    """The first run that shows the bug, and by which of the things that it causes; None when so many do not. In a
    process of its own, which ends with the bug in it."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, name)
        for seed in dict.fromkeys((SEEDS.get(name, 1), *range(1, TRIES + 1))):
            episode = run_one(stage, seed, loops_off(HEAL.get(name, "off")), SHORT, STORMS.get(name, STORM))
            caused = FOUND_BY.get(name, "false drift")
            for violation in episode.violations:
                if caused in violation:
                    return seed, violation.partition(";")[0]
    return None


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[bool]]:
    """Bugs by whether they were found; told at the end (`pytest -s`)."""
    counted = Counter[bool]()
    yield counted
    print(f"{counted[True]} of {counted.total()} found")


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(stage: Embedded, apart: ProcessPoolExecutor, tally: Counter[bool], name: str) -> None:
    found = apart.submit(_found_in, stage, name).result()
    tally[found is not None] += 1
    seed, violation = found or (None, None)
    print(json.dumps({"bug": name, "seed": seed, "found_by": violation}))
    assert found is not None


@pytest.mark.parametrize("name", [name for name in BUGS if name in STORMS or SEEDS.get(name, 1) not in ALSO_WITHOUT])
def test_a_town_that_shows_a_bug_shows_nothing_without_it(
    stage: Embedded, apart: ProcessPoolExecutor, name: str
) -> None:
    """So that what was found was found by the bug. The other towns are played without one below."""
    heal, weather = HEAL.get(name, "off"), STORMS.get(name, STORM)
    (episode,) = apart.submit(_played, stage, [SEEDS.get(name, 1)], heal, SHORT, weather).result()
    assert episode.violations == []


def test_without_a_bug_nothing_is_lost_doubled_or_called_an_edit_and_all_is_equal_within_half_a_minute(
    stage: Embedded, apart: ProcessPoolExecutor
) -> None:
    seeds = [1, 2, 3]
    episodes = apart.submit(_played, stage, seeds, "sweep", FULL).result()
    assert [episode.violations for episode in episodes] == [[] for _ in seeds]
    assert sum(episode.events for episode in episodes) >= 30_000
    assert max(s for episode in episodes for s in episode.converge_s) <= 30


def test_no_loop_that_heals_hides_what_the_others_would_not_mend(stage: Embedded, apart: ProcessPoolExecutor) -> None:
    episodes = apart.submit(_played, stage, ALSO_WITHOUT).result()
    assert [episode.violations for episode in episodes] == [[] for _ in ALSO_WITHOUT]


@pytest.mark.parametrize(("heal", "seed"), [("on", 5), *((loop, 6 + number) for number, loop in enumerate(LOOPS))])
def test_with_every_loop_and_with_each_of_them_off_in_turn_nothing_goes_wrong(
    stage: Embedded, apart: ProcessPoolExecutor, heal: str, seed: int
) -> None:
    (episode,) = apart.submit(_played, stage, [seed], heal).result()
    assert episode.violations == []


def test_processes_that_stand_still_fifty_times_as_often_do_not_take_a_shops_clock_for_wrong(
    stage: Embedded, apart: ProcessPoolExecutor
) -> None:
    weather = replace(STORM, stall=0.02)
    (episode,) = apart.submit(_played, stage, [8], "off", SHORT, weather).result()
    assert episode.violations == []


def test_a_till_that_says_503_after_it_has_written_is_not_taken_for_unwritten(
    stage: Embedded, apart: ProcessPoolExecutor
) -> None:
    script = replace(FULL, rounds=1, to_the_end=False)
    (episode,) = apart.submit(_played, stage, [208], "sweep", script).result()
    assert episode.violations == []


def test_where_nothing_is_heard_and_a_shop_takes_seconds_to_add_its_numbers_are_right_in_the_end(
    stage: Embedded, apart: ProcessPoolExecutor
) -> None:
    weather = replace(CALM, faults=replace(NONE, lose=1.0), bell_lost=1.0, adding_s=3.0)
    (episode,) = apart.submit(_played, stage, [8], "off", SHORT, weather).result()
    assert episode.violations == []


def test_what_all_runs_came_to_is_added_up_and_a_failing_seed_is_named_with_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = Summary(seconds=2.0)
    summary.add(Episode(1, Counter(call=5, person=3, crash=1, doubled=2, lost=4, conflict=6), [1.0, 9.0]))
    summary.add(Episode(2, Counter(act=2), [3.0], ["a unit is gone", "not equal"]))
    assert tell(summary, "off", as_json=True) == 1
    told = capsys.readouterr()
    assert orjson.loads(told.out) == {
        "events": 11, "events_per_s": 5.5, "violations": 2, "converge_s": {"p50": 3.0, "p99": 9.0, "max": 9.0},
        "crashes": 1, "duplicates": 2, "lost": 4, "conflicts": 6, "runs": 2, "calls": 5, "seeds_failed": [2],
        "seeds_slowest": [1, 2],
    }  # fmt: skip
    assert "python -m app simulate --processes 1 --events 1 --seed 2 --heal off" in told.err
    assert tell(Summary(), "on", as_json=False) == 0


def test_every_seed_that_was_begun_counts(stage: Embedded) -> None:
    brief = Script(rounds=1, storm_s=5, to_the_end=False)
    played = list(simulate([stage, stage], events=1, seed=5, script=brief))
    assert sorted(episode.seed for episode, _ in played) == [5, 6]
    assert played[-1][1].seeds == 2
    assert [episode.seed for episode, _ in simulate([stage], events=1, seed=7, script=brief)] == [7]


def test_a_seed_is_one_run_to_the_last_event(stage: Embedded, apart: ProcessPoolExecutor) -> None:
    one, two = (apart.submit(_played, stage, [4]).result()[0] for _ in range(2))
    assert (one.seen, one.converge_s) == (two.seen, two.converge_s)


def test_programs_take_turns_only_where_they_pause_and_a_dead_one_does_nothing_more() -> None:
    clockwork, said = Clockwork(AT), []

    def program(process: Process) -> None:
        for number in range(3):
            said.append((process.name, number, (clockwork.now - AT).total_seconds()))
            process.point()
            process.pause(1.0)

    for name, fuse in (("a", None), ("b", 1)):
        Process(clockwork, name, fuse).start(program)
    clockwork.run(10)
    assert said == [("a", 0, 0), ("b", 0, 0), ("a", 1, 1), ("b", 1, 1), ("a", 2, 2)]


def test_whatever_a_dying_process_still_tries_fails() -> None:
    clockwork, tried = Clockwork(AT), []

    def program(process: Process) -> None:
        try:
            process.pause(5)
        except Killed:
            for last in (process.point, lambda: process.pause(1)):
                with pytest.raises(Killed):
                    last()
                tried.append(last)
            raise

    process = Process(clockwork, "a")
    process.start(program)
    clockwork.run(1)
    process.end()
    assert len(tried) == 2
    assert process.crashed is None


@pytest.mark.parametrize("wrong_by_s", [-600, 0.5, 600])
def test_processes_with_wrong_clocks_agree_on_the_servers_time(wrong_by_s: float) -> None:
    clock = AgreedClock(lambda: AT + timedelta(seconds=wrong_by_s))
    clock.hear(clock.local(), AT)
    assert clock() == AT


def test_an_answer_that_took_long_says_nothing_about_the_time() -> None:
    clock = AgreedClock(lambda: AT)
    clock.hear(AT - timedelta(seconds=1), AT - timedelta(seconds=600))
    assert clock() == AT
