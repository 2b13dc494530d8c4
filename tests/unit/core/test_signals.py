"""A process that is asked to end does, whatever its main thread is at."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

# The lock that `Event.wait` holds for a moment, ten times a second in a process that looks whether it is to stop.
AT_THE_WORST_MOMENT = """
import os, sys, threading
from app.core.signals import stop_on_signals
stopping = threading.Event()
stop_on_signals(stopping.set)
with stopping._cond:
    os.kill(os.getpid(), int(sys.argv[1]))
sys.exit(0 if stopping.wait(20) else 3)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_the_main_thread_looks_whether_to_stop_ends_it(number: signal.Signals) -> None:
    command = [sys.executable, "-c", AT_THE_WORST_MOMENT, str(number.value)]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0
