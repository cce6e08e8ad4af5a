"""Odd frames fare alike on all datapaths: decided anew and out of the cache, whatever the actions.

The simulated datapath says what should happen: it does all with the functions of ``packet`` that have tests of their
own. What Linux would not take in at the other end (a tag that is cut) is not waited for there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, field

import pytest

from inband.datapath.base import Megaflow
from inband.flow.actions import (
    DatapathAction,
    DecNwTtl,
    Output,
    PacketInReason,
    PopMpls,
    PopPbb,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    ToController,
)
from inband.flow.fields import FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.checksum import segment
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.testing import packets
from inband.testing.megaflows import megaflow_of
from tests.packets.columns import COLUMNS, PORTS, Column, count_all, simulated
from tests.packets.odd_frames import FAMILIES, is_taken_by_linux, odd_frames
from tests.packets.rows import P1, P2, P3

pytestmark = pytest.mark.root

SEED, COUNT = 9, 12

ACTIONS: dict[str, tuple[DatapathAction, ...]] = {
    "an output": (Output(P2),),
    "an edit between outputs": (Output(P2), SetField("eth_dst", 5), Output(P3)),
    "to the controller": (ToController(PacketInReason.ACTION, 0xFFFF, 0, 1),),
    "push a tag": (PushVlan(0x88A8), SetField("vlan_vid", 0x1007), Output(P2)),
    "pop a tag": (PopVlan(), Output(P2)),
    "pop two tags": (PopVlan(), PopVlan(), Output(P2)),
    "another VLAN": (SetField("vlan_vid", 0x1008), SetField("vlan_pcp", 5), Output(P2)),
    "a hop": (DecNwTtl(), SetField("ip_dscp", 10), Output(P2)),
    "other addresses": (SetField("ipv4_dst", 0x0A000009), SetField("ipv6_dst", 9), Output(P2)),
    "other ports": (SetField("tcp_dst", 8080), SetField("udp_src", 7), SetField("sctp_dst", 9), Output(P2)),
    "push a label": (PushMpls(), Output(P2)),
    "pop a label": (PopMpls(0x0800), Output(P2)),
    "push PBB": (PushPbb(), Output(P2)),
    "pop PBB": (PopPbb(), Output(P2)),
}


@dataclass
class Client:
    """Answers with one decision for all that comes by port 1; notes what it was asked and given, as on a wire."""

    column: Column
    answer: Megaflow
    upcalls: list[tuple[PortNo, list[str], FlowKey]] = field(default_factory=list)
    packet_ins: list[str] = field(default_factory=list)

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls.append((in_port, on_wire(frame), key))
        self.column.datapath.install(self.answer, key)
        self.column.datapath.execute(in_port, frame, self.answer.actions)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        self.packet_ins += on_wire(frame)


@dataclass(frozen=True)
class Fate:
    """What became of a frame that came three times."""

    left: dict[PortNo, list[str]]
    upcalls: list[tuple[PortNo, list[str], FlowKey]]
    packet_ins: list[str]
    megaflow: tuple[int, int]
    ports: list[tuple[int, ...]]


def on_wire(frame: Frame) -> list[str]:
    return [each.data.hex() for each in segment(frame)]


def port_counters(column: Column) -> list[tuple[int, ...]]:
    return [astuple(column.datapath.port_counters(port)) for port in PORTS]


def fate(column: Column, frame: Frame, actions: tuple[DatapathAction, ...]) -> Fate:
    column.datapath.flush()
    client = Client(column, megaflow_of(Match.of(in_port=P1), actions))
    column.datapath.client = client
    before = port_counters(column)
    for _ in range(3):
        column.arrive(P1, frame)
    counted = [
        tuple(b - a for a, b in zip(*pair, strict=True)) for pair in zip(before, port_counters(column), strict=True)
    ]
    count_all(column.datapath)
    left = {port: [data.hex() for data in frames if is_taken_by_linux(data)] for port, frames in column.left().items()}
    return Fate(left, client.upcalls, client.packet_ins, (client.answer.packets, client.answer.bytes), counted)


@pytest.fixture(scope="module", params=["userspace", "ebpf"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Column, Column]]:
    """A datapath with a kernel, and the one without."""
    with COLUMNS[request.param]() as column, simulated() as twin:
        yield column, twin


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_odd_frames_fare_alike(pair: tuple[Column, Column], family: str, actions: str) -> None:
    column, twin = pair
    for frame in odd_frames(family, SEED, COUNT):
        assert fate(column, frame, ACTIONS[actions]) == fate(twin, frame, ACTIONS[actions]), frame


def test_of_each_family_there_are_frames_with_and_without_work_left_and_none_is_cut_in_its_first_header() -> None:
    for family in FAMILIES:
        frames = list(odd_frames(family, SEED, 100))

        assert len({frame.data for frame in frames}) > 50
        assert all(parse(frame.data, P1) for frame in frames)
    assert any(frame.offload for frame in odd_frames("labels", SEED, 100))
    assert any(frame.offload is None for frame in odd_frames("sctp", SEED, 100))


PBB_OF_32_BYTES = packets.ethernet(0x88E7, bytes.fromhex("20012345") + packets.ethernet(0x88B5))
CUT_IN_THE_SECOND_TAG = packets.vlan(packets.ethernet(0x88A8, bytes(3)), 5)
SCTP_WITHOUT_A_SUM = packets.sctp(chunks=bytes(range(40)))[:42] + bytes(4) + packets.sctp(chunks=bytes(range(40)))[46:]


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize(
    "data", [PBB_OF_32_BYTES, CUT_IN_THE_SECOND_TAG, SCTP_WITHOUT_A_SUM], ids=["PBB", "a cut tag", "SCTP"]
)
def test_frames_that_once_fared_differently_fare_alike(pair: tuple[Column, Column], data: bytes, actions: str) -> None:
    column, twin = pair

    assert fate(column, Frame(data), ACTIONS[actions]) == fate(twin, Frame(data), ACTIONS[actions])
