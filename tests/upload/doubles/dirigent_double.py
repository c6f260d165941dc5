"""A dirigent that measures nothing and leaves files, ROOT files where Felis is: for runs that are not simulated ones."""

import os
import sys
from pathlib import Path

FILES = {
    "sldo_vi_curves": ["SLDO_C2HQ0.csv", "Run000001_SLDO_C2HQ0.root"],
    "iv_curve": ["IV_C2HQ0.csv", "Run000002_IV_C2HQ0.root"],
    "custom_sequence": ["Run000001_PixelAlive.root"],
}

words = sys.argv[1:]
if "--help" in words:
    print("iv_curve sldo_vi_curves")
elif "--version" in words:
    print("dirigent, version 1.2.3")
else:
    directory = Path(words[words.index("--directory") + 1])
    name = next(word for word in words if word in FILES)
    if os.environ.get("DOUBLE_FAILS") == name:
        sys.exit(1)
    for file in FILES[name]:
        (directory / file).write_text(f"{name} {directory}\n")
