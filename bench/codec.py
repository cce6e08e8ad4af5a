"""What the OpenFlow codec costs, in CPU time per message, beside os-ken where that can do the same.

``python -m bench.codec`` prints the table; ``run()`` is for callers that put it beside other figures. Goals: a FLOW_MOD
read in 20 us, a PACKET_IN written in 5 us. CPU time of this process is taken, so that other work on the machine
counts as little as can be, and the best of several rounds. One message is read again and again, so short lists of
actions are remembered ones, as they mostly are in a controller's stream of FLOW_MODs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from inband.flow.actions import ApplyActions, Output, PacketInReason, SetField
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.codec import decode, encode, encode_segments
from inband.openflow.messages import Envelope, FlowMod, Message, PacketIn, PacketOut
from inband.openflow.multipart import FlowStats, FlowStatsReply
from inband.vocabulary.openflow import OFP10, OFP13, FlowModCommand

ROUNDS, COUNT = 7, 2000


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: microseconds per message, and the goal if there is one."""

    what: str
    microseconds: float
    goal: float | None = None


_MATCH = Match.of(in_port=1, eth_type=0x0800, ipv4_src=(10 << 24, 255 << 24), ipv4_dst=1, ip_proto=6, tcp_dst=80)
_APPLY = (ApplyActions((SetField("eth_dst", 5), Output(PortNo(2)))),)
_FLOW_MOD = FlowMod(FlowModCommand.ADD, _MATCH, instructions=_APPLY)
_PACKET_IN = PacketIn(PacketInReason.NO_MATCH, Match.of(in_port=1), bytes(128), 1500)
_PACKET_OUT = PacketOut(PortNo(1), (Output(PortNo(2)),), bytes(128))
_FLOWS = FlowStatsReply(tuple(FlowStats(0, _MATCH, OpenFlowPriority(1), _APPLY) for _ in range(100)))


def _cost(call: Callable[[], object], count: int = COUNT) -> float:
    """Microseconds of CPU time per call."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(count):
            call()
        best = min(best, time.process_time() - start)
    return best / count * 1e6


def _read(message: Message, version: int = OFP13) -> float:
    data = encode(Envelope(version, 1, message))
    return _cost(lambda: decode(data))


def _write(message: Message, version: int = OFP13) -> float:
    envelope = Envelope(version, 1, message)
    return _cost(lambda: encode(envelope))


def run() -> list[Row]:
    """Measure; some seconds."""
    rows = [
        Row("FLOW_MOD 1.3 read: six fields, set_field, output", _read(_FLOW_MOD), 20),
        Row("FLOW_MOD 1.0 read: the same", _read(_FLOW_MOD, OFP10), 20),
        Row("PACKET_OUT 1.3 read: one output, 128 bytes", _read(_PACKET_OUT)),
        Row("PACKET_IN 1.3 written: 128 bytes", _write(_PACKET_IN), 5),
        Row("PACKET_IN 1.0 written: 128 bytes", _write(_PACKET_IN, OFP10), 5),
    ]
    dump = Envelope(OFP13, 1, _FLOWS)
    rows.append(Row("flow statistics 1.3 written, per flow", _cost(lambda: encode_segments(dump), 20) / 100))
    return [*rows, *_peer()]


def _peer() -> list[Row]:
    try:
        from os_ken.ofproto import ofproto_parser, ofproto_protocol
    except ImportError:
        return []
    data = encode(Envelope(OFP13, 1, _FLOW_MOD))
    datapath = ofproto_protocol.ProtocolDesc(version=OFP13)
    head = ofproto_parser.header(data)
    return [Row("os-ken: FLOW_MOD 1.3 read", _cost(lambda: ofproto_parser.msg(datapath, *head, data), 200))]


def main() -> None:
    """Print the table."""
    for row in run():
        goal = "" if row.goal is None else f"   goal {row.goal:g}"
        print(f"{row.what:52} {row.microseconds:8.2f} us{goal}")


if __name__ == "__main__":
    main()
