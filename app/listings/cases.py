"""Cases: what a person should look at. One stays open per kind and subject; nothing waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.core.db import Session

Case = tuple[str, str, str, Mapping[str, Any]]  # kind, subject, detail, evidence

_OPEN = """
insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, evidence, opened_at)
select %(merchant_id)s, nextval('case_seq'), c.kind, %(channel)s, c.subject, c.detail, c.evidence, %(now)s
from unnest(%(kinds)s::text[], %(subjects)s::text[], %(details)s::text[], %(evidence)s::jsonb[]) c(kind, subject,
    detail, evidence)
on conflict do nothing
"""


def open_cases(session: Session, channel_id: int, cases: Sequence[Case]) -> int:
    """Open cases of (kind, subject, detail, evidence) that are not open yet; how many are new."""
    if not cases:
        return 0
    return session.run(
        _OPEN,
        channel=channel_id,
        now=session.now,
        kinds=[c[0] for c in cases],
        subjects=[c[1] for c in cases],
        details=[c[2] for c in cases],
        evidence=[orjson.dumps(c[3], default=str).decode() for c in cases],
    )
