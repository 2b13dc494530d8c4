"""`python -m tests.fuzz --cases 50000 --seed 1`: what was sent and what came, and 1 when anything was wrong."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from app.core.db import connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.migrate import migrate
from tests.conftest import NOW
from tests.fuzz.fuzzing import Sent
from tests.fuzz.served import furnish, fuzzing
from tests.street import Street
from tests.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="perpetual-fuzz-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        sent, findings = fuzz(Path(folder), asked.cases, asked.seed)
    took = time.monotonic() - started
    figures = {
        "cases": sent.cases, "operations": len(sent.operations), "seed": asked.seed, "seconds": round(took),
        "statuses": dict(sorted(sent.statuses.items())), "faults": len(sent.faults), "ledger_findings": findings,
    }  # fmt: skip
    print(json.dumps(figures))
    return 0 if sent.cases >= asked.cases and not sent.faults and not findings else 1


def fuzz(folder: Path, cases: int, seed: int) -> tuple[Sent, int]:
    """Everything that was sent, and how many promises of the ledger are broken after it."""
    embedded = Embedded(folder, fsync=False)
    embedded.ensure()
    try:
        migrate(embedded.url(OWNER_ROLE))
        database = connect(embedded.url(APP_ROLE), pool_max=20)
        street = Street(World.make(database, NOW, "fuzz", "fifo"), folder)
        furnish(street)
        with fuzzing(street, seed) as fuzzer:
            fuzzer.tell = lambda sent: print(f"{sent.cases} cases, {len(sent.faults)} faults", file=sys.stderr)
            sent = fuzzer.run(cases)
        findings = len(street.world.verify())
        database.close()
    finally:
        embedded.stop()
    return sent, findings


if __name__ == "__main__":
    sys.exit(main())
