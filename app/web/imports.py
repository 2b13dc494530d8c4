"""Tables that people bring: a file is kept, shown as it would be imported with every fault in its place, imported as a
whole or not at all, and taken back by a click.

A file's name is only ever shown; it is stored under a number and never on a disk.
"""

from __future__ import annotations

import zlib
from datetime import timedelta

from flask import Blueprint, Flask, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from app.core.db import Session
from app.core.errors import Conflict, InvalidInput, NotFound, TooLarge
from app.core.table import BYTES_MAX, write_table
from app.core.text_encoding import name_encoding
from app.ledger.import_batches import list_import_batches, undo_batch
from app.ledger.opening import commit_import, preview
from app.listings.catalogue import match_by_sku
from app.listings.matching import propose_again
from app.web.asker import needs
from app.web.merchant import WHOLE_TIMEOUT_S, carry_on, chosen, now, reading, runtime, writing
from app.web.pages import ID_MAX
from app.web.said import refuse
from app.web.setup import who

FORM_OVERHEAD = 100_000  # what a form is beside its file
NAME_MAX = 200
UPLOADS_MAX = 20  # of a merchant that wait; the oldest go
KEPT = timedelta(days=1)
FAULT_COLUMNS = ("line", "column", "reason", "message")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_UPLOAD = f"/import/<int(max={ID_MAX}):id_>"

_STORE = """
insert into upload (merchant_id, upload_id, name, body, size, made_at)
values (%(merchant_id)s, nextval('upload_seq'), %(name)s, %(body)s, %(size)s, %(now)s) returning upload_id
"""
_PRUNE = """
delete from upload where merchant_id = %(merchant_id)s and (made_at < %(before)s or upload_id <= (
    select upload_id from upload where merchant_id = %(merchant_id)s order by upload_id desc offset %(kept)s limit 1))
"""

blueprint = Blueprint("imports", __name__)
carry_on(blueprint)


def allow_large_files(app: Flask) -> None:
    """A table may be larger than any other body; it is said before anything reads it."""

    def allow() -> None:
        if request.endpoint == "imports.upload":
            request.max_content_length = BYTES_MAX + FORM_OVERHEAD

    app.before_request(allow)


@blueprint.get("/import")
@needs("items.change")
def index() -> str:
    """The form, and what was imported lately."""
    with reading() as session:
        batches = list_import_batches(session)
    return render_template("import.html", merchant=chosen(), batches=batches)


@blueprint.post("/import")
@needs("items.change")
def upload() -> Answer:
    """Keep the file and show what is in it."""
    given = request.files.get("file")
    if given is None or not given.filename:
        raise InvalidInput("no_file", "choose a file first", where="file")
    data = given.stream.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise TooLarge("file_too_large", f"the file is over {BYTES_MAX // 1_000_000} MB: split it")
    with writing() as session:
        session.run(_PRUNE, before=session.now - KEPT, kept=UPLOADS_MAX)
        id_ = session.value(
            _STORE, name=shown_name(given.filename), body=zlib.compress(data, 6), size=len(data), now=session.now
        )
    return redirect(url_for("imports.show", id_=id_), 303)


def shown_name(name: str) -> str:
    """The last part of what a browser calls the file, as text that can be seen."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in plain if char.isprintable())[:NAME_MAX] or "file"


@blueprint.get(_UPLOAD)
@needs("items.change")
def show(id_: int) -> str:
    """What importing the file would do, its first rows, and all its faults."""
    with reading() as session:
        name, data = _open(session, id_)
        plan = preview(session, data)
    delimiter = DELIMITERS.get(plan.delimiter, plan.delimiter)
    return render_template(
        "import_preview.html", merchant=chosen(), id_=id_, name=name, plan=plan, size=len(data), delimiter=delimiter,
        encoding=name_encoding(data),
    )  # fmt: skip


def _open(session: Session, id_: int) -> tuple[str, bytes]:
    row = session.row(
        "select name, body from upload where merchant_id = %(merchant_id)s and upload_id = %(id)s", id=id_
    )
    if row is None:
        raise NotFound("not_found", "There is nothing at this address.")
    unpacked = zlib.decompressobj()
    return row.name, unpacked.decompress(bytes(row.body), BYTES_MAX)


@blueprint.get(f"{_UPLOAD}/faults.csv")
@needs("items.change")
def faults(id_: int) -> Response:
    """All faults as a table, to be worked through beside the file."""
    with reading() as session:
        _, data = _open(session, id_)
        plan = preview(session, data)
    found = [*plan.faults, *plan.left_out]
    rows = sorted((fault.line, fault.column, fault.reason, fault.message) for fault in found)
    name = f"attachment; filename=faults-{id_}.csv"
    return Response(write_table(FAULT_COLUMNS, rows), mimetype="text/csv", headers={"Content-Disposition": name})


@blueprint.post(f"{_UPLOAD}/commit")
@needs("items.change")
def commit(id_: int) -> Answer:
    """Import all of it, or nothing where something is wrong."""
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            name, data = _open(session, id_)
            done = commit_import(session, data, name=name, by=who())
            match_by_sku(session)
            propose_again(session)
            session.run("delete from upload where merchant_id = %(merchant_id)s and upload_id = %(id)s", id=id_)
    except InvalidInput:
        refuse(gettext("Nothing was imported: the file has faults."))
        return redirect(url_for("imports.show", id_=id_), 303)
    with runtime().database.across(now()) as across:
        across.run("select refresh_statistics()")
    text = gettext("Imported: %(items)s new items, %(openings)s opening stocks, %(costs)s costs.",
                   items=done.items_created, openings=done.openings, costs=done.costs)  # fmt: skip
    flash(text)
    return redirect(url_for("imports.index"), 303)


@blueprint.post(f"/import/batches/<int(max={ID_MAX}):id_>/undo")
@needs("items.change")
def undo(id_: int) -> Answer:
    """Take what an import opened out of the ledger again."""
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            openings, units = undo_batch(session, id_, who())
    except Conflict as error:
        refuse(gettext("Nothing was changed: %(why)s.", why=error.detail))
        return redirect(url_for("imports.index"), 303)
    flash(gettext("Taken back: %(openings)s opening stocks, %(units)s units.", openings=openings, units=units))
    return redirect(url_for("imports.index"), 303)
