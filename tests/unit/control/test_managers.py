"""What the rules for managers take and what they do not: frames held against the rules of a state."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from inband.control import events as ev
from inband.control.endpoints import Endpoint, Protocol
from inband.control.rules import InBandRule, State, wanted
from inband.host.events import NextHop, NextHopFound
from inband.packet.parse import parse
from inband.testing import packets
from tests.unit.control.played import Played

HOST, SWITCH, BEHIND, OTHER = "192.0.2.9", "10.0.0.1", "10.0.0.3", "10.0.1.1"
HOST6, SWITCH6, OTHER6 = "2001:db8:9::9", "2001:db8::1", "2001:db8:1::1"
NETWORKS = frozenset({ip_network("10.0.0.0/24"), ip_network("2001:db8::/64")})
FAMILIES = pytest.mark.parametrize(
    ("host", "switch", "other"), [(HOST, SWITCH, OTHER), (HOST, BEHIND, OTHER), (HOST6, SWITCH6, OTHER6)]
)
LATER_FRAGMENT = 0x2000 | 100


def rules_for(*endpoints: Endpoint) -> frozenset[InBandRule]:
    return wanted(State(True, None, frozenset(endpoints), frozenset(), frozenset(), networks=NETWORKS))


def taken_by(rules: frozenset[InBandRule], frame: bytes) -> str:
    """The letters of the rules that match."""
    key = parse(frame, 1)
    return "".join(sorted({rule.letter for rule in rules if rule.match.matches(key)}))


def udp_to(host: str, protocol: Protocol = Protocol.UDP, port: int = 514, *, calls: bool = False) -> Endpoint:
    return Endpoint(ip_address(host), port, protocol, calls)


@FAMILIES
def test_what_switches_send_to_a_udp_port_of_a_manager_passes_with_its_answers(
    host: str, switch: str, other: str
) -> None:
    rules = rules_for(udp_to(host))

    assert taken_by(rules, packets.udp(switch, host, 40000, 514)) == "o"
    assert taken_by(rules, packets.udp(host, switch, 514, 40000)) == "p"
    assert taken_by(rules, packets.udp(other, host, 40000, 514)) == ""
    assert taken_by(rules, packets.udp(host, other, 514, 40000)) == ""
    assert taken_by(rules, packets.udp(switch, host, 40000, 515)) == ""
    assert taken_by(rules, packets.udp(host, switch, 40000, 514)) == ""
    assert taken_by(rules, packets.tcp(switch, host, 40000, 514)) == ""
    assert taken_by(rules, packets.udp(switch, other, 40000, 514)) == ""


@FAMILIES
def test_what_switches_open_to_a_tcp_port_of_a_manager_passes_and_no_other_hosts_connection(
    host: str, switch: str, other: str
) -> None:
    rules = rules_for(ev.Remote(ip_address(host), 6640, ev.RemoteKind.MANAGER).endpoint)

    assert taken_by(rules, packets.tcp(switch, host, 40000, 6640)) == "o"
    assert taken_by(rules, packets.tcp(host, switch, 6640, 40000)) == "p"
    assert taken_by(rules, packets.tcp(other, host, 40000, 6640)) == ""
    assert taken_by(rules, packets.tcp(host, other, 6640, 40000)) == ""
    assert taken_by(rules, packets.tcp(switch, host, 40000, 6641)) == ""
    assert taken_by(rules, packets.udp(switch, host, 40000, 6640)) == ""


@FAMILIES
@pytest.mark.parametrize("protocol", Protocol)
def test_what_a_manager_opens_to_a_port_of_switches_passes_with_the_answers(
    host: str, switch: str, other: str, protocol: Protocol
) -> None:
    rules = rules_for(udp_to(host, protocol, 22, calls=True))
    build = packets.tcp if protocol is Protocol.TCP else packets.udp
    wrong = packets.udp if protocol is Protocol.TCP else packets.tcp

    assert taken_by(rules, build(host, switch, 40000, 22)) == "q"
    assert taken_by(rules, build(switch, host, 22, 40000)) == "r"
    assert taken_by(rules, build(host, other, 40000, 22)) == ""
    assert taken_by(rules, build(other, host, 22, 40000)) == ""
    assert taken_by(rules, build(other, switch, 40000, 22)) == ""
    assert taken_by(rules, build(host, switch, 40000, 23)) == ""
    assert taken_by(rules, build(host, switch, 22, 40000)) == ""
    assert taken_by(rules, build(switch, host, 40000, 22)) == ""
    assert taken_by(rules, wrong(host, switch, 40000, 22)) == ""


@FAMILIES
def test_a_manager_that_calls_may_ping_and_nobody_else(host: str, switch: str, other: str) -> None:
    rules = rules_for(udp_to(host, Protocol.TCP, 22, calls=True))

    assert taken_by(rules, packets.icmp_echo(host, switch)) == "s"
    assert taken_by(rules, packets.icmp_echo(switch, host, reply=True)) == "t"
    assert taken_by(rules, packets.icmp_echo(switch, host)) == ""
    assert taken_by(rules, packets.icmp_echo(host, other)) == ""
    assert taken_by(rules, packets.icmp_echo(other, switch)) == ""
    assert taken_by(rules_for(udp_to(host)), packets.icmp_echo(host, switch)) == ""


def test_all_pieces_of_a_datagram_pass_and_those_of_other_protocols_do_not() -> None:
    rules = rules_for(udp_to(HOST), udp_to(HOST, Protocol.UDP, 161, calls=True))

    def piece(frame: bytes) -> bytes:
        return frame[:20] + LATER_FRAGMENT.to_bytes(2, "big") + frame[22:]

    assert taken_by(rules, piece(packets.udp(SWITCH, HOST))) == "or"
    assert taken_by(rules, piece(packets.udp(HOST, SWITCH))) == "pq"
    assert taken_by(rules, piece(packets.tcp(HOST, SWITCH))) == ""
    assert taken_by(rules, piece(packets.udp(OTHER, SWITCH))) == ""


def test_two_ports_of_one_manager_share_what_does_not_name_the_port() -> None:
    rules = rules_for(udp_to(HOST, port=514), udp_to(HOST, port=123))

    assert len({(rule.priority, rule.match) for rule in rules}) == len(rules)
    assert {rule.subject for rule in rules if rule.letter == "o"} == {
        f"udp:{HOST}:514",
        f"udp:{HOST}:123",
        HOST,  # fragments
    }


def test_a_network_that_calls_is_taken_by_its_length_and_by_arp_where_it_is_ours_too() -> None:
    far = Endpoint(ip_address("192.0.2.0"), 22, Protocol.TCP, True, 24)
    near = Endpoint(ip_address("10.0.0.0"), 22, Protocol.TCP, True, 16)
    rules = rules_for(far, near)

    assert taken_by(rules, packets.tcp("192.0.2.77", SWITCH, 40000, 22)) == "q"
    assert taken_by(rules, packets.tcp("192.0.3.77", SWITCH, 40000, 22)) == ""
    assert taken_by(rules, packets.arp_request("10.0.0.99", BEHIND)) == "v"
    assert taken_by(rules, packets.arp_reply(BEHIND, "10.0.0.99")) == "v"
    assert taken_by(rules, packets.arp_request("10.0.1.99", BEHIND)) == ""
    assert taken_by(rules, packets.arp_request("192.0.2.77", BEHIND)) == ""
    assert {rule.subject for rule in rules if rule.letter == "v"} == {"10.0.0.0/24"}


def test_a_network_of_ipv6_that_calls_is_found_by_neighbour_discovery() -> None:
    rules = rules_for(Endpoint(ip_address("2001:db8::"), 22, Protocol.TCP, True, 48))

    assert taken_by(rules, packets.neighbour_solicitation("2001:db8::99", "2001:db8::3")) == "v"
    assert taken_by(rules, packets.neighbour_advertisement("2001:db8::3", "2001:db8::99")) == "v"
    assert taken_by(rules, packets.neighbour_solicitation("2001:db8:7::99", "2001:db8::3")) == ""


def test_the_networks_of_the_switches_come_and_go_with_their_rules() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    caller = ev.Remote(ip_address(HOST), 22, ev.RemoteKind.MANAGER, calls=True)

    without = engine.handle(ev.RemotesChanged(added=[caller]), 0.0)
    came = engine.handle(ev.NetworksChanged(NETWORKS), 1.0)
    same = engine.handle(ev.NetworksChanged(NETWORKS), 2.0)
    gone = engine.handle(ev.NetworksChanged(frozenset()), 3.0)

    assert isinstance(without[0], ev.InstallRules)
    assert {rule.letter for rule in without[0].rules} == set("fgjk")
    assert isinstance(came[0], ev.InstallRules)
    assert {rule.letter for rule in came[0].rules} == set("qrstu")
    assert same == []
    assert isinstance(gone[0], ev.RemoveRules)
    assert set(gone[0].rules) == set(came[0].rules)


def test_a_network_that_is_on_link_has_no_next_hop_and_one_behind_a_gateway_has_the_gateway() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    near = ev.Remote(ip_address("10.0.0.0"), 22, ev.RemoteKind.MANAGER, calls=True, length=24)
    far = ev.Remote(ip_address("192.0.2.0"), 22, ev.RemoteKind.MANAGER, calls=True, length=24)
    gateway = ip_address("10.0.0.254")

    asked = engine.handle(ev.RemotesChanged(added=[near, far]), 0.0)
    on_link = engine.handle(NextHopFound(ip_address("10.0.0.1"), NextHop(7, "br0", ip_address("10.0.0.1"))), 0.0)
    behind = engine.handle(NextHopFound(ip_address("192.0.2.1"), NextHop(7, "br0", gateway)), 0.0)

    assert asked == [ev.LookUpNextHop(ip_address("10.0.0.1")), ev.LookUpNextHop(ip_address("192.0.2.1"))]
    assert on_link == []
    assert isinstance(behind[0], ev.InstallRules)
    assert {(rule.letter, rule.subject) for rule in behind[0].rules} == {(each, str(gateway)) for each in "fgjk"}
