"""What the local port's IPv6 needs to hear reaches it whatever tables say: advertisements, replies, queries."""

from __future__ import annotations

import pytest

from inband.flow.actions import Group, Output, SetField
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.packet.parse import parse
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import GroupType, PortConfig
from tests.unit.pipeline.scene import P1, P2, US, A, B, Scene, out

TO_ALL = packets.router_advertisement()
TO_US = packets.router_advertisement(dst=US, target="fe80::2")
TO_B = packets.router_advertisement(dst=B, target="fe80::2")
V6 = ("fe80::1", "fe80::2")
REPLY = packets.udp(*V6, 547, 546, dst=US)
REPLY_TO_B = packets.udp(*V6, 547, 546, dst=B)
REQUEST = packets.udp(*V6, 546, 547, dst=US)
OURS = (TO_ALL, TO_US, REPLY, packets.listener_query())
names = ("advertisement to all nodes", "advertisement to us", "DHCPv6 reply", "listener query")


def with_ipv6() -> Scene:
    """A scene that uses IPv6."""
    scene = Scene()
    scene.pipeline.ipv6 = True
    return scene


@pytest.mark.parametrize("frame", OURS, ids=names)
def test_it_reaches_local_from_an_empty_table_and_past_a_drop_at_the_highest_priority(frame: bytes) -> None:
    scene = with_ipv6()
    assert scene.actions(frame) == out(LOCAL)
    scene.flow(priority=65535)
    assert scene.actions(frame) == out(LOCAL)


@pytest.mark.parametrize("frame", OURS, ids=names)
def test_the_flow_still_does_with_it_what_it_says(frame: bytes) -> None:
    scene = with_ipv6()
    edit = SetField("eth_dst", int(Mac.parse(B)))
    scene.flow(edit, Output(P2), Output(LOCAL))

    assert scene.actions(frame) == (Output(LOCAL), edit, Output(P2), Output(LOCAL))


def test_it_is_not_sent_twice_where_the_flow_sends_it_to_local_anyway() -> None:
    scene = with_ipv6()
    scene.flow(Output(NORMAL))

    assert scene.actions(TO_US) == out(LOCAL)


@pytest.mark.parametrize("frame", [TO_B, REPLY_TO_B, REQUEST], ids=["to B", "reply to B", "request"])
def test_what_is_not_for_the_local_port_gets_no_help(frame: bytes) -> None:
    assert with_ipv6().actions(frame) == ()


def test_what_leaves_local_does_not_come_back() -> None:
    assert with_ipv6().actions(TO_ALL, LOCAL) == ()


def test_a_closed_port_does_not_keep_it_away() -> None:
    scene = with_ipv6()
    scene.configure(P1, PortConfig.NO_RECV | PortConfig.PORT_DOWN)
    scene.configure(LOCAL, PortConfig.NO_FWD)

    assert scene.actions(TO_ALL) == out(LOCAL)


def test_without_ipv6_or_without_in_band_there_is_no_care() -> None:
    plain, off = Scene(), with_ipv6()
    off.pipeline.in_band = False

    assert plain.actions(TO_ALL) == off.actions(TO_ALL) == ()


def test_the_decision_may_be_cached() -> None:
    assert all(with_ipv6().receive(frame).cacheable for frame in OURS)


@pytest.mark.parametrize("frame", OURS, ids=names)
def test_no_other_cached_decision_serves_it(frame: bytes) -> None:
    scene = with_ipv6()
    scene.flow(Output(P2))
    wanted = parse(frame, P1)

    for other in (TO_B, REPLY_TO_B, REQUEST, packets.tcp(src=A, dst=B), packets.arp_request(), packets.icmp_echo(*V6)):
        decision = scene.receive(other)
        assert not decision.cacheable or (parse(other, P1) ^ wanted) & decision.mask, other.hex()


def test_without_ipv6_decisions_stay_wide() -> None:
    plain, careful = Scene(), with_ipv6()
    for scene in (plain, careful):
        scene.flow(Output(P2), match=Match.of(eth_type=0x86DD))
    frame = packets.icmp_echo("2001:db8::1", "2001:db8::2", src=A, dst=B)

    assert not FIELDS["ip_proto"].get(plain.receive(frame).mask)
    assert FIELDS["ip_proto"].get(careful.receive(frame).mask)


def test_a_group_cannot_take_it_from_local() -> None:
    scene = with_ipv6()
    scene.tables.groups.add(1, GroupType.ALL, (), 0.0)
    scene.flow(Group(1), priority=65535)

    assert scene.actions(TO_ALL) == out(LOCAL)
