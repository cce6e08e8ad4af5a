"""Where 1.0 and 1.3 differ, and what happens to values that only one of them can say."""

from __future__ import annotations

import struct

import pytest

from inband.errors import UsageError
from inband.flow import actions as a
from inband.flow import ports
from inband.flow.fields import FIELDS
from inband.flow.match import NO_SURPLUS, Match, Surplus
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.codec import decode, encode
from inband.openflow.layout import narrow_port, widen_port
from inband.openflow.match10 import decode_flow_match10, decode_match10, encode_match10
from inband.openflow.oxm import decode_fields, encode_fields
from inband.openflow.wire_fields import WIRE_FIELDS, field_header
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import (
    ERROR_TYPE,
    BadAction,
    BadMatch,
    BadRequest,
    ErrorCode,
    ErrorType,
    FlowModFailed,
    OnfError,
    PortModFailed,
)


def through(message: m.Message, version: int = OFP10) -> m.Message:
    """What a message is after it went over the wire."""
    return decode(encode(m.Envelope(version, 1, message))).message


@pytest.mark.parametrize("port", [ports.LOCAL, ports.CONTROLLER, ports.ANY, ports.MAX, PortNo(0xFEFF), PortNo(1)])
def test_reserved_ports_have_16_bits_in_1_0_and_32_above(port: PortNo) -> None:
    assert narrow_port(port) <= 0xFFFF
    assert widen_port(narrow_port(port)) == port


def test_a_port_that_1_0_cannot_name_is_refused() -> None:
    with pytest.raises(UsageError):
        encode(m.Envelope(OFP10, 1, m.PacketOut(PortNo(70000), ())))


@pytest.mark.parametrize("action", [a.Group(1), a.PushPbb(), a.CopyTtlIn(), a.Output(PortNo(70000))], ids=repr)
def test_an_action_that_1_0_has_no_form_for_is_refused_but_left_out_of_a_dump(action: a.Action) -> None:
    instructions = (a.ApplyActions((action, a.Output(PortNo(1)))),)
    flow = mp.FlowStats(0, Match(), OpenFlowPriority(1), instructions)

    dumped = through(mp.FlowStatsReply((flow,)))

    assert isinstance(dumped, mp.FlowStatsReply)
    assert dumped.entries[0].instructions == (a.ApplyActions((a.Output(PortNo(1)),)),)
    with pytest.raises(UsageError):
        encode(m.Envelope(OFP10, 1, m.FlowMod(c.FlowModCommand.ADD, instructions=instructions)))


def test_a_goto_is_a_resubmit_in_1_0() -> None:
    flow = mp.FlowStats(0, Match(), OpenFlowPriority(1), (a.GotoTable(4),))

    dumped = through(mp.FlowStatsReply((flow,)))

    assert isinstance(dumped, mp.FlowStatsReply)
    assert dumped.entries[0].instructions == (a.ApplyActions((a.Resubmit(None, 4),)),)


def test_a_queue_for_one_output_is_an_enqueue_and_others_are_nicira_s() -> None:
    alone = m.PacketOut(ports.ANY, (a.SetQueue(3), a.Output(ports.NORMAL), a.PopQueue()))
    one = m.PacketOut(ports.ANY, (a.SetQueue(3), a.Output(PortNo(1)), a.PopQueue()))

    assert len(encode(m.Envelope(OFP10, 1, one))) == 16 + 16
    assert len(encode(m.Envelope(OFP10, 1, alone))) == 16 + 16 + 8 + 16
    assert through(one) == one
    assert through(alone).actions == (a.SetQueue(3), a.Output(ports.NORMAL), a.PopQueue())  # type: ignore[union-attr]


def test_one_transport_port_alone_is_not_what_set_tp_means() -> None:
    both = m.PacketOut(ports.ANY, (a.SetField("tcp_src", 5), a.SetField("udp_src", 5)))
    one = m.PacketOut(ports.ANY, (a.SetField("tcp_src", 5),))

    assert len(encode(m.Envelope(OFP10, 1, both))) == 16 + 8
    assert through(both) == both
    assert through(one) == one


