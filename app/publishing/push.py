"""PUSH: plan what each due listing should show, write it, record what the channel said.

Short transactions with the network between them. A channel's owners are spread over its lanes; a lane has one attempt
under way. The attempt is claimed, planned and stored before it is sent; a
conflict waits for the channel's orders; an unclear outcome is read back or, where the vendor remembers keys, sent again
under the same key. One bad row never holds up the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from app.core.db import Session
from app.core.runtime import Runtime
from app.listings import belief
from app.listings.cases import Case, close_corrected, open_cases
from app.listings.channels import Channel, ask_for_orders, get_channel, shop_of
from app.listings.wanted import want_listed
from app.publishing import attempts
from app.publishing.attempts import REPLAY_MAX, Attempt, Recorded, to_write
from app.publishing.due import Due, list_due, settle_due
from app.publishing.look import read_numbers
from app.publishing.pauses import SENT_WITHIN_S, note_answer, pause
from connectors.base import StockWrite, Unknown, Unsent, WriteMode, WriteOutcome
from connectors.errors import ChannelError, Malformed, NeverApplied, OutcomeUnknown, Refused, Transient
from connectors.http import TOTAL_S, Http

REPLAY_AFTER_S = 1.0
REPLAY_AFTER_MAX_S = 60.0
NOTHING_SAID = frozenset({
    "unreadable_answer", "internal_server_error", "graphql_error", "adjust_quantities_failed", "service_unavailable",
    "idempotency_concurrent_request",
})  # fmt: skip
NOTHING_SAID_MAX = timedelta(minutes=15)
PAUSE_S = 2  # after a call that may go better at once
PAUSES_REFUSED_S = (2, 5, 15, 60)  # after the first, second … call in a row that the shop refused
NOTHING_RECORDED = Recorded()
Row = tuple[Due, StockWrite]
_REFUSED = """
select least(failures, 30) from channel_poll
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'push'
"""
UNCLEAR_OFTEN = 5  # answers in a row to one number that say neither yes nor no: somebody has to see to it
SAID = {
    "rejected": "the channel refused the number",
    "unknown": f"the channel said {UNCLEAR_OFTEN} times neither that it took the number nor that it did not",
}
_REFUSED_ROWS = """
select p.detail, p.outcome, o.stock_key, o.location_key
from push_row p join stock_owner o using (merchant_id, owner_id)
where p.merchant_id = %(merchant_id)s and p.attempt_id = %(id)s
  and (p.outcome = 'rejected' or p.outcome = 'unknown' and (
    select count(*) = %(often)s and bool_and(l.outcome = 'unknown' and l.error is null) from (
        select r.outcome, a.error from push_row r join push_attempt a using (merchant_id, attempt_id)
        where r.merchant_id = p.merchant_id and r.owner_id = p.owner_id
        order by r.attempt_id desc limit %(often)s) l))
"""
_TAKEN_AGAIN = """
update case_file c set state = 'corrected', closed_at = %(now)s
from push_row p join stock_owner o using (merchant_id, owner_id)
where p.merchant_id = %(merchant_id)s and p.attempt_id = %(id)s and p.outcome = 'written'
  and c.merchant_id = p.merchant_id and c.channel_id = %(channel)s and c.state = 'open' and c.kind = 'write_refused'
  and c.subject = trim(o.stock_key || ' ' || o.location_key)
"""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one call did: rows sent, what came of them, and the failure's slug if the call failed."""

    rows: int = 0
    settled: int = 0
    recorded: Recorded = NOTHING_RECORDED
    error: str = ""


def push(runtime: Runtime, merchant_id: int, channel_id: int, lane: int = 0) -> Pushed:
    """One round of a channel's lane: finish an attempt that was left, else plan and write a batch of what is due."""
    now, http = runtime.clock(), _session(runtime)
    with runtime.begin(merchant_id, now) as session:
        channel = get_channel(session, channel_id)
        if channel.state != "active":
            return Pushed()  # it was when the worker looked
        left = attempts.take_over(runtime, session, channel_id, lane)
    if left is not None:
        return _finish_left(runtime, merchant_id, channel, left, http)
    batch, settled = _candidates(runtime, merchant_id, channel, lane)
    if not batch:
        return Pushed(settled=settled)
    reduces = _reduces(batch[0][1])
    if _reads_first(runtime.connectors[channel.platform].abilities.write_mode, reduces):
        # What it shows now is compared with the belief first; numbers that contradict it wait for its orders.
        try:
            read_numbers(runtime, merchant_id, channel, [row.key for _, row in batch])
        except ChannelError as error:
            return _paused(runtime, merchant_id, channel_id, error)
    owners = [due.owner_id for due, _ in batch]
    http = _session(runtime)
    attempt = _plan(runtime, merchant_id, channel, lane, owners=owners, reduces=reduces)
    if attempt is None:
        return Pushed(settled=settled)
    return _send(runtime, merchant_id, channel, attempt, http)


