"""Where in-band control believes a next hop to be: behind the port that its ARP and ND came from (VRRP, HSRP)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.packet import arp, nd
from inband.pipeline.fdb import MOVE_HOLD_S, FdbKey
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_ICMPV6
from tests.unit.pipeline.scene import P1, P2, P3, US, A, Scene, out

VIRTUAL = "00:00:5e:00:01:0a"
GATEWAY, HERE = "10.0.0.254", "10.0.0.1"
ARP = Match.of(eth_type=ETH_ARP)
ND = Match.of(eth_type=ETH_IPV6, ip_proto=IP_ICMPV6)


def answer(named: str = VIRTUAL, *, src: str = A, op: int = arp.REPLY) -> bytes:
    """An ARP message from a router that says to have another MAC address."""
    us, mac = Mac.parse(US), Mac.parse(named)
    return arp.build_arp(op, mac, IPv4Address(GATEWAY), us, IPv4Address(HERE), us, Mac.parse(src))


def advertisement() -> bytes:
    """The same of IPv6."""
    ours, target = IPv6Address("fe80::1"), IPv6Address("fe80::fe")
    frame = nd.build_neighbour_advertisement(target, target, Mac.parse(VIRTUAL), ours, dst=Mac.parse(US))
    return frame[:6] + Mac.parse(A).packed + frame[12:]


def solicitation() -> bytes:
    """A question from it."""
    frame = nd.build_neighbour_solicitation(IPv6Address("fe80::1"), IPv6Address("fe80::fe"), Mac.parse(VIRTUAL))
    return frame[:6] + Mac.parse(A).packed + frame[12:]


def place(scene: Scene, mac: str = VIRTUAL, now: float = 1.0) -> object:
    return scene.fdb.lookup(FdbKey(0, Mac.parse(mac)), now)


@pytest.mark.parametrize(
    ("letter", "match", "frame"),
    [
        ("k", ARP, answer()),
        ("g", ARP, answer(op=arp.REQUEST)),
        ("k", ND, advertisement()),
        ("g", ND, solicitation()),
    ],
)
def test_what_a_next_hop_says_of_itself_shows_its_place(letter: str, match: Match, frame: bytes) -> None:
    scene = Scene()
    scene.in_band(match, letter=letter)

    translation = scene.receive(frame, P2)

    assert place(scene) == place(scene, A) == P2
    assert not translation.cacheable


def test_control_to_it_is_no_longer_flooded() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="k")
    scene.in_band(Match.of(eth_type=ETH_IPV4))
    segment = packets.tcp(HERE, "192.0.2.1", src=US, dst=VIRTUAL)

    before = scene.receive(segment, LOCAL)
    scene.receive(answer(), P2)
    after = scene.receive(segment, LOCAL)

    assert (before.actions, before.lost) == (out(P1, P2, P3), Mac.parse(VIRTUAL))
    assert (after.actions, after.lost) == (out(P2), None)


def test_rules_about_other_packets_and_controllers_flows_show_no_place() -> None:
    scene = Scene()
    scene.flow(Output(NORMAL))
    scene.receive(answer(), P2)
    scene.in_band(ARP, letter="d")
    scene.receive(answer(), P2)

    assert place(scene) is None


@pytest.mark.parametrize("named", ["00:00:00:00:00:00", "01:00:5e:00:00:01", US])
def test_what_is_no_hosts_address_or_our_own_is_not_learned(named: str) -> None:
    scene = Scene()
    scene.in_band(ARP, letter="k")

    scene.receive(answer(named), P2)

    assert place(scene, named) is None


def test_a_copy_that_came_round_moves_nothing_and_a_router_that_took_over_does() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="k")
    scene.receive(answer(), P2, 1.0)

    scene.receive(answer(), P3, 1.0 + MOVE_HOLD_S / 2)
    held = place(scene)
    scene.receive(answer(), P3, 1.0 + MOVE_HOLD_S)

    assert held == P2
    assert place(scene) == P3


def test_a_moment_after_a_link_died_a_broadcast_shows_a_place_and_what_is_for_one_station_does_not() -> None:
    scene = Scene()
    scene.in_band()
    scene.fdb.doubt(1.0)
    scene.receive(packets.tcp(src=A, dst=US), P1, 1.001)

    scene.receive(packets.tcp(src=A, dst=US), P3, 1.002)
    held = place(scene, A)
    scene.receive(packets.arp_request(src=A), P2, 1.003)
    moved = place(scene, A)
    scene.receive(packets.arp_request(src=A), P3, 1.004)

    assert (held, moved, place(scene, A)) == (P1, P2, P2)


def test_at_other_times_it_does_not_move_a_place_that_was_confirmed() -> None:
    scene = Scene()
    scene.in_band()
    scene.receive(packets.tcp(src=A, dst=US), P1, 1.0)

    scene.receive(packets.arp_request(src=A), P2, 1.001)

    assert place(scene, A) == P1


def test_a_trace_says_so_and_learns_nothing() -> None:
    scene, trace = Scene(), Trace()
    scene.in_band(ARP, letter="k")

    scene.receive(answer(), P2, trace=trace)

    assert f"{VIRTUAL}, which it says to have, is behind this port too" in str(trace.steps)
    assert place(scene) is None


def test_data_that_is_flooded_and_groups_are_not_lost() -> None:
    scene = Scene()
    scene.flow(Output(NORMAL))

    assert scene.receive(packets.tcp(src=A, dst=VIRTUAL), P1).lost is None
    scene.in_band(ARP)
    assert scene.receive(packets.arp_request(src=A), P1).lost is None
