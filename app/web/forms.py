"""Reading a form: exactly the fields it has, each a text of bounded length."""

from __future__ import annotations

from flask import request

from app.core.errors import Fault, InvalidInput

TEXT_MAX = 2_000
_ALWAYS = frozenset({"csrf_token"})


def read_form(*fields: str, several: tuple[str, ...] = ()) -> dict[str, str]:
    """The fields by name, `''` for one that was not sent. Raises InvalidInput for a field that the form does not have,
    one that was sent twice, and a text that is too long. `several` may be sent more than once and are not returned."""
    known = _ALWAYS | set(fields) | set(several)
    faults = [
        Fault("extra_field", "extra field: this form has none of that name", n[:40])
        for n in request.form
        if n not in known
    ]
    for name in fields:
        values = request.form.getlist(name)
        if len(values) > 1:
            faults.append(Fault("field_twice", "this was sent more than once", name))
        if any(len(value) > TEXT_MAX for value in values) and name != "password":
            faults.append(Fault("too_long", f"at most {TEXT_MAX} characters", name))
    if faults:
        raise InvalidInput(faults[0].reason, faults[0].detail, faults[0].where, faults=faults)
    return {name: request.form.get(name, "") for name in fields}
