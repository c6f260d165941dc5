"""The helpers of other tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "console"), str(TESTS / "watch"), str(TESTS / "eta"), str(Path(__file__).parent)]
