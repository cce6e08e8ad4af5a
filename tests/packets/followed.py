"""Tables in which a later one tells whether it sees what was done to a packet before: each has one thing of its own."""

from __future__ import annotations

from ipaddress import IPv4Address

from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    MoveField,
    Output,
    PopQueue,
    PopVlan,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    SetVlanVid,
    WriteActions,
    WriteMetadata,
)
from inband.flow.match import ANY, Match
from inband.flow.ports import IN_PORT, NORMAL, PortNo
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.property.test_pipeline_cache import Chained

HOST = "02:00:00:00:01:01"
"""One of those that send."""
_TO_2, _TO_3 = Output(PortNo(2)), Output(PortNo(3))
_IPV4_UDP = {"eth_type": 0x0800, "ip_proto": 17}
Row = tuple[int, int, Match, tuple[Instruction, ...]]
"""Table, priority, match and instructions of a flow."""


def _tells_apart(changes: tuple[Action, ...], **becomes: int | tuple[int, int]) -> list[Row]:
    """Tables that send a packet by one port if a later table sees what was done to it, else by another."""
    return [
        (0, 0, ANY, (ApplyActions(changes), GotoTable(1))),
        (1, 1, Match.of(**becomes), (ApplyActions((_TO_2,)),)),
        (1, 0, ANY, (ApplyActions((_TO_3,)),)),
    ]


