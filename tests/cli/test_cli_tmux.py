"""A run survives the end of the terminal multiplexer that it was started in, and is watched from elsewhere."""

import shutil
import signal
import subprocess
import sys
import uuid

import pytest
from cli_runs import stand, step
from folder_runs import PLAIN, calseq, until

from calseq.record.seal import verify

assert stand  # a fixture

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here")


@pytest.fixture
def tmux(tmp_path):
    socket = f"calseq-test-{uuid.uuid4().hex[:8]}"

    def command(*words):
        return subprocess.run(
            ["tmux", "-L", socket, *words], capture_output=True, text=True, check=False, env=PLAIN
        )

    yield command
    command("kill-server")


def test_a_run_outlives_the_tmux_it_was_started_in(stand, tmux):
    steps = (step("iv_curve"), step("custom_sequence", name="tuning"), step("get_module_info"))
    sequence = stand.write(*steps)
    words = [
        "execute",
        sequence,
        "--simulate",
        "--speed",
        "5000",
        "--runs",
        str(stand.runs),
        "--fault",
        "tuning=hang",
    ]
    done = tmux(
        "new-session",
        "-d",
        "-x",
        "100",
        "-y",
        "30",
        "-c",
        str(stand.folder),
        sys.executable,
        "-m",
        "calseq",
        *words,
    )
    assert done.returncode == 0, done.stderr
    logs = until(lambda: list(stand.runs.glob("*/steps/02-tuning/log.txt")))
    until(lambda: b"simulated fault" in logs[0].read_bytes())
    until(lambda: "tuning" in tmux("capture-pane", "-p").stdout)

    tmux("kill-server")
    assert tmux("list-sessions").returncode != 0

    assert "RUNNING for" in calseq("status", cwd=stand.folder)[0]
    viewer = subprocess.Popen(
        [sys.executable, "-m", "calseq", "attach"],
        cwd=stand.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert b"SIMULATED" in viewer.stdout.readline()
    viewer.send_signal(signal.SIGTERM)
    viewer.communicate(timeout=20)
    assert "RUNNING for" in calseq("status", cwd=stand.folder)[0]
    calseq("stop", cwd=stand.folder)
    [folder] = stand.runs.iterdir()
    assert all(finding.good for finding in verify(folder))
    assert "interrupted" in calseq("runs", cwd=stand.folder)[0]
