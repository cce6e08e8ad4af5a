"""Actions in the program's words, and what it is not asked to do."""

from __future__ import annotations

import pytest

from inband.datapath.ebpf.layout import MAX_OPS, OP, OpKind
from inband.datapath.ebpf.ops import SEND_UP, compile_ops
from inband.flow.actions import (
    Clone,
    DatapathAction,
    DecNwTtl,
    Meter,
    Output,
    PacketInReason,
    PopQueue,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    ToController,
)
from inband.flow.ports import LOCAL, PortNo
from inband.vocabulary.addresses import Mac, parse_ip

P1, P2 = PortNo(1), PortNo(2)
SLOTS = {P1: 11, P2: 12, LOCAL: 13}
CONTROLLER = ToController(PacketInReason.ACTION, 0xFFFF, 0, 1)
MAC = SetField("eth_dst", Mac.parse("02:00:00:00:00:0c"))


def compiled(*actions: DatapathAction) -> list[tuple[int, int, int, int]]:
    return list(OP.iter_unpack(compile_ops(actions, lambda port: SLOTS.get(port, 0))))


def raw(action: DatapathAction) -> bytes:
    """The first op as bytes."""
    return compile_ops((action, Output(P1)), SLOTS.__getitem__)[: OP.size]


def output(slot: int) -> tuple[int, int, int, int]:
    return OpKind.OUTPUT, 0, slot, 0


def test_no_actions_are_no_ops() -> None:
    assert compiled() == []


def test_outputs_name_slots_and_a_port_that_is_nowhere_is_slot_0() -> None:
    assert compiled(Output(P1), Output(LOCAL), Output(PortNo(77))) == [output(11), output(13), output(0)]


def test_the_one_output_to_a_known_host_says_so_and_no_other_does() -> None:
    def known_unicast(*actions: DatapathAction) -> list[tuple[int, int, int, int]]:
        return list(OP.iter_unpack(compile_ops(actions, lambda port: SLOTS.get(port, 0), known_unicast=True)))

    assert known_unicast(Output(P1)) == [(OpKind.OUTPUT_UNICAST, 0, 11, 0)]
    assert known_unicast(Output(P1), Output(P2)) == [output(11), output(12)]
    assert known_unicast(PopVlan(), Output(P1)) == [(OpKind.POP_VLAN, 0, 0, 0), (OpKind.OUTPUT_UNICAST, 0, 11, 0)]
    assert known_unicast(CONTROLLER) == list(OP.iter_unpack(SEND_UP))
    assert known_unicast() == []


def metered(*actions: DatapathAction) -> list[tuple[int, int, int, int]]:
    """Ops where the program knows meter 1, which drops, and meter 2, which remarks."""
    return list(OP.iter_unpack(compile_ops(actions, SLOTS.__getitem__, meters={1: False, 2: True})))


def meter(number: int) -> tuple[int, int, int, int]:
    return OpKind.METER, 0, 0, number


UP = OP.unpack(SEND_UP)


def test_a_meter_that_the_program_knows_is_an_op_where_it_stands() -> None:
    assert metered(Meter(1), Output(P1)) == [meter(1), output(11)]
    assert metered(Output(P1), Meter(2), Output(P2)) == [output(11), meter(2), output(12)]
    assert metered(Meter(1)) == [meter(1)]
    assert metered(Meter(3), Output(P1)) == [UP]


def test_a_meter_in_a_copy_ends_only_the_copy() -> None:
    assert metered(Clone((Meter(1), Output(P1))), Output(P2)) == [UP]
    assert metered(Clone((Meter(1), Output(P1))), Meter(2)) == [UP]
    assert metered(Output(P2), Clone((Meter(1), Output(P1)))) == [output(12), meter(1), output(11)]


def test_what_goes_up_behind_a_meter_meets_it_first_unless_it_may_be_changed() -> None:
    assert metered(Meter(1), CONTROLLER) == [meter(1), UP]
    assert metered(Meter(1), *[Output(P1)] * MAX_OPS) == [meter(1), UP]
    assert metered(Meter(2), CONTROLLER) == [UP]
    assert metered(Meter(3), CONTROLLER) == [UP]
    assert metered(Output(P1), Meter(1), CONTROLLER) == [UP]


def test_edits_that_nothing_is_sent_after_are_left_out() -> None:
    assert compiled(Output(P1), PopVlan(), SetQueue(1)) == [output(11)]
    assert compiled(PopVlan()) == []


def test_a_queue_is_a_class_and_its_end_is_said_once() -> None:
    queued = (OpKind.SET_QUEUE, 0, 0, 0x10004)

    assert compiled(SetQueue(3), Output(P1), Output(P2)) == [queued, output(11), output(12)]
    assert compiled(SetQueue(3), Output(P1), PopQueue(), Output(P2)) == [
        queued,
        output(11),
        (OpKind.SET_QUEUE, 0, 0, 0),
        output(12),
    ]


def test_a_queue_that_cannot_be_is_none() -> None:
    assert compiled(SetQueue(0xFFFFFFFF), Output(P1)) == [(OpKind.SET_QUEUE, 0, 0, 0), output(11)]


def test_a_clone_that_only_sends_stands_in_line_and_keeps_its_queue_to_itself() -> None:
    assert compiled(Clone((SetQueue(3), Output(P1))), Output(P2)) == [
        (OpKind.SET_QUEUE, 0, 0, 0x10004),
        output(11),
        (OpKind.SET_QUEUE, 0, 0, 0),
        output(12),
    ]