def _session(runtime: Runtime) -> Http:
    """A session for one attempt, opened before that is claimed. Who stood still meanwhile sends nothing, and waits for
    nothing, once others may have taken it over: a sum that comes after they have looked would be added twice."""
    http = runtime.open_http()
    return replace(http, until=http.monotonic() + SENT_WITHIN_S + TOTAL_S)


def _reads_first(mode: WriteMode, reduces: bool) -> bool:
    """A change that is not compared by the channel itself and would put units back on sale, or overwrite a sale."""
    return mode is WriteMode.ABSOLUTE or (mode is WriteMode.RELATIVE and not reduces)


def _candidates(runtime: Runtime, merchant_id: int, channel: Channel, lane: int) -> tuple[list[Row], int]:
    """What seems to need a write, and how many due owners needed none. A look only: others may be looking too."""
    now, abilities = runtime.clock(), runtime.connectors[channel.platform].abilities
    limit = min(runtime.settings.sync.push_batch_max, abilities.write_rows_max)
    with runtime.begin(merchant_id, now) as session:
        refused = session.value(_REFUSED, channel=channel.channel_id)
        due = list_due(session, channel.channel_id, lane, limit)
        settled = _settle_equal(session, channel.channel_id, due)
        _ask_for_first_number(session, channel.channel_id, due)
    rows = _rows(due, abilities.write_mode)
    # Reductions and increases go in different calls; the first due decides, the others are next. One row may be why a
    # whole call is refused: fewer and fewer go together, until it is alone and stands aside.
    alike = [row for row in rows if _reduces(row[1]) == _reduces(rows[0][1])]
    return alike[: max(1, limit >> refused)], settled


def _plan(
    runtime: Runtime, merchant_id: int, channel: Channel, lane: int, *, owners: Sequence[int], reduces: bool
) -> Attempt | None:
    """Claim the lane, then plan these owners as of one moment and store what will be sent; None when somebody else is
    writing there or nothing is left to write. What has turned round since it was looked at waits for the next round."""
    now, mode = runtime.clock(), runtime.connectors[channel.platform].abilities.write_mode
    with runtime.begin(merchant_id, now) as session:
        claimed = attempts.claim(
            runtime, session, channel.channel_id, lane, blind=mode is not WriteMode.COMPARE_AND_SET
        )
    if claimed is None:
        return None
    with runtime.begin(merchant_id, now, snapshot=True) as session:
        due = list_due(session, channel.channel_id, lane, len(owners), owners)
        rows = [row for row in _rows(due, mode) if _reduces(row[1]) == reduces]
        if rows:
            return attempts.fill(session, claimed, rows)
        attempts.drop(session, claimed)
    return None


def _rows(due: Sequence[Due], mode: WriteMode) -> list[Row]:
    return [(d, row) for d in due if (row := to_write(d, mode)) is not None]


def _reduces(row: StockWrite) -> bool:
    return row.target < row.expected


def _settle_equal(session: Session, channel_id: int, due: Sequence[Due]) -> int:
    """What needs no change leaves: target = believed, or nothing to plan. What is only lowered for now stays."""
    idle = [d for d in due if not d.only_lowered and (d.plan is None or d.plan.target == d.believed)]
    belief.end_wait(session, [d.owner_id for d in idle])
    settle_due(session, channel_id, [due_id for d in idle for due_id in d.due_ids])  # locked after owners, by everybody
    close_corrected(session, [d.owner_id for d in idle if d.case_id is not None], since=session.now)
    return len(idle)


def _ask_for_first_number(session: Session, channel_id: int, due: Sequence[Due]) -> None:
    """An owner whose number was never seen is looked at before it is written."""
    belief.look_at(session, channel_id, [d.key.stock_key for d in due if d.plan is not None and d.believed is None])


def _finish_left(runtime: Runtime, merchant_id: int, channel: Channel, attempt: Attempt, http: Http) -> Pushed:
    """An attempt without an answer: the same again under the same key where that is remembered, else read back."""
    connector = runtime.connectors[channel.platform]
    now = runtime.clock()
    if connector.abilities.replays_by_key and now - attempt.opened_at < REPLAY_MAX:
        return _send(runtime, merchant_id, channel, attempt, http)
    return _record(runtime, merchant_id, channel, attempt, _unknown(attempt, "no_answer"), error="no_answer")


def _unknown(attempt: Attempt, reason: str) -> list[WriteOutcome]:
    """Nobody knows what became of it: its numbers are read back."""
    return [Unknown(row.key, reason) for row in attempt.rows.values()]


