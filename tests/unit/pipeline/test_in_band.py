"""Control before data: closed ports, rings, and DHCP replies."""

from __future__ import annotations

import pytest

from inband.flow.actions import Output, SetField, ToController
from inband.flow.fields import FIELDS
from inband.flow.match import ANY, Match
from inband.flow.origin import Origin, Owner
from inband.flow.ports import CONTROLLER, LOCAL, NORMAL, PortNo
from inband.flow.priority import HiddenPriority
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.fdb import FdbKey
from inband.pipeline.ports import SwitchPort
from inband.pipeline.storm import MAX_FRAMES, MAX_PROVEN, WINDOW_S, StormGuard
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP
from inband.vocabulary.openflow import PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, C, Scene, out

ARP = Match.of(eth_type=ETH_ARP)
CLOSED = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD | PortConfig.NO_FLOOD


def request(n: int = 1) -> bytes:
    """An ARP request from A; each ``n`` gives another frame."""
    return packets.arp_request("10.0.0.1", f"10.0.{n >> 8}.{n & 255}", src=A)


# --- port configuration -------------------------------------------------------------------------------------------


def test_control_passes_ports_that_are_closed_on_the_way_in_and_out() -> None:
    scene = Scene()
    decider = scene.in_band(ARP)
    for port in (P1, P2, P3, LOCAL):
        scene.configure(port, CLOSED)

    answer = scene.receive(request(), P1)

    assert answer.actions == out(P2, P3, LOCAL)
    assert answer.hidden is decider


def test_data_on_the_same_ports_does_not_pass() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.flow(Output(NORMAL))
    scene.configure(P1, CLOSED)

    assert scene.actions(packets.tcp(src=A, dst=B), P1) == ()


def test_control_to_a_known_host_passes_a_closed_port() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.knows(A, P2)
    scene.configure(P2, CLOSED)

    assert scene.actions(packets.arp_reply(src=US, dst=A), LOCAL) == out(P2)


def test_the_learning_switch_of_fail_mode_standalone_obeys_port_configuration() -> None:
    scene = Scene()
    origin = Origin(Owner.FAIL_MODE, "standalone", "fail mode", overrides_ports=False)
    scene.hidden(ANY, HiddenPriority(100_000), origin)
    scene.configure(P2, CLOSED)

    assert scene.actions(packets.tcp(src=A, dst=B), P1) == out(P3, LOCAL)
    assert scene.actions(packets.tcp(src=B, dst=A), P2) == ()


def test_control_overrides_the_controllers_highest_priority() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.flow(priority=65535)

    assert scene.actions(request()) == out(P2, P3, LOCAL)
    assert scene.actions(packets.tcp()) == ()


def test_without_hidden_flows_the_controllers_policy_is_all_there_is() -> None:
    scene = Scene()
    scene.in_band(ARP)
    frame = Frame(request())

    answer = scene.pipeline.translate(parse(frame.data, 1), frame, 1.0, hidden=False)

    assert (answer.actions, answer.hidden) == ((), None)


# --- rings --------------------------------------------------------------------------------------------------------


def test_a_flooded_control_frame_that_comes_round_is_neither_flooded_nor_learned_from() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.receive(request(), P1, 1.0)

    copy = scene.receive(request(), P2, 1.1)

    assert copy.actions == ()
    assert not copy.cacheable
    assert copy.drop_reason == "the same frame was flooded a moment ago"
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 1.1) == P1
    assert scene.pipeline.counters == {"storm_guard_dropped": 1}


def test_floods_of_control_are_never_cached() -> None:
    scene = Scene()
    scene.in_band(ARP)

    assert not scene.receive(request()).cacheable


def test_a_retry_after_the_window_is_flooded_again() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.receive(request(), P1, 1.0)

    assert scene.actions(request(), P1, 1.001 + WINDOW_S) == out(P2, P3, LOCAL)


def test_another_frame_is_flooded_meanwhile() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.receive(request(1), P1, 1.0)

    assert scene.actions(request(2), P2, 1.0) == out(P1, P3, LOCAL)


def test_data_floods_are_the_controllers_matter() -> None:
    scene = Scene()
    scene.flow(Output(NORMAL))
    scene.receive(request(), P1, 1.0)

    assert scene.actions(request(), P2, 1.0) == out(P1, P3, LOCAL)


def test_control_does_not_move_a_host_that_was_just_heard_elsewhere() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.knows(A, P1, now=1.0)
    scene.knows(B, P3, now=1.0)

    held = scene.receive(packets.arp_reply(src=A, dst=B), P2, 1.2)

    assert held.actions == out(P3)
    assert not held.cacheable
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 1.2) == P1


def test_control_moves_a_host_that_was_not_heard_for_a_while() -> None:
    scene = Scene()
    scene.in_band(ARP)
    scene.knows(A, P1, now=1.0)

    scene.receive(packets.arp_reply(src=A, dst=C), P2, 2.0)

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 2.0) == P2


