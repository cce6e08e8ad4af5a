"""What configures a switch behind this one reaches it past the flow tables, and no one else by that."""

from __future__ import annotations

import pytest

from inband.control.rules import for_client
from inband.flow.actions import Output, SetField
from inband.flow.ports import LOCAL, PortNo
from inband.packet.parse import parse
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.unit.pipeline.scene import P1, P2, P3, Scene, out

THEM, OTHERS = "02:00:00:00:00:0d", "02:00:00:00:00:0e"
LOCAL_MAC = "02:00:00:00:00:01"
ALL_NODES = "33:33:00:00:00:01"


def behind(port: PortNo = P2, *more: tuple[str, PortNo]) -> Scene:
    """A switch whose policy drops all, with a switch that asks behind a port."""
    scene = Scene()
    scene.flow(priority=0xFFFF)
    scene.pipeline.clients.ports = {Mac.parse(THEM): port} | {Mac.parse(mac): at for mac, at in more}
    scene.pipeline.places.trusted = frozenset((P2, P3))
    for rule in for_client(Mac.parse(THEM)):
        scene.hidden(rule.match, rule.priority, rule.origin)
    return scene


def dhcpv6_reply(to: str) -> bytes:
    return packets.udp("fe80::1", "fe80::d", 547, 546, b"\x02\0\0\1", dst=to)


def test_a_dhcp_reply_for_it_leaves_by_its_port_alone() -> None:
    scene = behind()

    assert scene.actions(packets.dhcp_reply(chaddr=THEM)) == out(P2)
    assert scene.actions(packets.dhcp_reply(chaddr=OTHERS)) == ()
    assert scene.actions(packets.dhcp_reply(chaddr=THEM), P2, 9.0) == ()
    assert scene.actions(packets.dhcp_reply(chaddr="02:00:00:00:00:01")) == out(LOCAL)
    assert not scene.receive(packets.dhcp_reply(chaddr=THEM), P1, 20.0).cacheable


def test_it_leaves_by_the_port_where_it_was_heard_rather_than_by_the_one_that_told_of_it() -> None:
    scene = behind()
    scene.knows(THEM, P3)

    assert scene.actions(packets.dhcp_reply(chaddr=THEM)) == out(P3)


def test_a_dhcpv6_reply_and_an_advertisement_for_it_do_so_too() -> None:
    scene = behind()

    assert scene.actions(dhcpv6_reply(THEM)) == out(P2)
    assert scene.actions(dhcpv6_reply(OTHERS)) == ()
    assert scene.actions(packets.router_advertisement(dst=THEM)) == out(P2)


def test_an_advertisement_to_all_leaves_by_each_port_with_such_a_switch_once() -> None:
    scene = behind(P2, (OTHERS, P3))
    frame = packets.router_advertisement(dst=ALL_NODES)

    assert set(scene.actions(frame)) == set(out(P2, P3))
    assert scene.actions(frame, P3, 1.1) == ()  # it came round
    assert scene.actions(frame, P3, 2.0) == out(P2)


def test_no_port_gets_it_twice_where_the_flow_table_sends_it_as_well() -> None:
    scene = behind()
    scene.flow(Output(P2), Output(P3), priority=0xFFFF)

    assert scene.actions(packets.dhcp_reply(chaddr=THEM)) == out(P2, P3)

    scene.flow(SetField("eth_src", 5), Output(P2), priority=0xFFFF)
    assert scene.actions(packets.dhcp_reply(chaddr=THEM), P1, 9.0)[0] == Output(P2)


def test_a_trace_changes_nothing_and_says_why() -> None:
    scene, trace = behind(), Trace()

    first = scene.receive(packets.dhcp_reply(chaddr=THEM), P1, trace=trace)

    assert first.actions == scene.actions(packets.dhcp_reply(chaddr=THEM)) == out(P2)
    assert "a switch behind this one" in str(trace.steps)


def test_without_such_a_switch_no_decision_depends_on_it() -> None:
    scene, with_one = behind(), behind()
    scene.pipeline.clients.ports = {}
    frame = packets.udp("10.0.0.1", "10.0.0.2", 5, 6, b"", dst=LOCAL_MAC)

    assert scene.actions(packets.dhcp_reply(chaddr=THEM)) == ()
    assert scene.receive(frame).mask & ~with_one.receive(frame).mask == 0


def test_a_cached_decision_hides_no_reply() -> None:
    scene = behind()
    other = packets.udp("10.0.0.1", "10.0.0.2", 67, 69, b"", dst=THEM)
    mask = scene.receive(other).mask

    assert parse(other, P1) & mask != parse(packets.udp("10.0.0.1", "10.0.0.2", 67, 68, b"", dst=THEM), P1) & mask
    assert parse(other, P1) & mask != parse(dhcpv6_reply(THEM), P1) & mask


@pytest.mark.parametrize(
    "frame",
    [
        packets.dhcp_request(chaddr=THEM, src=THEM),
        packets.udp("fe80::d", "ff02::1:2", 546, 547, b"\1", src=THEM, dst="33:33:00:01:00:02"),
        packets.router_solicitation(src=THEM),
    ],
    ids=["dhcp", "dhcpv6", "solicitation"],
)
def test_what_it_asks_passes_where_a_neighbour_of_the_key_is_and_nowhere_else(frame: bytes) -> None:
    scene, trace = behind(), Trace()

    assert set(scene.actions(frame, P2)) == set(out(P1, P3, LOCAL))
    assert scene.actions(frame, P1, 9.0) == ()
    scene.receive(frame, P1, 9.0, trace=trace)
    assert "(w) does not apply: no neighbour of the network's key is on this port" in str(trace.steps)


def test_what_others_ask_is_data() -> None:
    scene = behind()

    assert scene.actions(packets.dhcp_request(chaddr=OTHERS, src=OTHERS), P2) == ()
