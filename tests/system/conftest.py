"""What all system tests share: a switch to test.

LAB_SWITCH=ovs runs the same tests on Open vSwitch, to tell a defect of the laboratory from one of the switch; many then
fail, as the figures of the benchmark explain.
"""

from __future__ import annotations

import os

import pytest

from lab.inband import InbandSwitch
from lab.switch import SwitchMaker


@pytest.fixture
def make() -> SwitchMaker:
    """The switch under test."""
    if os.environ.get("LAB_SWITCH") == "ovs":
        from lab.ovs import OvsSwitch

        return OvsSwitch
    return InbandSwitch
