"""Whether a change would cut the session that it is made over."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from inband.flow.membership import VlanMembership, VlanMode
from inband.switch.config import BridgeConfig, FailMode, SwitchConfig
from inband.switch.cutting import Session, parse_session, why_cut
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import parse_target
from inband.vocabulary.addresses import parse_ip

SESSION = Session(parse_ip("192.0.2.9"), parse_ip("192.0.2.1"), 22)
BRIDGE = BridgeConfig("br0", ports=("eth1", "eth2"), addresses=(ip_interface("192.0.2.1/24"),))
BEFORE = SwitchConfig((BRIDGE,))
HERE = "br0"


def _after(**changes: object) -> SwitchConfig:
    return SwitchConfig((replace(BRIDGE, **changes),))  # type: ignore[arg-type]


def test_a_change_of_something_else_cuts_nothing() -> None:
    assert why_cut(SESSION, BEFORE, _after(queue=1, max_backoff_s=1.0), "br0", "eth1") is None


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (SwitchConfig(), "br0"),
        (_after(addresses=()), "192.0.2.1"),
        (_after(addresses=(ip_interface("192.0.2.2/24"),)), "192.0.2.1"),
        (_after(ports=("eth2",)), "eth1"),
    ],
)
def test_what_carries_the_session_must_stay(after: SwitchConfig, words: str) -> None:
    reason = why_cut(SESSION, BEFORE, after, "br0", "eth1")

    assert reason is not None
    assert words in reason


def test_the_port_of_a_session_must_stay_in_the_vlan_of_the_bridges_own_interface() -> None:
    ten = VlanMembership(VlanMode.ACCESS, 10)

    reason = why_cut(SESSION, BEFORE, _after(port_vlans=(("eth1", ten),)), "br0", "eth1")

    assert reason == "192.0.2.9 is behind port eth1, which would not carry untagged packets, where br0 is"
    assert why_cut(SESSION, BEFORE, _after(port_vlans=(("eth2", ten),)), "br0", "eth1") is None
    ours = SwitchConfig((replace(BRIDGE, control_vlan=10),))
    assert why_cut(SESSION, ours, _after(control_vlan=10, port_vlans=(("eth1", ten),)), "br0", "eth1") is None


def test_a_session_that_comes_by_a_router_needs_the_gateway() -> None:
    before = SwitchConfig((replace(BRIDGE, gateway=parse_ip("192.0.2.254")),))
    far = Session(parse_ip("198.51.100.1"), parse_ip("192.0.2.1"), 22)

    assert "gateway" in (why_cut(far, before, BEFORE, "br0", "eth1") or "")
    assert why_cut(SESSION, before, BEFORE, "br0", "eth1") is None


def test_the_interface_of_the_session_may_not_become_a_port() -> None:
    reason = why_cut(SESSION, SwitchConfig(), _after(addresses=()), "eth1", None)

    assert reason is not None
    assert "inband adopt" in reason


def test_adopted_it_may_where_frames_pass_without_a_controller() -> None:
    learning = _after(adopt="eth1")
    ruled = _after(adopt="eth1", fail_mode=FailMode.SECURE)
    protected = replace(ruled, managers=(parse_manager("from:tcp:192.0.2.9:22"),))

    assert why_cut(SESSION, SwitchConfig(), learning, "eth1", None) is None
    assert "manager" in (why_cut(SESSION, SwitchConfig(), ruled, "eth1", None) or "")
    assert why_cut(SESSION, SwitchConfig(), protected, "eth1", None) is None


def test_a_manager_by_which_the_session_passes_must_stay() -> None:
    ruled = _after(controllers=(parse_target("tcp:192.0.2.77"),))
    protected = replace(ruled, managers=(parse_manager("from:tcp:192.0.2.9:22"),))

    assert "manager" in (why_cut(SESSION, protected, ruled, "br0", "eth1") or "")
    assert "in-band" in (
        why_cut(SESSION, protected, replace(protected, bridges=(replace(ruled.bridges[0], in_band=False),)), "br0", "")
        or ""
    )


@pytest.mark.parametrize(
    ("manager", "passes"),
    [
        ("from:tcp:192.0.2.9:22", True),
        ("from:tcp:192.0.2.0/24:22", True),
        ("from:tcp:desk.example.net:22", True),  # who that is, is not known here
        ("from:tcp:192.0.2.9:443", False),
        ("from:tcp:192.0.2.8:22", False),
        ("from:udp:192.0.2.9:22", False),
        ("tcp:192.0.2.9:22", False),
        ("from:tcp:192.0.2.9:22,out-of-band", False),
    ],
)
def test_only_a_manager_that_calls_the_sessions_port_lets_it_pass(manager: str, passes: bool) -> None:
    ruled = _after(adopt="eth1", fail_mode=FailMode.SECURE)
    protected = replace(ruled, managers=(parse_manager(manager),))

    assert (why_cut(SESSION, SwitchConfig(), protected, "eth1", None) is None) is passes


def test_another_vlan_cuts() -> None:
    assert "VLAN 10" in (why_cut(SESSION, BEFORE, _after(control_vlan=10), "br0", "eth1") or "")


def test_a_session_by_another_interface_is_not_concerned() -> None:
    assert why_cut(SESSION, BEFORE, SwitchConfig(), "eth0", None) is None


def test_what_sshd_says_is_read() -> None:
    assert parse_session("192.0.2.9 53211 192.0.2.1 22") == SESSION
    assert parse_session("::ffff:192.0.2.9 1 ::ffff:192.0.2.1 22") == SESSION
    assert parse_session("fe80::1%br0 5 fe80::2%br0 22") == Session(ip_address("fe80::1"), ip_address("fe80::2"), 22)
    for text in ("", "a b c d", "192.0.2.9 1 192.0.2.1", "192.0.2.9 1 192.0.2.1 x"):
        assert parse_session(text) is None
