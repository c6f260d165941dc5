"""A short run of the upload campaign: random failures and kills, until everything has arrived once."""

import re
import subprocess
import sys

from upload_stand import CHECKOUT


def test_ten_queues_arrive_once_each_whatever_fails_and_whoever_is_killed():
    campaign = [
        sys.executable,
        str(CHECKOUT / "benchmarks" / "upload_campaign.py"),
        "--queues",
        "10",
        "--seed",
        "11",
    ]
    told = subprocess.run(campaign, capture_output=True, text=True, timeout=400)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "wrong: 0" in told.stdout
    calseq, felis = map(int, re.search(r"calseq (\d+) times, Felis (\d+) times", told.stdout).groups())
    assert calseq > 0
    assert felis > 0