@pytest.mark.parametrize(
    ("kind", "code", "old"),
    [
        (ErrorType.FLOW_MOD_FAILED, FlowModFailed.TABLE_FULL, (3, 0)),
        (ErrorType.FLOW_MOD_FAILED, FlowModFailed.BAD_TIMEOUT, (3, 3)),
        (ErrorType.BAD_REQUEST, BadRequest.IS_SLAVE, (1, 5)),
        (ErrorType.PORT_MOD_FAILED, PortModFailed.BAD_PORT, (4, 0)),
    ],
)
def test_an_error_has_the_number_it_had_in_1_0(kind: ErrorType, code: ErrorCode, old: tuple[int, int]) -> None:
    data = encode(m.Envelope(OFP10, 1, m.Error(kind, code, b"x")))

    assert struct.unpack_from("!HH", data, 8) == old
    assert data[12:] == b"x"


@pytest.mark.parametrize(
    ("code", "version"),
    [
        (BadAction.MATCH_INCONSISTENT, OFP10),
        (BadMatch.BAD_FIELD, OFP10),
        (OnfError.DUP_INST, OFP13),
        (OnfError.BAD_SET_MASK, OFP13),
    ],
)
def test_an_error_in_a_vendors_words_is_read_as_it_was_meant(code: ErrorCode, version: int) -> None:
    error = m.Error(ERROR_TYPE[type(code)], code, b"x")

    assert through(error, version) == error


MATCHES_10 = {
    "untagged": Match.of(vlan_vid=0),
    "VLAN 5": Match.of(vlan_vid=0x1005),
    "VLAN 0, priority 3": Match.of(vlan_vid=0x1000, vlan_pcp=3),
    "any VLAN, priority 3": Match.of(vlan_vid=(0x1000, 0x1000), vlan_pcp=3),
    "ARP request for an address": Match.of(eth_type=0x0806, arp_op=1, arp_tpa=0x0A000001),
    "prefixes": Match.of(eth_type=0x0800, ipv4_src=(0x0A000000, 0xFFFFFFFE), ipv4_dst=(0x80000000, 0x80000000)),
    "ICMP": Match.of(eth_type=0x0800, ip_proto=1, icmpv4_type=8, icmpv4_code=0),
    "UDP with DSCP": Match.of(eth_type=0x0800, ip_dscp=46, ip_proto=17, udp_src=1, udp_dst=2),
    "TCP over IPv6": Match.of(eth_type=0x86DD, ip_dscp=8, ip_proto=6, tcp_src=1, tcp_dst=80),
    "ICMPv6": Match.of(eth_type=0x86DD, ip_proto=58, icmpv6_type=135, icmpv6_code=0),
    "SCTP": Match.of(eth_type=0x0800, ip_proto=132, sctp_dst=80),
    "frames without ethertype": Match.of(eth_type=0x05FF),
    "addresses of Ethernet, from LOCAL": Match.of(in_port=int(ports.LOCAL), eth_src=1, eth_dst=2),
}


@pytest.mark.parametrize("name", MATCHES_10)
def test_a_match_of_1_0_survives(name: str) -> None:
    assert decode_match10(encode_match10(MATCHES_10[name]), 0) == MATCHES_10[name]


@pytest.mark.parametrize(
    "match",
    [
        Match.of(eth_type=0x0800, tcp_dst=80),
        Match.of(eth_type=0x86DD, ipv6_src=1),
        Match.of(eth_type=0x0800, ipv4_src=(1, 0x00FF00FF)),
        Match.of(eth_type=0x0800, eth_src=(1, 1)),
        Match.of(eth_type=0x0800, in_port=70000),
        Match.of(eth_type=0x0800, vlan_pcp=3),
    ],
)
def test_what_1_0_cannot_say_is_left_out(match: Match) -> None:
    out = decode_match10(encode_match10(match), 0)

    assert out.covers(match)
    assert out != match


def test_what_decides_nothing_in_a_match_of_1_0_comes_back_as_it_was_sent() -> None:
    untagged, icmp = Match.of(vlan_vid=0), Match.of(eth_type=0x0800, ip_proto=1, icmpv4_type=0x2C, icmpv4_code=3)

    for match, surplus in ((untagged, Surplus(pcp=3)), (icmp, Surplus(tp_src=0x012C, tp_dst=0x0303))):
        assert decode_flow_match10(encode_match10(match, surplus), 0)[:2] == (match, surplus)
        assert decode_flow_match10(encode_match10(match), 0)[:2] == (match, NO_SURPLUS)


