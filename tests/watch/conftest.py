"""The real command line."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "console"), str(TESTS / "cli_run"), str(TESTS / "guarded")]