def test_the_storm_guard_remembers_a_bounded_number_of_frames() -> None:
    guard = StormGuard()
    remembered = [guard.remember(number.to_bytes(4, "big"), 1.0) for number in range(2 * MAX_FRAMES)]

    assert sum(remembered) == MAX_FRAMES
    assert guard.has_flooded(bytes(4), 1.0)
    assert guard.remember(bytes(5), 1.001 + WINDOW_S)


def test_a_storm_leaves_room_in_the_guard_for_what_proven_stations_send() -> None:
    guard = StormGuard()
    for number in range(MAX_FRAMES):
        guard.remember(number.to_bytes(4, "big"), 1.0)

    remembered = [guard.remember(number.to_bytes(5, "big"), 1.0, is_proven=True) for number in range(MAX_PROVEN)]

    assert sum(remembered) == MAX_PROVEN - MAX_FRAMES
    assert guard.has_flooded(bytes(5), 1.0)


def test_what_the_guard_cannot_remember_is_not_flooded() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="c")
    ports = [PortNo(10 + number // 200) for number in range(MAX_FRAMES + 10)]  # each within its budget
    for port in set(ports):
        scene.ports.put(SwitchPort(port, f"p{port}", Mac(0x020000002000 + port)))

    flooded = sum(scene.actions(request(number), port) != () for number, port in enumerate(ports))

    assert flooded == MAX_FRAMES
    assert scene.pipeline.counters["storm_guard_full"] == 10
    assert scene.actions(request(MAX_FRAMES + 20), LOCAL)[:3] == out(P1, P2, P3)


# --- DHCP ---------------------------------------------------------------------------------------------------------


def test_a_dhcp_reply_for_the_local_mac_reaches_local_whatever_the_table_says() -> None:
    scene = Scene()
    scene.flow(Output(P2), priority=65535)

    answer = scene.receive(packets.dhcp_reply(chaddr=US), P1)

    assert answer.actions == out(LOCAL, P2)
    assert not answer.cacheable


def test_a_dhcp_reply_for_somebody_else_gets_no_help_and_is_not_cached() -> None:
    scene = Scene()
    scene.flow(Output(P2))

    answer = scene.receive(packets.dhcp_reply(chaddr=B), P1)

    assert answer.actions == out(P2)
    assert not answer.cacheable


def test_a_dhcp_reply_that_reaches_local_anyway_is_delivered_once_and_may_be_cached() -> None:
    scene = Scene()
    scene.flow(Output(NORMAL))

    answer = scene.receive(packets.dhcp_reply(chaddr=US), P1)

    assert answer.actions == out(P2, P3, LOCAL)
    assert answer.cacheable


def test_local_gets_the_reply_as_it_came_when_the_table_sends_it_a_changed_one() -> None:
    scene = Scene()
    change = SetField("udp_dst", 9)
    scene.flow(change, Output(LOCAL))

    assert scene.actions(packets.dhcp_reply(chaddr=US)) == (Output(LOCAL), change, Output(LOCAL))


def test_dhcp_replies_are_helped_on_closed_ports_and_not_in_other_vlans_than_controls() -> None:
    scene = Scene()
    scene.configure(P1, CLOSED)
    scene.configure(LOCAL, CLOSED)

    assert scene.actions(packets.dhcp_reply(chaddr=US)) == out(LOCAL)
    assert scene.actions(packets.vlan(packets.dhcp_reply(chaddr=US), 7)) == ()


def test_with_in_band_control_off_dhcp_is_data() -> None:
    scene = Scene()
    scene.pipeline.in_band = False

    assert scene.actions(packets.dhcp_reply(chaddr=US)) == ()


@pytest.mark.parametrize(
    "frame",
    [
        packets.arp_request(),
        packets.tcp(dst_port=68),
        packets.udp(src_port=67, dst_port=67),
        packets.udp(src_port=68, dst_port=68),
        packets.udp(src_port=40000, dst_port=5353),
        packets.icmp_echo(packets.IP6_A, packets.IP6_B),
    ],
)
def test_a_cached_decision_cannot_catch_a_dhcp_reply(frame: bytes) -> None:
    scene = Scene()
    scene.flow(priority=65535)
    reply = packets.dhcp_reply(chaddr=US)

    decision = scene.receive(frame, P1)

    assert decision.cacheable
    assert (parse(frame, 1) ^ parse(reply, 1)) & decision.mask


def test_what_shows_that_a_packet_is_no_dhcp_reply_is_not_its_whole_port() -> None:
    scene = Scene()
    scene.flow(priority=65535)

    mask = scene.receive(packets.udp(src_port=40000, dst_port=5353)).mask

    assert FIELDS["udp_dst"].get(mask) | FIELDS["udp_src"].get(mask) == 0xF000


def test_a_dhcp_reply_to_the_controller_reaches_local_too() -> None:
    scene = Scene()
    scene.flow(Output(CONTROLLER), priority=65535)

    actions = scene.actions(packets.dhcp_reply(chaddr=US))

    assert actions[0] == Output(LOCAL)
    assert isinstance(actions[1], ToController)
