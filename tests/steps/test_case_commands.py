"""The commands about cases as a person uses them: list, decide, dismiss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.db import connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.migrate import migrate
from tests.shell import app
from tests.steps.test_listing_commands import NOW, a_merchant, entry

OURS = ("--merchant", "ours")
_CASES = """
with c as (
    insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, opened_at, owner_id, cause,
                           difference)
    select merchant_id, nextval('case_seq'), k.kind, channel_id, stock_key, 'shows 9' || chr(27), %(now)s,
           case k.kind when 'drift' then owner_id end, k.cause, 2
    from stock_owner, (values ('drift', 'hand_edit'), ('write_refused', null)) k(kind, cause)
    where merchant_id = %(merchant_id)s and stock_key = '11' returning merchant_id, case_id, owner_id
)
update stock_owner o set case_id = c.case_id, held = true from c
where o.merchant_id = %(merchant_id)s and o.owner_id = c.owner_id
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("cases")
    for folder in (path, path.parent, path.parent.parent):
        folder.chmod(0o755)
    embedded = Embedded(path)
    embedded.ensure()
    migrate(embedded.url(OWNER_ROLE))
    database = connect(embedded.url(APP_ROLE))
    for name in ("ours", "theirs"):
        a_merchant(database, name, [entry("11", "mug", "Mug")])
    with database.begin(1, NOW) as session:
        session.run(_CASES, now=NOW)
    database.close()
    yield path
    embedded.stop()


def listed(data: Path, *more: str) -> list[list[str]]:
    result = app(data, "case", "list", *more, *OURS)
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_cases_are_listed_decided_and_dismissed_by_their_number(data: Path) -> None:
    found = {line[4]: line for line in listed(data)}
    assert (found["drift"][1], found["drift"][5], found["drift"][6]) == ("asks", "hand_edit", "mug")
    drift, refused = found["drift"][0], found["write_refused"][0]
    assert app(data, "case", "list", "--merchant", "theirs").stdout == ""
    assert "unknown_case" in app(data, "case", "decide", drift, "channel", "--merchant", "theirs").stderr
    assert "case_undecided" in app(data, "case", "dismiss", drift, *OURS).stderr
    assert app(data, "case", "decide", drift, "channel", *OURS).returncode == 0
    assert "case_not_asking" in app(data, "case", "decide", drift, "ledger", *OURS).stderr
    assert app(data, "case", "dismiss", refused, *OURS).returncode == 0
    assert listed(data) == []
    ends = {line[4]: (line[1], line[7]) for line in listed(data, "--all")}
    assert ends == {"drift": ("corrected", "command line"), "write_refused": ("dismissed", "command line")}