def test_a_clone_that_edits_may_only_be_the_last_that_sends() -> None:
    assert compiled(Output(P1), Clone((PopVlan(), Output(P2))), PopQueue()) == [
        output(11),
        (OpKind.POP_VLAN, 0, 0, 0),
        output(12),
    ]
    assert compile_ops((Clone((PopVlan(), Output(P2))), Output(P1)), SLOTS.__getitem__) == SEND_UP


@pytest.mark.parametrize(
    "action",
    [
        CONTROLLER,
        PushMpls(),
        SetField("sctp_src", 5),
        SetField("arp_spa", 5, 0xFF),
        SetField("ipv6_src", 5, 0xFFFF),
        SetField("ipv6_flabel", 5, 0xFF),
        SetField("ipv4_src", 1, 0xFF),
        SetField("tcp_src", 1, 0xFF),
    ],
    ids=repr,
)
def test_what_the_program_cannot_do_is_sent_up(action: DatapathAction) -> None:
    assert compile_ops((Output(P1), action, Output(P2)), SLOTS.__getitem__) == SEND_UP


def test_some_bits_of_an_address_are_set_where_there_are_some() -> None:
    assert compiled(SetField("eth_src", 0x0A_0000_1234, 0xFF_0000_0FFF), Output(P1)) == [
        (OpKind.SET_ETH_WORD, 3, 0x000A, 0x00FF),
        (OpKind.SET_ETH_WORD, 5, 0x0234, 0x0FFF),
        output(11),
    ]
    assert compiled(SetField("eth_dst", 5, 0), Output(P1)) == [output(11)]
    assert [op[0] for op in compiled(SetField("eth_dst", 5, (1 << 48) - 1), Output(P1))] == [OpKind.SET_ETH_DST, 1]


def test_more_ops_than_an_entry_holds_are_sent_up() -> None:
    assert len(compiled(*[Output(P1)] * MAX_OPS)) == MAX_OPS
    assert compile_ops([Output(P1)] * (MAX_OPS + 1), SLOTS.__getitem__) == SEND_UP


@pytest.mark.parametrize(
    ("action", "op"),
    [
        (PushVlan(0x88A8), (OpKind.PUSH_VLAN, 0, 0x88A8, 0)),
        (SetField("vlan_vid", 0x1007), (OpKind.SET_VLAN, 0, 7, 0xFFF)),
        (SetField("vlan_vid", 0x1007, 0x00F), (OpKind.SET_VLAN, 0, 7, 0xF)),
        (SetField("vlan_pcp", 5), (OpKind.SET_VLAN, 0, 5 << 13, 7 << 13)),
        (SetField("ip_dscp", 46), (OpKind.SET_IP_TOS, 46 << 2, 0xFC, 0)),
        (SetField("ip_ecn", 3), (OpKind.SET_IP_TOS, 3, 3, 0)),
        (SetField("ip_ttl", 9), (OpKind.SET_IP_TTL, 9, 0, 0)),
        (SetNwTtl(9), (OpKind.SET_IP_TTL, 9, 0, 0)),
        (DecNwTtl(), (OpKind.DEC_IP_TTL, 0, 0, 0)),
    ],
    ids=repr,
)
def test_small_edits(action: DatapathAction, op: tuple[int, int, int, int]) -> None:
    assert compiled(action, Output(P1)) == [op, output(11)]


def test_addresses_and_ports_are_in_network_order() -> None:
    assert raw(MAC) == bytes([OpKind.SET_ETH_DST, 0, 2, 0, 0, 0, 0, 12])
    assert raw(SetField("ipv4_dst", int(parse_ip("10.0.0.9")))) == bytes([OpKind.SET_IPV4_DST, 0, 0, 0, 10, 0, 0, 9])
    assert raw(SetField("arp_op", 2)) == bytes([OpKind.SET_ARP, 6, 0, 2, 0, 0, 0, 0])
    assert raw(SetField("arp_tpa", int(parse_ip("10.0.0.9")))) == bytes([OpKind.SET_ARP, 24, 10, 0, 0, 9, 0, 0])
    assert raw(SetField("ipv6_flabel", 0x12345)) == bytes([OpKind.SET_IPV6_LABEL, 0, 0, 0, 0, 1, 0x23, 0x45])
    assert raw(SetField("udp_src", 0x1234)) == bytes([OpKind.SET_PORT_SRC, 17, 0x12, 0x34, 0, 0, 0, 0])


def test_an_ipv6_address_is_four_words_or_those_that_a_mask_covers() -> None:
    words = [OP.pack(OpKind.SET_IPV6_WORD, 4 + index, 0, 0) for index in range(4)]
    address = int(parse_ip("2001:db8::9"))

    ops = compile_ops((SetField("ipv6_dst", address), Output(P1)), SLOTS.__getitem__)
    some = compile_ops((SetField("ipv6_src", address, 0xFFFFFFFF), Output(P1)), SLOTS.__getitem__)

    assert [ops[at : at + 4] for at in range(0, 4 * OP.size, OP.size)] == [word[:4] for word in words]
    assert b"".join(ops[at + 4 : at + 8] for at in range(0, 4 * OP.size, OP.size)) == address.to_bytes(16, "big")
    assert some == bytes([OpKind.SET_IPV6_WORD, 3, 0, 0, 0, 0, 0, 9]) + OP.pack(*output(11))
