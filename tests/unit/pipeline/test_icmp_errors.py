"""ICMP errors about protected connections pass whatever the flow tables say, and no others do: rule (u)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from inband.control.endpoints import Endpoint, Protocol
from inband.control.rules import State, instructions, wanted
from inband.flow.flow import Flow
from inband.flow.ports import LOCAL
from inband.packet import encode
from inband.pipeline.icmp_hook import quoted_packet
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import parse_ip
from tests.unit.pipeline.scene import P2, US, A, B, Scene, out

SWITCH, BEHIND, CONTROLLER, ROUTER = "10.0.0.1", "10.0.0.3", "192.0.2.1", "10.9.9.9"
SWITCH6, CONTROLLER6, ROUTER6 = "2001:db8::1", "2001:db8:1::1", "2001:db8:9::9"
FAMILIES = pytest.mark.parametrize(
    ("switch", "controller", "router"), [(SWITCH, CONTROLLER, ROUTER), (SWITCH6, CONTROLLER6, ROUTER6)]
)


def dropping() -> Scene:
    """A switch whose controller drops everything, with the rules of a few remotes; another switch is B on port 2."""
    scene = Scene()
    scene.knows(B, P2)
    scene.flow(priority=65535)
    addresses = [parse_ip(each) for each in (CONTROLLER, CONTROLLER6)]
    endpoints = [Endpoint(address, 6653) for address in addresses]
    endpoints += [Endpoint(address, 22, calls=True) for address in addresses]
    endpoints += [Endpoint(address, 514, Protocol.UDP) for address in addresses]
    networks = frozenset({ip_network("10.0.0.0/24"), ip_network("2001:db8::/64")})
    state = State(True, None, frozenset(endpoints), frozenset(), frozenset(), networks=networks)
    for rule in wanted(state):
        scene.tables.install_hidden(Flow(rule.match, rule.priority, instructions(None), origin=rule.origin))
    return scene


def error(about: bytes, *, kind: int | None = None, to: str = US, receiver: str = "", size: int | None = None) -> bytes:
    """What a router says about a frame; it quotes 28 bytes of IPv4, all of IPv6, unless ``size`` says how many."""
    quote = about[14:]
    if quote[0] >> 4 == 4:
        sender, source = ip_address(quote[12:16]), ip_address(ROUTER)
        to_host = parse_ip(receiver) if receiver else sender
        message = encode.icmpv4(
            3 if kind is None else kind, 4, bytes(2) + (1400).to_bytes(2, "big") + quote[: size or 28]
        )
        packet = encode.ip(source, to_host, 1, message)
    else:
        sender, source = ip_address(quote[8:24]), ip_address(ROUTER6)
        to_host = parse_ip(receiver) if receiver else sender
        body = (1400).to_bytes(4, "big") + quote[:size]
        packet = encode.ip(source, to_host, 58, encode.icmpv6(source, to_host, 2 if kind is None else kind, 0, body))
    return packets.ethernet(encode.eth_type_of(source), packet, src=A, dst=to)


@FAMILIES
def test_an_error_about_the_channel_reaches_local_and_nobody_else(switch: str, controller: str, router: str) -> None:
    answer = dropping().receive(error(packets.tcp(switch, controller, 40000, 6653, bytes(1400))))

    assert answer.actions == out(LOCAL)
    assert not answer.cacheable
    assert answer.hidden is not None
    assert answer.hidden.origin is not None
    assert answer.hidden.origin.letter == "u"


@FAMILIES
def test_so_do_errors_about_managers_connections(switch: str, controller: str, router: str) -> None:
    scene = dropping()

    assert scene.actions(error(packets.tcp(switch, controller, 22, 50000, bytes(1400)))) == out(LOCAL)
    assert scene.actions(error(packets.udp(switch, controller, 50000, 514, bytes(900)))) == out(LOCAL)
    assert scene.actions(error(packets.udp(switch, controller, 50000, 514), kind=3 if ":" not in switch else 1)) == out(
        LOCAL
    )


def test_an_error_for_a_switch_behind_goes_there() -> None:
    frame = error(packets.tcp(BEHIND, CONTROLLER, 40000, 6653, bytes(1400)), to=B)

    assert dropping().actions(frame) == out(P2)


@FAMILIES
def test_errors_about_anything_else_are_the_controllers_business(switch: str, controller: str, router: str) -> None:
    scene = dropping()
    quoted = packets.tcp(switch, controller, 40000, 6653, bytes(1400))

    assert scene.actions(error(packets.tcp(switch, controller, 40000, 80))) == ()
    assert scene.actions(error(packets.tcp(switch, router, 40000, 6653))) == ()
    assert scene.actions(error(packets.udp(switch, controller, 40000, 6653))) == ()
    assert scene.actions(error(quoted, receiver="10.0.0.77" if ":" not in switch else "2001:db8::77")) == ()
    assert scene.actions(error(quoted, kind=11 if ":" not in switch else 3)) == ()
    assert scene.actions(error(packets.arp_request(), receiver=SWITCH)) == ()


@FAMILIES
def test_a_quote_that_is_cut_is_none(switch: str, controller: str, router: str) -> None:
    scene = dropping()
    quoted = packets.tcp(switch, controller, 40000, 6653, bytes(40))
    least = 24 if ":" not in switch else 44  # the IP header and the ports

    for size in range(1, len(quoted) - 14):
        assert scene.actions(error(quoted, size=size)) == (out(LOCAL) if size >= least else ())


def test_in_another_vlan_the_quoted_packet_is_another_one() -> None:
    frame = error(packets.tcp(SWITCH, CONTROLLER, 40000, 6653))

    tagged = quoted_packet(packets.vlan(frame, 7))

    assert tagged is not None
    assert tagged != quoted_packet(frame)


def test_no_bytes_make_it_raise() -> None:
    frame = error(packets.tcp(SWITCH, CONTROLLER, 40000, 6653))

    for size in range(len(frame)):
        quoted_packet(frame[:size])
    assert quoted_packet(error(packets.tcp(SWITCH, CONTROLLER), size=20) + bytes(70000)) is not None


def test_a_trace_says_why_an_error_is_not_taken() -> None:
    scene, trace = dropping(), Trace()

    scene.receive(error(packets.tcp(SWITCH, CONTROLLER, 40000, 80)), trace=trace)

    assert "(u) does not apply: this quotes no packet of a protected connection" in str(trace.steps)
