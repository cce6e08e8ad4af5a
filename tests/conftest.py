"""What all tests share: property tests search at random where somebody watches, and in a fixed order in CI.

A counter-example that only a lucky run finds is worth a developer's evening, not somebody else's red build.

Tests that need root are skipped without it, but in CI (where CI is set in the environment) they fail: a suite that
skips its main job must not look green.

Switches are started some hundred times: what the compiler makes of their modules is kept, also where the environment
(that of many containers) says otherwise. Else each start compiles all of them, for as long as the rest of it takes.
"""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# Shared machines stall for seconds; how long an example takes is bench/'s business, not the tests'.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none, but not in CI."""
    if os.geteuid() == 0 or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root: it makes network namespaces"))
