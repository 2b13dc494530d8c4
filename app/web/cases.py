"""What a person should look at: the page that lists it, and the forms that decide about a number or close a case."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from app.core.errors import Conflict, InvalidInput
from app.listings.cases import dismiss, list_cases
from app.publishing.decisions import decide
from app.web.asker import asker, needs
from app.web.merchant import carry_on, chosen, reading, writing
from app.web.pages import ID_MAX, whole
from app.web.said import refuse

_ID = f"<int(max={ID_MAX}):id_>"
PAGE = 50
RIGHT = ("ledger", "channel")
_VIEW = ("all", "after")  # what of the address is the view

blueprint = Blueprint("cases", __name__)
carry_on(blueprint)


@blueprint.get("/cases")
def index() -> str:
    """A page of open cases, the latest first; `all` the closed ones too, `after` pages."""
    everything = "all" in request.args
    with reading() as session:
        found = list_cases(session, None if everything else "open", PAGE + 1, before=whole("after"))
    following = found[PAGE - 1].case_id if len(found) > PAGE else None
    return render_template(
        "cases.html", merchant=chosen(), cases=found[:PAGE], everything=everything, following=following,
        paged="after" in request.args, view=_view(),
    )  # fmt: skip


@blueprint.post(f"/cases/{_ID}/decide")
@needs("cases.decide")
def decide_one(id_: int) -> Answer:
    """Say which number is right: ours is written again, or our stock is changed by the difference."""
    right = request.form.get("right", "")
    if right not in RIGHT:
        raise InvalidInput("bad_decision", f"one of {', '.join(RIGHT)}", where="right")
    try:
        with writing() as session:
            decide(session, id_, right, asker().name)
    except Conflict as error:
        refuse(gettext("Nothing was changed: %(why)s.", why=error.detail))
        return _back()
    flash(
        gettext("Our number is written again.")
        if right == "ledger"
        else gettext("Our stock is changed by the difference.")
    )
    return _back()


@blueprint.post(f"/cases/{_ID}/dismiss")
@needs("cases.decide")
def dismiss_one(id_: int) -> Answer:
    """Close a case that was seen to."""
    try:
        with writing() as session:
            dismiss(session, id_, asker().name)
    except Conflict as error:
        refuse(gettext("Nothing was changed: %(why)s.", why=error.detail))
        return _back()
    flash(gettext("Case %(number)s is closed.", number=id_))
    return _back()


def _back() -> Answer:
    return redirect(url_for("cases.index", **_view()), 303)


def _view() -> dict[str, Any]:
    return {name: request.args[name] for name in _VIEW if name in request.args}
