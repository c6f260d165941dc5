"""The folders of the hand-made runs."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("console", "watch", "cli_run")]
