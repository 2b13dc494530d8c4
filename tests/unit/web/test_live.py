"""Live streams: an event when something shown has changed, a bounded number of streams, one look for all of them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from app.core.errors import Unavailable
from app.insight.stamp import read_stamp
from app.listings.channels import set_state
from app.web import live
from app.web.live import Live
from tests.serve import serving
from tests.statements import counted
from tests.street import Street
from tests.unit.web.site import Site
from tests.world import World

OPENING = "opening > available@A"


@pytest.fixture
def watch(street: Street) -> Iterator[Live]:
    watch = Live(street.runtime, look_every_s=0.01, heartbeat_s=0.05)
    yield watch
    watch.stop()


def stamp(world: World) -> str:
    with world.session() as session:
        return read_stamp(session)


def next_event(stream: Iterator[str]) -> str:
    return next(piece for piece in stream if "event:" in piece)


def test_everything_that_a_page_shows_changes_the_stamp_and_nothing_else_does(street: Street) -> None:
    world = street.world
    shop = street.open_woo({"mug": 5, "unknown": 1})
    seen = [stamp(world)]
    world.move("mug", 5, OPENING, "5")
    seen.append(stamp(world))
    street.settle()
    seen.append(stamp(world))
    shop.place_order([("unknown", 1)])
    street.settle(2)
    seen.append(stamp(world))
    with world.session() as session:
        set_state(session, min(street.shops), "paused")
    seen.append(stamp(world))
    with world.session() as session:
        session.run(
            """insert into delivery_refusal (merchant_id, channel_id, reason, refused_on, count, last_at)
               values (%(merchant_id)s, %(channel)s, 'invalid_signature', %(now)s::date, 1, %(now)s)""",
            channel=min(street.shops), now=session.now,
        )  # fmt: skip
    seen.append(stamp(world))
    assert len(set(seen)) == len(seen)
    assert stamp(world) == seen[-1]


def test_another_merchants_changes_do_not_change_the_stamp(world: World, other: World) -> None:
    before = stamp(world)
    other.move("theirs", 5, OPENING, "5")
    assert stamp(world) == before


def test_a_stream_tells_of_a_change_once_and_of_the_next_again(street: Street, watch: Live) -> None:
    world = street.world
    watch.take_seat(world.merchant_id)
    stream = watch.stream(world.merchant_id, stamp(world))
    for _ in range(2):
        world.move("mug", 1, OPENING, "1")
        assert next_event(stream) == f"id: {stamp(world)}\nevent: changed\ndata: {stamp(world)}\n\n"
    assert next(stream) == ": still here\n\n"


def test_a_change_between_the_page_and_its_stream_is_told_at_once(street: Street, watch: Live) -> None:
    world = street.world
    seen = stamp(world)
    world.move("mug", 1, OPENING, "1")
    watch.take_seat(world.merchant_id)
    assert stamp(world) in next_event(watch.stream(world.merchant_id, seen))


def test_row_63_streams_are_bounded_per_merchant_and_per_process(street: Street, watch: Live) -> None:
    for _ in range(live.STREAMS_PER_MERCHANT_MAX):
        watch.take_seat(street.world.merchant_id)
    with pytest.raises(Unavailable) as full:
        watch.take_seat(street.world.merchant_id)
    assert full.value.reason == "too_many_streams"
    for number in range(live.STREAMS_MAX - live.STREAMS_PER_MERCHANT_MAX):
        watch.take_seat(10_000_000 + number)
    with pytest.raises(Unavailable):
        watch.take_seat(20_000_000)
    assert watch.streams == live.STREAMS_MAX
    watch.leave(street.world.merchant_id)
    watch.take_seat(street.world.merchant_id)


def test_a_stream_ends_by_itself_so_that_no_thread_is_held_for_ever(street: Street) -> None:
    watch = Live(street.runtime, heartbeat_s=0.01, stream_s=0.05)
    pieces = list(watch.stream(street.world.merchant_id, ""))
    assert pieces[0].startswith("retry:")
    watch.stop()


def test_one_thread_looks_for_all_streams_and_is_gone_after_the_last(street: Street, watch: Live) -> None:
    for _ in range(5):
        watch.take_seat(street.world.merchant_id)
    assert sum(thread.name == "live" for thread in threading.enumerate()) == 1
    with counted(street.world.database) as statements:
        next(piece for piece in watch.stream(street.world.merchant_id, "") if "event:" in piece)
    assert len(statements) <= 20  # however many streams
    looking = watch._thread
    assert looking is not None
    for _ in range(5):
        watch.leave(street.world.merchant_id)
    looking.join(5)
    assert not looking.is_alive()


def test_while_the_database_is_down_streams_go_on_and_tell_what_changed_when_it_is_back(street: Street) -> None:
    class Flaky:
        def __init__(self) -> None:
            self.looks = 0

        def begin(self, *arguments: object, **options: object) -> object:
            self.looks += 1
            if self.looks < 3:
                raise Unavailable("database_unavailable")
            return street.world.database.begin(*arguments, **options)  # type: ignore[arg-type]

    flaky = Flaky()
    watch = Live(replace(street.runtime, database=flaky), look_every_s=0.01, heartbeat_s=0.05)  # type: ignore[arg-type]
    watch.take_seat(street.world.merchant_id)
    assert stamp(street.world) in next_event(watch.stream(street.world.merchant_id, "old"))
    assert flaky.looks >= 3
    watch.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_look_that_crashes_is_logged_and_the_open_streams_start_it_again(street: Street) -> None:
    class Broken:
        looks = 0

        def begin(self, *arguments: object, **options: object) -> object:
            self.looks += 1
            if self.looks == 1:
                raise ZeroDivisionError
            return street.world.database.begin(*arguments, **options)  # type: ignore[arg-type]

    broken = Broken()
    watch = Live(replace(street.runtime, database=broken), look_every_s=0.01, heartbeat_s=0.05)  # type: ignore[arg-type]
    with capture_logs() as logged:
        watch.take_seat(street.world.merchant_id)
        first = watch._thread
        assert first is not None
        first.join(10)
        assert stamp(street.world) in next_event(watch.stream(street.world.merchant_id, "old"))
    assert [line["event"] for line in logged] == ["live_look_crashed"]
    assert watch._thread is not first
    watch.stop()


def test_a_stream_that_is_stopped_starts_nothing_again(street: Street, watch: Live) -> None:
    watch.take_seat(street.world.merchant_id)
    stream = watch.stream(street.world.merchant_id, stamp(street.world))
    assert next(stream).startswith("retry:")
    watch.stop()
    assert list(stream) == []
    assert watch._thread is None


def test_after_a_restart_of_the_server_a_stream_tells_what_changed_meanwhile_and_nothing_twice(
    street: Street, watch: Live
) -> None:
    world = street.world
    world.move("mug", 1, OPENING, "1")
    watch.take_seat(world.merchant_id)
    seen = next_event(watch.stream(world.merchant_id, "old")).partition("\n")[0].removeprefix("id: ")
    watch.stop()
    for changes in (False, True):
        if changes:
            world.move("mug", 1, OPENING, "1")
        restarted = Live(street.runtime, look_every_s=0.01, heartbeat_s=0.2)
        restarted.take_seat(world.merchant_id)
        pieces = restarted.stream(world.merchant_id, seen)
        assert next(pieces).startswith("retry:")
        assert ("event: changed" in next(pieces)) is changes
        restarted.stop()


def test_one_merchants_stream_never_tells_of_anothers_change(street: Street, watch: Live, other: World) -> None:
    seen = {world.merchant_id: stamp(world) for world in (street.world, other)}
    for merchant_id in seen:
        watch.take_seat(merchant_id)
    streams = {merchant_id: watch.stream(merchant_id, seen[merchant_id]) for merchant_id in seen}
    for stream in streams.values():
        next(stream)
    other.move("theirs", 1, OPENING, "1")
    assert stamp(other) in next_event(streams[other.merchant_id])
    assert next(streams[street.world.merchant_id]) == ": still here\n\n"
    assert stamp(other) != seen[other.merchant_id]


def test_who_leaves_ends_nobody_elses_stream(street: Street, watch: Live) -> None:
    world = street.world
    for _ in range(2):
        watch.take_seat(world.merchant_id)
    stays = watch.stream(world.merchant_id, stamp(world))
    next(stays)
    watch.leave(world.merchant_id)
    world.move("mug", 1, OPENING, "1")
    assert stamp(world) in next_event(stays)
    assert watch.streams == 1


def events(address: str, path: str, last: str = "") -> tuple[str, str]:
    """The first event's id and data over real HTTP."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request("GET", path, headers={"Last-Event-ID": last} if last else {})
    answer = connection.getresponse()
    lines = []
    while not lines or not lines[-1].startswith("data:"):
        lines.append(answer.readline().decode().strip())
    answer.close()
    connection.close()
    told = dict(line.split(": ", 1) for line in lines if ": " in line)
    return told["id"], told["data"]


