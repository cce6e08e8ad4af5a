"""What the local port's IPv6 needs to hear reaches it whatever tables say: advertisements, replies, queries."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from inband.flow.actions import Action, DatapathAction, Group, Output, SetField
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.packet import nd
from inband.packet.parse import parse
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV6, IP_ICMPV6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION
from inband.vocabulary.openflow import GroupType, PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

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


def with_gateway() -> Scene:
    """A scene whose IPv6 gateway has answered on port 2."""
    scene, gateway = with_ipv6(), IPv6Address("fe80::fe")
    for letter, kind in (("c", NEIGHBOUR_SOLICITATION), ("k", NEIGHBOUR_ADVERTISEMENT)):
        scene.in_band(Match.of(eth_type=ETH_IPV6, ip_proto=IP_ICMPV6, icmpv6_type=kind), letter=letter)
    scene.pipeline.places.hops = {(6, int(gateway))}
    us = IPv6Address("fe80::1")
    scene.receive(nd.build_neighbour_solicitation(gateway, us, Mac.parse(US)), LOCAL, 0.9)
    scene.receive(nd.build_neighbour_advertisement(gateway, gateway, Mac.parse(A), us, dst=Mac.parse(US)), P2, 1.0)
    return scene


@pytest.mark.parametrize("frame", [TO_ALL, TO_US], ids=["to all nodes", "to us"])
def test_routers_advertise_where_the_gateway_is_and_nowhere_else(frame: bytes) -> None:
    scene = with_gateway()

    assert scene.actions(frame, P2) == out(LOCAL)
    assert scene.actions(frame, P1) == ()
    assert scene.pipeline.counters["router_contradicted"] == 1


@pytest.mark.parametrize(
    ("actions", "left"),
    [
        ((Output(NORMAL),), out(P2, P3)),
        ((Output(LOCAL),), ()),
        ((Output(LOCAL), SetField("eth_dst", 7), Output(P2)), (SetField("eth_dst", 7), Output(P2))),
    ],
)
def test_nor_does_a_flow_let_them_come_to_the_local_port(
    actions: tuple[Action, ...], left: tuple[DatapathAction, ...]
) -> None:
    scene = with_gateway()
    scene.flow(*actions)

    assert scene.actions(TO_ALL, P1) == left
    assert LOCAL in {each.port for each in scene.actions(TO_ALL, P2) if isinstance(each, Output)}


def test_from_a_port_without_the_gateway_all_else_comes_as_before() -> None:
    scene = with_gateway()
    scene.flow(Output(LOCAL))

    assert scene.actions(REPLY, P1) == scene.actions(packets.listener_query(), P1) == out(LOCAL)


def test_when_the_gateway_is_given_up_any_router_may_come() -> None:
    scene = with_gateway()

    scene.fdb.flush_port(P2)

    assert scene.actions(TO_ALL, P1) == out(LOCAL)
