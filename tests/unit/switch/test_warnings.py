"""What is allowed and is hardly meant is said."""

from __future__ import annotations

import pytest

from inband.flow.membership import VlanMembership, VlanMode
from inband.switch.config import BridgeConfig, SwitchConfig, warnings_of
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import parse_target

TEN = VlanMembership(VlanMode.ACCESS, 10)
PLAIN = SwitchConfig((BridgeConfig("br0", ports=("eth1",)),))


def test_a_plain_configuration_is_not_warned_of() -> None:
    assert list(warnings_of(PLAIN)) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SwitchConfig(), "no bridge"),
        (SwitchConfig((BridgeConfig("br0"),)), "br0 has no port"),
        (SwitchConfig(PLAIN.bridges, managers=(parse_manager("from:tcp:manager:22"),)), "'manager' has no dot"),
        (SwitchConfig((BridgeConfig("br0", ("e",), port_vlans=(("e", TEN),)),)), "br0: its own interface is untagged"),
        (SwitchConfig((BridgeConfig("br0", ("e",), controllers=(parse_target("tcp:ctl"),)),)), "'ctl' has no dot"),
    ],
)
def test_what_is_hardly_meant_is_said(config: SwitchConfig, words: str) -> None:
    (warning,) = warnings_of(config)

    assert words in warning