def test_over_http_a_browser_that_comes_back_after_a_restart_says_what_it_saw_last(street: Street) -> None:
    world = street.world
    path = f"/live?merchant={world.merchant_id}&seen=old"
    with serving(Site.of(street).app) as address:
        first, _ = events(address, path)
    assert first == stamp(world)
    world.move("mug", 1, OPENING, "1")
    with serving(Site.of(street).app) as address:
        again, data = events(address, path, last=first)
    assert again == data == stamp(world) != first


def test_over_http_each_merchants_page_hears_of_its_own_changes_only(street: Street, other: World) -> None:
    with serving(Site.of(street).app) as address:
        told = [events(address, f"/live?merchant={w.merchant_id}&seen=old")[0] for w in (street.world, other)]
        assert told == [stamp(street.world), stamp(other)]


def test_a_closed_stream_gives_its_seat_back_over_real_http(site: Site) -> None:
    with serving(site.app) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
        connection.request("GET", f"/live?merchant={site.street.world.merchant_id}&seen=old")
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert site.app.extensions["live"].streams == 1
        line = b""
        while not line.startswith(b"event:"):
            line = answer.readline()
        answer.close()
        connection.close()
        site.app.extensions["live"].stop()
    assert site.app.extensions["live"].streams == 0


def test_a_full_house_is_a_503_that_says_when_to_come_back(site: Site) -> None:
    watch: Live = site.app.extensions["live"]
    for _ in range(live.STREAMS_PER_MERCHANT_MAX):
        watch.take_seat(site.street.world.merchant_id)
    answer = site.ask("/live", {"Accept": "text/event-stream"})
    watch.stop()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) == live.RETRY_FULL_S
