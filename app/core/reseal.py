"""Sealing again what a former key sealed, so that the former key can be taken away.

Whoever keeps sealed values says where (`Kept`); they are gone through in batches, each in a transaction of its own, so
that it may be stopped and begun again at any time, while everybody works. A value that was sealed anew meanwhile is
left as it is: its row is locked while it is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.db import Row, Session
from app.core.runtime import Runtime
from app.core.secrets import SealBroken, sealed_by

BATCH = 200
BROKEN_MAX = 20  # named


@dataclass(frozen=True, slots=True)
class Kept:
    """Where sealed values are. `key`: the columns that name a row of a merchant, with their types; `bound_to`: what it
    was sealed for, by merchant and row; `also`: further columns that this needs; `where`: which rows hold any."""

    table: str
    column: str
    key: Mapping[str, str]
    bound_to: Callable[[int, Row], str]
    also: Sequence[str] = ()
    where: str = "true"

    @property
    def page(self) -> str:
        """The next rows, locked, that another key than the active one sealed."""
        names = ", ".join(self.key)
        after = ", ".join(f"%({name})s::{kind}" for name, kind in self.key.items())
        return f"""
select {", ".join([*self.key, *self.also])}, {self.column} as sealed from {self.table}
where merchant_id = %(merchant_id)s and ({self.where}) and substring({self.column} from 1 for 1) = '\\x01'
  and substring({self.column} from 1 for length(%(header)s::bytea)) <> %(header)s::bytea
  and (%(first)s or ({names}) > ({after}))
order by {names} limit {BATCH} for update"""  # noqa: S608  names from our own code

    @property
    def change(self) -> str:
        """Put other sealed bytes into some rows."""
        arrays = ", ".join([*(f"%({name})s::{kind}[]" for name, kind in self.key.items()), "%(sealed)s::bytea[]"])
        same = " and ".join(f"t.{name} = d.{name}" for name in self.key)
        return f"""
update {self.table} t set {self.column} = d.sealed from unnest({arrays}) d({", ".join(self.key)}, sealed)
where t.merchant_id = %(merchant_id)s and {same}"""  # noqa: S608


@dataclass
class Resealed:
    """What came of it: values sealed anew by the key that had sealed them, and those that no key here opens."""

    former: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def reseal(runtime: Runtime, merchant_id: int, places: Sequence[Kept]) -> Resealed:
    """Seal all of a merchant's values with the active key; those that can't be opened stay and are named."""
    done = Resealed()
    for place in places:
        last: Row | None = None
        while True:
            with runtime.begin(merchant_id, runtime.clock()) as session:
                rows = _page(session, runtime, place, last)
                _reseal_rows(session, runtime, place, rows, done)
            if len(rows) < BATCH:
                break
            last = rows[-1]
    return done


def _page(session: Session, runtime: Runtime, place: Kept, last: Row | None) -> Sequence[Row]:
    after = {name: None if last is None else getattr(last, name) for name in place.key}
    return session.rows(place.page, header=runtime.sealer.header, first=last is None, **after)


def _reseal_rows(session: Session, runtime: Runtime, place: Kept, rows: Sequence[Row], done: Resealed) -> None:
    anew: list[tuple[Row, bytes]] = []
    for row in rows:
        bound_to, sealed = place.bound_to(session.merchant_id, row), bytes(row.sealed)
        try:
            anew.append((row, runtime.sealer.seal(runtime.sealer.open(sealed, bound_to=bound_to), bound_to=bound_to)))
        except SealBroken as broken:
            if len(done.broken) < BROKEN_MAX:
                done.broken.append(f"{place.table}.{place.column} {bound_to}: {broken.detail}")
        else:
            done.former[sealed_by(sealed)] += 1
    if anew:
        keys = {name: [getattr(row, name) for row, _ in anew] for name in place.key}
        session.run(place.change, sealed=[sealed for _, sealed in anew], **keys)
