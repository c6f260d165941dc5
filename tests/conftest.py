"""Settings of all tests."""

import os

from hypothesis import HealthCheck, settings

# How long an example takes depends on the neighbours of the machine; a failure must not.
settings.register_profile(
    "calseq",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("calseq")