def _send(runtime: Runtime, merchant_id: int, channel: Channel, attempt: Attempt, http: Http) -> Pushed:
    connector = runtime.connectors[channel.platform]
    shop = shop_of(runtime, merchant_id, channel)
    try:
        if http.until - http.monotonic() < TOTAL_S:
            raise Transient("stood_still", "this process stood still before it was sent")
        outcomes = connector.write_stock(http, shop, list(attempt.rows.values()), attempt.key)
    except (OutcomeUnknown, Malformed) as error:
        return _unanswered(runtime, merchant_id, channel, attempt, error)
    except ChannelError as error:
        if not error.permanent and connector.abilities.replays_by_key:
            # An earlier sending may have been applied, and no vendor says whether a throttled one was: the same key.
            return _unanswered(runtime, merchant_id, channel, attempt, error)
        return _refused(runtime, merchant_id, channel, attempt, error)
    return _record(runtime, merchant_id, channel, attempt, outcomes, error=None)


def _refused(runtime: Runtime, merchant_id: int, channel: Channel, attempt: Attempt, error: ChannelError) -> Pushed:
    """The call surely did nothing. A repetition of one whose first sending may have been carried out says no more."""
    repeated = not attempt.owner.endswith(attempt.key)
    if repeated and not isinstance(error, NeverApplied):
        return _record(runtime, merchant_id, channel, attempt, _unknown(attempt, error.reason), error=error.reason)
    unsent: list[WriteOutcome] = [Unsent(row.key) for row in attempt.rows.values()]
    _record(runtime, merchant_id, channel, attempt, unsent, error=error.reason)
    return _paused(runtime, merchant_id, channel.channel_id, error, fewer=len(attempt.rows) > 1)


def _unanswered(runtime: Runtime, merchant_id: int, channel: Channel, attempt: Attempt, error: ChannelError) -> Pushed:
    connector, now = runtime.connectors[channel.platform], runtime.clock()
    if connector.abilities.replays_by_key and not _asked_in_vain(error, now - attempt.opened_at):
        pause_s = max(error.retry_after_s or 0, _replay_after_s(now - attempt.opened_at))
        with runtime.begin(merchant_id, now) as session:
            attempts.leave_unclear(session, attempt, now + timedelta(seconds=pause_s), error.reason)
        return Pushed(len(attempt.rows), error=error.reason)
    return _record(runtime, merchant_id, channel, attempt, _unknown(attempt, error.reason), error=error.reason)


def _asked_in_vain(error: ChannelError, open_for: timedelta) -> bool:
    """The shop does answer, and it goes on saying what nobody can read: its numbers will tell."""
    return error.reason in NOTHING_SAID and open_for >= NOTHING_SAID_MAX


def _replay_after_s(open_for: timedelta) -> float:
    """The longer nothing is heard, the rarer it is asked: a tenth of the time, from a second to a minute."""
    return min(max(open_for.total_seconds() / 10, REPLAY_AFTER_S), REPLAY_AFTER_MAX_S)


def _record(
    runtime: Runtime,
    merchant_id: int,
    channel: Channel,
    attempt: Attempt,
    outcomes: Sequence[WriteOutcome],
    *,
    error: str | None,
) -> Pushed:
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        recorded = attempts.record(session, channel.channel_id, attempt, outcomes, error)
        if recorded is None:
            return Pushed(len(attempt.rows), error="taken_over")
        blind = runtime.connectors[channel.platform].abilities.write_mode is WriteMode.ABSOLUTE
        if recorded.conflicts or recorded.unknown or blind:
            ask_for_orders(session, channel.channel_id, now)
        if blind:  # read back
            belief.look_at(session, channel.channel_id, [row.key.stock_key for row in attempt.rows.values()])
        if error is None:
            note_answer(session, channel.channel_id, "push")
        if recorded.rejected or recorded.unknown:
            _open_refusals(session, channel.channel_id, attempt)
        if recorded.written:
            session.run(_TAKEN_AGAIN, channel=channel.channel_id, id=attempt.attempt_id, now=now)
    return Pushed(len(attempt.rows), recorded=recorded, error=error or "")


def _open_refusals(session: Session, channel_id: int, attempt: Attempt) -> None:
    rows = session.rows(_REFUSED_ROWS, id=attempt.attempt_id, often=UNCLEAR_OFTEN)
    refused: list[Case] = [
        ("write_refused", f"{r.stock_key} {r.location_key}".strip(), f"{SAID[r.outcome]}: {r.detail}", {}) for r in rows
    ]
    open_cases(session, channel_id, refused)
    want_listed(session, channel_id, {row.stock_key for row in rows})


def _paused(runtime: Runtime, merchant_id: int, channel_id: int, error: ChannelError, *, fewer: bool = False) -> Pushed:
    """The channel said no to the whole call: the next round is due after the pause it asked for. One refusal may be a
    firewall's whim; the more there are in a row, the longer. `fewer`: the next will be another call, of fewer rows."""
    another = fewer and isinstance(error, Refused)
    pauses_s = PAUSES_REFUSED_S if error.permanent and not another else (PAUSE_S,)
    pause(runtime, (merchant_id, channel_id), "push", error, pauses_s)
    return Pushed(error=error.reason)
