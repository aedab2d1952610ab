"""The helper that ends what hangs: it must say where everybody was."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.processes import descendants, end_with_stacks, logs_in, still_running

CHILD = "import time\ndef asleep(): time.sleep(99)\nasleep()"
PARENT = f"import subprocess, sys\ndef waiting(): subprocess.run([sys.executable, '-c', {CHILD!r}])\nwaiting()"


def test_all_say_where_they_were_and_nobody_is_left(tmp_path: Path) -> None:
    with (tmp_path / "parent.log").open("w") as log:
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen([sys.executable, "-c", PARENT], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 30
        while not (below := descendants(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)  # for the child to fall asleep
        end_with_stacks(process)
    assert "in asleep" in logs_in(tmp_path)
    assert "in waiting" in logs_in(tmp_path)
    assert still_running([process.pid, *below], within_s=5) == []