FOLLOWED: dict[str, list[Row]] = {
    "ttl": _tells_apart((DecNwTtl(),), eth_type=0x0800, ip_ttl=63),
    "a ttl that is set": _tells_apart((SetNwTtl(9),), eth_type=0x0800, ip_ttl=9),
    "ipv4_src": _tells_apart((SetField("ipv4_src", 9),), eth_type=0x0800, ipv4_src=9),
    "ipv4_dst": _tells_apart((SetField("ipv4_dst", 9),), eth_type=0x0800, ipv4_dst=9),
    "ipv6_dst": _tells_apart((SetField("ipv6_dst", 9 << 40),), eth_type=0x86DD, ipv6_dst=9 << 40),
    "ipv6_flabel": _tells_apart((SetField("ipv6_flabel", 9),), eth_type=0x86DD, ipv6_flabel=9),
    "udp_src": _tells_apart((SetField("udp_src", 9),), **_IPV4_UDP, udp_src=9),
    "udp_dst": _tells_apart((SetField("udp_dst", 9),), **_IPV4_UDP, udp_dst=9),
    "ip_dscp": _tells_apart((SetField("ip_dscp", 10),), eth_type=0x0800, ip_dscp=10),
    "eth_src": _tells_apart((SetField("eth_src", 10),), eth_src=10),
    "eth_dst": _tells_apart((SetField("eth_dst", 10),), eth_dst=10),
    "some of eth_dst": _tells_apart((SetField("eth_dst", 10 << 32, 0xFF << 32),), eth_dst=(10 << 32, 0xFF << 32)),
    "some of eth_src": _tells_apart((SetField("eth_src", 0xA0000A, 0xF0000F),), eth_src=(0xA0000A, 0xF0000F)),
    "vlan_vid": _tells_apart((SetField("vlan_vid", 0x1009),), vlan_vid=0x1009),
    "vlan_pcp": _tells_apart((SetVlanVid(7), SetField("vlan_pcp", 5)), vlan_vid=0x1007, vlan_pcp=5),
    "a tag more": _tells_apart((PushVlan(), SetField("vlan_vid", 0x1009), PushVlan()), vlan_vid=0x1009),
    "a tag more and less": _tells_apart((PushVlan(), SetField("vlan_vid", 0x1009), PopVlan()), vlan_vid=0x1007),
    "a tag less": _tells_apart((PopVlan(),), vlan_vid=0),
    "a tag twice": _tells_apart((PopVlan(), PushVlan(), PopVlan()), vlan_vid=0),
    "metadata": [
        (0, 0, ANY, (WriteMetadata(5 << 40, 7 << 40), GotoTable(1))),
        (1, 0, ANY, (WriteMetadata(0, 4 << 40), GotoTable(2))),
        (2, 1, Match.of(metadata=(1 << 40, 7 << 40)), (ApplyActions((_TO_2,)),)),
        (2, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "a register": _tells_apart((SetField("reg0", 0x80000001),), reg0=0x80000001),
    "some of a register": _tells_apart(
        (SetField("reg3", 0xFFFF), SetField("reg3", 0xA0A0, 0xF0F0)), reg3=(0xA0AF, 0xFFFF_F0FF)
    ),
    "the last register": _tells_apart((SetField("reg7", 7), SetField("reg6", 6)), reg7=7, reg6=(2, 2)),
    "tunnel_id": _tells_apart((SetField("tunnel_id", 5 << 40 | 3),), tunnel_id=(5 << 40, 0xF << 40)),
    "metadata that an action sets": _tells_apart((SetField("metadata", 5 << 40, 7 << 40),), metadata=5 << 40),
    "registers in three tables": [
        (0, 0, ANY, (ApplyActions((SetField("reg1", 9),)), GotoTable(1))),
        (1, 1, Match.of(reg1=9, reg0=0), (ApplyActions((SetField("reg0", 1),)), GotoTable(2))),
        (1, 0, ANY, (GotoTable(2),)),
        (2, 1, Match.of(reg0=1, reg1=9, metadata=0, eth_type=0x0800), (ApplyActions((_TO_2,)),)),
        (2, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "an address in a register": _tells_apart((MoveField("eth_dst", "reg2", 32, 16),), reg2=0x02000000),
    "a longer address in registers": _tells_apart(
        (MoveField("eth_src", "tunnel_id", 48, 0, 8),), tunnel_id=(0x0200_0000_0101_00, (1 << 64) - 1)
    ),
    "a port from a register": [
        (0, 1, Match.of(**_IPV4_UDP), (ApplyActions((MoveField("udp_src", "reg5", 16, 0, 9),)), GotoTable(1))),
        (0, 0, ANY, (GotoTable(2),)),
        (1, 0, ANY, (ApplyActions((MoveField("reg5", "udp_dst", 10, 9, 3),)), GotoTable(2))),
        (2, 1, Match.of(**_IPV4_UDP, udp_dst=(5000 << 3 & 0xFFF8, 0x1FF8)), (ApplyActions((_TO_2,)),)),
        (2, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "addresses that are exchanged": _tells_apart(
        (
            *(MoveField("eth_src", "metadata", 48), MoveField("eth_dst", "eth_src", 48)),
            MoveField("metadata", "eth_dst", 48),
        ),
        eth_dst=(0x0101, 0xFFFF),
    ),
    "an address that moves within itself": _tells_apart(
        (MoveField("eth_dst", "eth_dst", 40, 0, 8),), eth_dst=(0x0001_0000, 0xFFFF_0000)
    ),
    "a network from a register": _tells_apart(
        (SetField("reg0", 0xC0A8), MoveField("reg0", "ipv4_dst", 16, 0, 16)),
        eth_type=0x0800,
        ipv4_dst=(0xC0A8_0000, 0xFFFF_0000),
    ),
    "an IPv6 address from registers": _tells_apart(
        (SetField("tunnel_id", (1 << 64) - 3), MoveField("tunnel_id", "ipv6_dst", 64, 0, 21)),
        eth_type=0x86DD,
        ipv6_dst=(0x7FFD << 21, 0x7FFF << 21),
    ),
    "a flow label after an address": [
        (
            *(0, 0, Match.of(eth_type=0x86DD)),
            (
                ApplyActions((MoveField("ipv6_src", "ipv6_dst", 16, 96, 112), MoveField("eth_dst", "ipv6_flabel", 8))),
                GotoTable(1),
            ),
        ),
        (1, 1, Match.of(eth_type=0x86DD, ipv6_flabel=0), (ApplyActions((_TO_2,)),)),
        (1, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "a tag from registers": _tells_apart(
        (SetField("reg4", 0xA7), MoveField("reg4", "vlan_vid", 8, 0, 2), MoveField("reg4", "vlan_pcp", 2, 6, 1)),
        vlan_vid=(0x129C, 0x13FC),
        vlan_pcp=(4, 6),
    ),
    "TTL and DSCP": _tells_apart(
        (MoveField("ip_ttl", "reg0", 8), MoveField("reg0", "ip_dscp", 5, 2, 1), MoveField("reg0", "ip_ttl", 3, 0, 5)),
        eth_type=0x0800,
        ip_dscp=0x20,
    ),
    "an address that shares its place in a register": [
        (0, 1, Match.of(eth_type=0x0800), (ApplyActions((MoveField("ipv4_dst", "reg1", 32),)), GotoTable(1))),
        (0, 0, ANY, (GotoTable(1),)),
        (1, 1, Match.of(reg1=int(IPv4Address(packets.IP_B))), (ApplyActions((_TO_2,)),)),
        (1, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "an address that may not be one": _tells_apart((MoveField("ipv4_dst", "reg1", 32),), reg1=0),
    "a register in a copy": [
        (0, 0, ANY, (ApplyActions((SetField("reg0", 1), Group(0))), GotoTable(1))),
        (1, 1, Match.of(reg0=1), (ApplyActions((_TO_2,)),)),
        (1, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "where it came from": [
        (0, 0, ANY, (ApplyActions((Output(PortNo(1)), _TO_2)), GotoTable(1))),
        (1, 0, ANY, (WriteActions((Output(PortNo(1)),)),)),
    ],
    "back": [
        (0, 0, ANY, (ApplyActions((Output(IN_PORT),)), GotoTable(1))),
        (1, 0, ANY, (WriteActions((Output(IN_PORT), SetNwTtl(9))),)),
    ],
    "action set": [
        (0, 0, ANY, (WriteActions((_TO_2, PushVlan(), SetField("vlan_vid", 0x1009), PopVlan())), GotoTable(1))),
        (1, 1, Match.of(vlan_vid=0x1007), (ClearActions(), WriteActions((_TO_3,)))),
        (1, 0, ANY, (WriteActions((Output(PortNo(3)), SetField("vlan_vid", 0x1008))),)),
    ],
    "no flow in the end": [
        (0, 0, ANY, (WriteActions((_TO_3,)), ApplyActions((_TO_2, DecNwTtl())), GotoTable(1))),
        (1, 1, Match.of(vlan_vid=0x1007), (ClearActions(), GotoTable(2))),
    ],
    "an output that is closed": [
        (0, 0, ANY, (WriteActions((_TO_2,)), GotoTable(1))),
        (1, 0, ANY, (WriteActions((Output(PortNo(9)),)),)),
    ],
    "a copy that is changed": [
        (0, 0, ANY, (ApplyActions((Group(2),)), GotoTable(1))),
        (1, 1, Match.of(eth_dst=10), (ApplyActions((_TO_2,)),)),
        (1, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "copies in the end": [
        (0, 0, ANY, (GotoTable(1),)),
        (1, 0, ANY, (ApplyActions((_TO_3, Group(2))),)),
    ],
    "normal behind a tag less": [(0, 0, ANY, (ApplyActions((PopVlan(), DecNwTtl(), Output(NORMAL))),))],
    "normal behind another address": [
        (0, 0, ANY, (ApplyActions((SetField("eth_dst", int(Mac.parse(HOST))), SetQueue(1))), GotoTable(1))),
        (1, 0, ANY, (ApplyActions((Output(NORMAL),)),)),
    ],
    "normal behind another source": [
        (0, 0, ANY, (ApplyActions((SetField("eth_src", int(Mac.parse(HOST))), Output(NORMAL))),))
    ],
    "normal, and more": [(0, 0, ANY, (ApplyActions((Output(NORMAL), _TO_3)),))],
    "normal behind more": [(0, 0, ANY, (ApplyActions((_TO_3, Output(NORMAL))),))],
    "normal, and more that is changed": [
        (
            0,
            0,
            ANY,
            (ApplyActions((PopVlan(), Output(NORMAL), PushVlan(), SetField("eth_dst", 5), SetNwTtl(3), _TO_3)),),
        )
    ],
    "normal between a queue and another": [
        (0, 0, ANY, (ApplyActions((SetQueue(1), _TO_2, PopQueue(), Output(NORMAL), SetQueue(2))), GotoTable(1))),
        (1, 0, ANY, (ApplyActions((_TO_3,)),)),
    ],
    "normal in a copy": [(0, 0, ANY, (ApplyActions((_TO_3, Group(1))),))],
    "normal, and normal": [
        (0, 0, ANY, (ApplyActions((Output(NORMAL),)), GotoTable(1))),
        (1, 0, ANY, (ApplyActions((Output(NORMAL),)),)),
    ],
    "normal behind an action set": [
        (0, 0, ANY, (WriteActions((_TO_3,)), GotoTable(1))),
        (1, 0, ANY, (ApplyActions((Output(NORMAL),)),)),
    ],
    "a queue": [
        (0, 0, ANY, (ApplyActions((SetQueue(1), _TO_2)), GotoTable(1))),
        (1, 0, ANY, (ApplyActions((PopQueue(), _TO_3)),)),
    ],
}
CHANGED_COPY: tuple[list[Chained], ...] = (
    [((SetField("reg0", 2), Output(PortNo(3))), False)],
    [((PushVlan(), Output(NORMAL)), False)],
    [((SetField("eth_dst", 10), _TO_2), False)],
)
# All that the kernel asks about in these tables: what is pinged, has no TTL left, would be changed as a copy first, or
# is moved from a place that fields share.
ASKS = {
    "a copy that is changed",
    "an address that may not be one",
    "normal behind another source",
    "normal, and normal",
}