def test_of_a_vlan_and_its_priority_the_lower_bits_count() -> None:
    data = bytearray(encode_match10(Match.of(vlan_vid=0x1005, vlan_pcp=3)))
    data[18:21] = bytes.fromhex("f0050b")

    assert decode_match10(bytes(data), 0) == Match.of(vlan_vid=0x1005, vlan_pcp=3)


@pytest.mark.parametrize("command", c.FlowModCommand)
def test_a_flow_mod_of_1_0_without_wildcards_has_the_highest_priority(command: c.FlowModCommand) -> None:
    match = Match.of(
        in_port=1, eth_src=1, eth_dst=2, vlan_vid=0x1005, vlan_pcp=3, eth_type=0x0800, ip_dscp=0, ip_proto=17,
        ipv4_src=1, ipv4_dst=2, udp_src=3, udp_dst=4,
    )  # fmt: skip
    wider = Match(match.value & ~FIELDS["udp_dst"].mask, match.mask & ~FIELDS["udp_dst"].mask)

    for asked, priority in ((match, 0xFFFF), (wider, 5)):
        message = through(m.FlowMod(command, asked, OpenFlowPriority(5)))
        assert isinstance(message, m.FlowMod)
        assert (message.match, message.priority) == (asked, priority)


def test_address_bits_beyond_the_prefix_say_nothing() -> None:
    data = bytearray(encode_match10(Match.of(eth_type=0x0800, ipv4_src=(0x0A000000, 0xFFFFFF00))))
    data[31] = 0x77

    assert decode_match10(bytes(data), 0) == Match.of(eth_type=0x0800, ipv4_src=(0x0A000000, 0xFFFFFF00))


def test_every_field_of_a_key_has_a_form_on_the_wire() -> None:
    names = {row.name for row in WIRE_FIELDS}

    assert set(FIELDS) <= names
    assert len({row.header for row in WIRE_FIELDS}) == len(WIRE_FIELDS)


def test_headers_are_those_of_the_specification() -> None:
    assert field_header("in_port") == 0x80000004
    assert field_header("ipv4_src", masked=True) == 0x80001708
    assert field_header("ipv6_exthdr") == 0x80004E02
    assert field_header("reg7") == 0x00010E04


@pytest.mark.parametrize(
    ("tci", "mask"),
    [
        (0, 0xE000),
        (0x2000, 0xE000),
        (0x0050, 0xFFFF),
        (0x2000, 0xFFFF),
        (0x3005, 0xFFFF),
        (0x3000, 0xF000),
        (0, 0x1FFF),
    ],
)
def test_a_vlan_tci_that_oxm_cannot_say_stays_one_in_every_version(tci: int, mask: int) -> None:
    """OXM's priority needs a tag to be there, Nicira's TCI does not."""
    asked = bytes.fromhex("00000904") + tci.to_bytes(2, "big") + mask.to_bytes(2, "big")

    value, bits = decode_fields(asked, 0, len(asked))

    for nxm in (False, True):
        written = encode_fields(value, bits, nxm=nxm)
        assert decode_fields(written, 0, len(written)) == (value, bits)


def test_a_vlan_tci_of_zero_is_no_tag_and_no_priority() -> None:
    assert decode_fields(bytes.fromhex("000008020000"), 0, 6) == decode_fields(bytes.fromhex("80000c020000"), 0, 6)


def test_a_vlan_tci_is_the_vlan_and_its_priority() -> None:
    """NXM writes both in 16 bits; a key has them side by side (see oxm)."""
    assert FIELDS["vlan_pcp"].shift == FIELDS["vlan_vid"].shift + FIELDS["vlan_vid"].bits
    match = Match.of(vlan_vid=0x1005, vlan_pcp=3)

    data = encode(m.Envelope(OFP10, 1, mp.FlowStatsRequest(match=match, nicira=True)))

    assert data.endswith(bytes.fromhex("000008027005 0000"))
    assert through(mp.FlowStatsRequest(match=match, nicira=True), OFP13) == mp.FlowStatsRequest(match=match)
