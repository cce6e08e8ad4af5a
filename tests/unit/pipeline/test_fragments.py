"""How flows match fragments of IP, in each way that SET_CONFIG knows."""

from __future__ import annotations

import pytest

from inband.flow.actions import Output
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import TABLE
from inband.packet.parse import parse
from inband.pipeline.trace import Trace
from inband.table.flow_table import TableMiss
from inband.testing import packets
from inband.vocabulary.openflow import ConfigFlags
from tests.unit.pipeline.scene import P2, P3, A, B, Scene, out

WHOLE = packets.tcp(dst_port=80, src=A, dst=B)
TCP = Match.of(eth_type=0x0800, ip_proto=6)
WEB = TCP.with_field("tcp_dst", 80)
NORMAL, DROP, NX_MATCH = ConfigFlags.FRAG_NORMAL, ConfigFlags.FRAG_DROP, ConfigFlags.FRAG_NX_MATCH
IP_FRAG = FIELDS["ip_frag"]


def piece(word: int, whole: bytes = WHOLE) -> bytes:
    """A frame as a fragment: the word of its IPv4 header that says so."""
    return whole[:20] + word.to_bytes(2, "big") + whole[22:]


FIRST, LATER = piece(0x2000), piece(0x0009)


def scene(handling: ConfigFlags, *, miss: TableMiss = TableMiss.DROP) -> Scene:
    """Port 80 to port 2, and what else is TCP to port 3."""
    made = Scene(miss=miss)
    made.tables.fragments = handling
    made.flow(Output(P2), match=WEB, priority=2)
    made.flow(Output(P3), match=TCP, priority=1)
    return made


@pytest.mark.parametrize(
    ("handling", "whole", "first", "later"),
    [
        (NORMAL, out(P2), out(P3), out(P3)),
        (NX_MATCH, out(P2), out(P2), out(P3)),
        (DROP, out(P2), (), ()),
    ],
)
def test_pieces_of_a_packet_fare_as_configured(
    handling: ConfigFlags, whole: tuple[Output, ...], first: tuple[Output, ...], later: tuple[Output, ...]
) -> None:
    switch = scene(handling)

    assert [switch.actions(frame) for frame in (WHOLE, FIRST, LATER)] == [whole, first, later]


@pytest.mark.parametrize("handling", [NORMAL, DROP, NX_MATCH])
def test_no_decision_about_a_whole_packet_serves_a_fragment(handling: ConfigFlags) -> None:
    decision = scene(handling).receive(WHOLE)

    assert decision.cacheable
    assert IP_FRAG.get(decision.mask) == IP_FRAG.all_ones


def test_what_does_not_look_at_ports_serves_fragments_too() -> None:
    switch = Scene()
    switch.flow(Output(P2), match=Match.of(eth_type=0x0800))

    assert IP_FRAG.get(switch.receive(WHOLE).mask) == 0


def test_a_flow_for_port_0_matches_fragments_as_in_open_vswitch() -> None:
    switch = scene(NORMAL)
    switch.flow(Output(P3), Output(P2), match=TCP.with_field("tcp_dst", 0), priority=3)

    assert switch.actions(FIRST) == switch.actions(LATER) == out(P3, P2)


def test_flows_may_ask_for_fragments_themselves() -> None:
    switch = scene(NORMAL)
    for word, port in ((1, P3), (3, P2)):
        switch.flow(Output(port), match=Match.of(eth_type=0x0800, ip_frag=word), priority=9)

    assert [switch.actions(frame) for frame in (FIRST, LATER)] == [out(P3), out(P2)]


def test_icmp_types_are_none_of_a_fragments() -> None:
    switch = Scene()
    switch.flow(Output(P2), match=Match.of(eth_type=0x0800, ip_proto=1, icmpv4_type=8))
    echo = packets.icmp_echo(src=A, dst=B)

    assert [switch.actions(frame) for frame in (echo, piece(0x2000, echo))] == [out(P2), ()]


def test_a_dropped_fragment_is_no_miss_and_says_why() -> None:
    switch = scene(DROP, miss=TableMiss.CONTROLLER)

    decision = switch.receive(piece(0x2000, packets.udp(src=A, dst=B)))

    assert decision.actions == ()
    assert decision.drop_reason == "fragments are dropped, as a controller configured"


@pytest.mark.parametrize("handling", [NORMAL, DROP, NX_MATCH])
def test_in_band_control_sees_what_a_fragment_carries_whatever_a_controller_configures(handling: ConfigFlags) -> None:
    switch = scene(handling)
    hidden = switch.in_band(WEB)
    switch.knows(B, P3)

    decision = switch.receive(FIRST, trace=Trace())

    assert decision.hidden is hidden
    assert decision.actions == out(P3)


def test_a_packet_out_to_table_fares_as_a_received_packet() -> None:
    assert scene(NORMAL).packet_out(FIRST, Output(TABLE)) == out(P3)
    assert scene(DROP).packet_out(FIRST, Output(TABLE)) == ()


def test_the_pieces_are_what_they_are_meant_to_be() -> None:
    assert [IP_FRAG.get(parse(frame, 1)) for frame in (WHOLE, FIRST, LATER)] == [0, 1, 3]
