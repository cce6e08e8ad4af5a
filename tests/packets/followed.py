"""Tables in which a later one tells whether it sees what was done to a packet before: each has one thing of its own."""

from __future__ import annotations

from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
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
    [((), False)],
    [((PushVlan(), Output(NORMAL)), False)],
    [((SetField("eth_dst", 10), _TO_2), False)],
)
# All that the kernel asks about in these tables: what is pinged, has no TTL left, or would be changed as a copy first.
ASKS = {"a copy that is changed", "normal behind another source", "normal, and normal"}
