"""What all tests share: property tests search at random where somebody watches, and in a fixed order in CI.

A counter-example that only a lucky run finds is worth a developer's evening, not somebody else's red build.

Switches are started some hundred times: what the compiler makes of their modules is kept, also where the environment
(that of many containers) says otherwise. Else each start compiles all of them, for as long as the rest of it takes.
"""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

# Shared machines stall for seconds; how long an example takes is bench/'s business, not the tests'.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
