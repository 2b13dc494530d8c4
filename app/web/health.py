"""Health for load balancers and people's monitors: is the database there, and does it take writes."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from app.core.errors import Unavailable
from app.core.runtime import Runtime

# A few bytes of the write-ahead log, flushed by the commit: nothing is left of them, and without them a full disk would
# look well. A standby, and a database that is switched to reading, say so before they are tried.
_WRITES = """select case when current_setting('transaction_read_only')::boolean then null
              else pg_logical_emit_message(true, 'healthz', '') end"""

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 when this process can serve; 503 with Retry-After otherwise (by the error handler)."""
    runtime: Runtime = current_app.extensions["runtime"]
    with runtime.database.across(runtime.clock()) as session:
        if session.value(_WRITES) is None:
            raise Unavailable("database_read_only", "the database is there, but takes no writes now")
    return jsonify({"status": "ok"})
