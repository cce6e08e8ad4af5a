"""TCP frames of more than 64 kB, which wait to be cut, on every datapath: none is lost, and all bytes are counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from random import Random

import pytest

from inband.datapath.base import Megaflow
from inband.flow.actions import DatapathAction, Output, PopVlan, PushMpls, PushVlan, SetField, ToController
from inband.flow.fields import ALL_BITS, FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.checksum import segment
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.testing import packets
from inband.testing.megaflows import megaflow_of
from lab.big_tcp import allow_big_tcp
from tests.packets.columns import COLUMNS, Column, count_all
from tests.packets.rows import P1, P2, P3

pytestmark = pytest.mark.root

# In each segment, and in all of a frame: more than IP's length field can say.
GSO_SIZE, SIZE = 1400, 100_000

V4, V6 = (packets.IP_A, packets.IP_B), (packets.IP6_A, packets.IP6_B)
FRAMES = {
    "IPv4": packets.big_tcp(*V4, Random(1).randbytes(SIZE), gso_size=GSO_SIZE),
    "IPv6": packets.big_tcp(*V6, Random(1).randbytes(SIZE), gso_size=GSO_SIZE),
    # Linux takes the header away from what a packet socket sends: real hosts' are in tests/system/test_big_tcp.py.
    "IPv6 with its length": packets.big_tcp(*V6, Random(1).randbytes(SIZE), gso_size=GSO_SIZE, has_jumbo_header=True),
    "a tag": apply(packets.big_tcp(*V4, Random(1).randbytes(SIZE), gso_size=GSO_SIZE), PushVlan()),
}
ACTIONS: dict[str, tuple[DatapathAction, ...]] = {
    "an output": (Output(P2),),
    "a flood": (Output(P2), Output(P3)),
    "another address": (SetField("eth_dst", 5), SetField("ipv4_dst", 9), SetField("tcp_dst", 81), Output(P2)),
    "another tag": (PushVlan(), SetField("vlan_vid", 0x1007), Output(P2)),
    "a tag less": (PopVlan(), Output(P2)),
    "a label": (PushMpls(), Output(P2)),
}


@dataclass
class Client:
    """Answers with a decision for all packets whose headers are the same."""

    column: Column
    actions: tuple[DatapathAction, ...]
    upcalls: list[tuple[Frame, FlowKey]] = field(default_factory=list)
    answers: list[Megaflow] = field(default_factory=list)

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls.append((frame, key))
        self.answers.append(megaflow_of(Match(key, ALL_BITS), self.actions))
        self.column.datapath.install(self.answers[0], key)
        self.column.datapath.execute(in_port, frame, self.actions)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        raise AssertionError


@pytest.fixture(scope="module", params=list(COLUMNS))
def column(request: pytest.FixtureRequest) -> Iterator[Column]:
    with COLUMNS[request.param]() as column:
        if request.param != "simulated":
            for side, number in product("hp", (1, 2, 3)):
                allow_big_tcp(f"{side}{number}")
        yield column


def on_wire(frame: Frame, actions: tuple[DatapathAction, ...], port: PortNo) -> list[str]:
    """What should leave a port: each segment treated by itself, as if the frame had been cut before."""
    out = []
    for each in segment(frame):
        for action in actions:
            if isinstance(action, Output):
                out += [each.data.hex()] if action.port == port else []
            else:
                assert not isinstance(action, ToController)
                each = apply(each, action)  # type: ignore[arg-type]  # no clones and queues among them
    return out


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("kind", FRAMES)
def test_no_byte_is_lost_and_all_are_counted(column: Column, kind: str, actions: str) -> None:
    frame, client = FRAMES[kind], Client(column, ACTIONS[actions])
    column.datapath.flush()
    column.datapath.client = client
    received = column.datapath.port_counters(P1)
    before = (received.rx_packets, received.rx_bytes, received.rx_dropped, received.rx_errors)

    for _ in range(3):
        column.arrive(P1, frame)

    left = {port: [data.hex() for data in frames] for port, frames in column.left().items()}
    ((came, key),) = client.upcalls
    segments, size = len(segment(frame)), len(came.data)
    assert [each.data for each in segment(came)] == [each.data for each in segment(frame)]
    assert key == parse(came.data, P1) == parse(segment(frame)[-1].data, P1)
    for port in (P2, P3):
        assert sorted(left[port]) == sorted(on_wire(frame, ACTIONS[actions], port) * 3)
    count_all(column.datapath)
    (answer,) = client.answers
    assert (answer.packets, answer.bytes) == (2 * segments, 2 * size)
    received = column.datapath.port_counters(P1)
    after = (received.rx_packets, received.rx_bytes, received.rx_dropped, received.rx_errors)
    assert [b - a for a, b in zip(before, after, strict=True)] == [3 * segments, 3 * size, 0, 0]
