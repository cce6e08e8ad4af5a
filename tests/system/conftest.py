"""What all system tests share: they need root, and a switch to test.

Without root they are skipped, but in CI (where CI is set in the environment) they fail: a suite that skips its
main job must not look green. LAB_SWITCH=ovs runs the same scenarios on Open vSwitch, to tell a defect of the
laboratory from one of the switch; many then fail, as the figures of the benchmark explain.
"""

from __future__ import annotations

import os

import pytest

from lab.inband import InbandSwitch
from lab.switch import SwitchMaker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none and nobody insists."""
    if os.geteuid() == 0 or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root: it makes network namespaces"))


@pytest.fixture
def make() -> SwitchMaker:
    """The switch under test."""
    if os.environ.get("LAB_SWITCH") == "ovs":
        from lab.ovs import OvsSwitch

        return OvsSwitch
    return InbandSwitch
