"""The audit log on a page, the newest first."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.accounts.audit import list_entries
from app.web.asker import needs
from app.web.merchant import carry_on, chosen, reading
from app.web.pages import whole

PAGE = 50

blueprint = Blueprint("audit_log", __name__)
carry_on(blueprint)


@blueprint.get("/log")
@needs("audit.see")
def index() -> str:
    """A page of entries; `before` pages on."""
    before = whole("before")
    with reading() as session:
        entries = list_entries(session, before, limit=PAGE)
    more = entries[-1].number if len(entries) == PAGE and entries[-1].number > 1 else None
    return render_template("log.html", merchant=chosen(), entries=entries, before=before, more=more)
