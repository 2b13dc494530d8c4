"""A stamp that changes when something a page shows has changed: cheap enough to be read every second."""

from __future__ import annotations

from app.core.db import Session

PARKED_COUNTED_MAX = 1_000
ATTEMPTS = 8  # the latest; an older one that closes late changes its polls, movements or cases as well

_STAMP = f"""
select md5(concat_ws('|',
    (select max(movement_id) from movement where merchant_id = %(merchant_id)s),
    (select string_agg(concat(channel_id, state, name), ',' order by channel_id) from channel
     where merchant_id = %(merchant_id)s),
    (select string_agg(concat(channel_id, kind, completed_at, failures, last_error), ',' order by channel_id, kind)
     from channel_poll where merchant_id = %(merchant_id)s),
    (select string_agg(concat(attempt_id, state, closed_at), ',' order by attempt_id) from (
        select attempt_id, state, closed_at from push_attempt where merchant_id = %(merchant_id)s
        order by attempt_id desc limit {ATTEMPTS}) a),
    (select count(*) from case_file where merchant_id = %(merchant_id)s and state = 'open'),
    (select count(*) from (select from inbox where merchant_id = %(merchant_id)s and state = 'parked'
                           limit {PARKED_COUNTED_MAX}) p),
    (select string_agg(concat(reason, count), ',' order by channel_id, reason, refused_on) from delivery_refusal
     where merchant_id = %(merchant_id)s and refused_on >= (%(now)s at time zone 'UTC')::date - 1)))
"""  # noqa: S608  constants only


def read_stamp(session: Session) -> str:
    """The merchant's stamp as it is now: equal stamps mean that nothing shown has changed."""
    stamp: str = session.value(_STAMP, now=session.now)
    return stamp
