"""Keeps a server running: a command that crashes or is killed is started again, and never left behind."""

import subprocess
import sys
import time

from serving import leash
from serving.signals import stop_signals

# What a traceback ends with, and from here on signals. Anything else was decided, and another try would end alike.
CRASHED, KILLED = 1, 128
QUICK_S = 10.0
LONGEST_PAUSE_S = 10.0
POLL_S = 0.2
# What stopping takes beyond the time that running answers get: the last events, the engines.
STOPPING_S = 20.0


def keep_running(command: list[str], shutdown_s: float) -> int:
    """Run a Python command line until it ends by itself or we get SIGINT or SIGTERM; its exit code.

    It runs on a leash: whatever it started dies with it, engines included, before it is started again.
    """
    stop, _ = stop_signals()
    grace = str(shutdown_s + STOPPING_S)
    pause_s = 0.5
    while True:
        began = time.monotonic()
        server = subprocess.Popen(
            [sys.executable, leash.__file__, "--grace", grace, sys.executable, *command],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: we tell the server
        )
        while server.poll() is None and not stop.wait(POLL_S):
            pass
        server.stdin.close()
        code = server.wait()
        if stop.is_set() or not (code == CRASHED or code > KILLED):
            return code
        pause_s = 0.5 if time.monotonic() - began > QUICK_S else min(2 * pause_s, LONGEST_PAUSE_S)
        print(f"homegrown: the server died (exit code {code}) and is started again.", file=sys.stderr, flush=True)
        if stop.wait(pause_s):
            return 0
