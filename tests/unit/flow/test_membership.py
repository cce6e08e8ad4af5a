"""VLAN membership of ports: what arrives in which VLAN, what leaves how, and how it is written."""

from __future__ import annotations

import pytest

from inband.errors import UsageError
from inband.flow.membership import VlanMembership, VlanMode, format_vlans, parse_membership

ACCESS = VlanMembership(VlanMode.ACCESS, 10)
TRUNK = VlanMembership(VlanMode.TRUNK, trunks=frozenset({10, 20}))
OPEN = VlanMembership(VlanMode.TRUNK)
TAGGED = VlanMembership(VlanMode.NATIVE_TAGGED, 1, frozenset({10, 20}))
UNTAGGED = VlanMembership(VlanMode.NATIVE_UNTAGGED, 1, frozenset({10, 20}))


@pytest.mark.parametrize(
    ("port", "vid", "vlan"),
    [
        (ACCESS, 0, 10),
        (ACCESS, 10, None),
        (ACCESS, 20, None),
        (TRUNK, 0, None),
        (TRUNK, 10, 10),
        (TRUNK, 30, None),
        (OPEN, 0, 0),
        (OPEN, 30, 30),
        (TAGGED, 0, 1),
        (TAGGED, 1, 1),
        (TAGGED, 20, 20),
        (TAGGED, 30, None),
        (UNTAGGED, 0, 1),
        (UNTAGGED, 1, 1),
        (UNTAGGED, 30, None),
        (VlanMembership(VlanMode.ACCESS, 0), 0, 0),
        (VlanMembership(VlanMode.TRUNK, trunks=frozenset({0, 5})), 0, 0),
    ],
)
def test_a_frame_arrives_in_this_vlan(port: VlanMembership, vid: int, vlan: int | None) -> None:
    assert port.vlan_of(vid) == vlan


@pytest.mark.parametrize(
    ("port", "carried"),
    [(ACCESS, {10}), (TRUNK, {10, 20}), (OPEN, {0, 1, 10, 20, 30}), (TAGGED, {1, 10, 20}), (UNTAGGED, {1, 10, 20})],
)
def test_a_port_carries_these_vlans(port: VlanMembership, carried: set[int]) -> None:
    assert {vlan for vlan in (0, 1, 10, 20, 30) if port.carries(vlan)} == carried


@pytest.mark.parametrize(
    ("port", "tagged"), [(ACCESS, set()), (TRUNK, {10}), (OPEN, {1, 10}), (TAGGED, {1, 10}), (UNTAGGED, {10})]
)
def test_these_vlans_leave_with_a_tag(port: VlanMembership, tagged: set[int]) -> None:
    assert {vlan for vlan in (0, 1, 10) if port.carries(vlan) and port.leaves_tagged(vlan)} == tagged


def test_a_drop_is_said_in_words() -> None:
    assert "access port of VLAN 10" in ACCESS.why_dropped(20)
    assert "carries VLANs 10+20, and 30" in TRUNK.why_dropped(30)
    assert "untagged is not among them" in TRUNK.why_dropped(0)


@pytest.mark.parametrize(
    ("text", "membership"),
    [
        ("tag=10", ACCESS),
        ("trunks=10+20", TRUNK),
        ("vlan-mode=trunk", OPEN),
        ("tag=1,trunks=10+20,vlan-mode=native-tagged", TAGGED),
        ("tag=1,trunks=10+20,vlan-mode=native-untagged", UNTAGGED),
        ("trunks=10-12+30", VlanMembership(VlanMode.TRUNK, trunks=frozenset({10, 11, 12, 30}))),
    ],
)
def test_it_is_read_as_it_is_written(text: str, membership: VlanMembership) -> None:
    assert parse_membership(words_of(text)) == membership
    assert str(membership) == text


def test_no_word_is_no_membership() -> None:
    assert parse_membership({}) is None


def test_runs_of_vlans_are_written_short() -> None:
    assert format_vlans(frozenset({30, 10, 11, 12, 4095, 4094})) == "10-12+30+4094-4095"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tag=5000", "'5000' is not allowed: 0 to 4095"),
        ("tag=-1", "'-1' is not allowed"),
        ("tag=x", "'x' is not allowed"),
        ("tag=", "'' is not allowed"),
        ("tag=1,trunks=2", "an access port has one VLAN"),
        ("trunks=20-10", "the lower VLAN comes first"),
        ("trunks=10+", "'' is not allowed"),
        ("trunks=1-5000", "'5000' is not allowed"),
        ("trunks=10,vlan-mode=access", "vlan-mode=access needs a tag"),
        ("trunks=10,vlan-mode=native-tagged", "vlan-mode=native-tagged needs a tag"),
        ("tag=1,vlan-mode=trunk", "a trunk has no tag of its own"),
        ("tag=1,vlan-mode=dot1q", "'dot1q' is not allowed: access, trunk"),
    ],
)
def test_what_means_nothing_is_refused_in_words(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_membership(words_of(text))


def test_a_value_that_means_nothing_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="VLAN 5000 is not allowed"):
        VlanMembership(VlanMode.TRUNK, trunks=frozenset({5000}))


def words_of(text: str) -> dict[str, str]:
    """Words by name."""
    return dict(word.split("=") for word in text.split(","))
