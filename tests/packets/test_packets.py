"""Every row of the table on every datapath."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from inband.datapath.base import Datapath, Megaflow
from inband.flow.actions import ToController
from inband.flow.fields import FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.checksum import segment
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from tests.packets.columns import COLUMNS, PORTS, Column, count_all
from tests.packets.rows import P1, ROWS, Row

pytestmark = pytest.mark.root

GARBAGE = 1000


@dataclass
class Client:
    """Answers the first frame with a megaflow for everything that comes by its port."""

    datapath: Datapath
    answer: Megaflow | None = None
    upcalls: list[tuple[PortNo, Frame, FlowKey]] = field(default_factory=list)
    packet_ins: list[bytes] = field(default_factory=list)

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls.append((in_port, frame, key))
        if self.answer is not None:
            install(self.datapath, self.answer)
            self.datapath.execute(in_port, frame, self.answer.actions)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        self.packet_ins += [each.data for each in segment(frame)]


@pytest.fixture(scope="module", params=list(COLUMNS))
def standing(request: pytest.FixtureRequest) -> Iterator[Column]:
    with COLUMNS[request.param]() as column:
        yield column


@pytest.fixture
def column(standing: Column) -> Column:
    standing.datapath.flush()
    standing.left()
    return standing


def attach(column: Column, answer: Megaflow | None = None) -> Client:
    client = Client(column.datapath, answer)
    column.datapath.client = client
    return client


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_frame_in_frames_out(column: Column, row: Row) -> None:
    megaflow = megaflow_of(Match.of(in_port=1), row.actions)
    client = attach(column, megaflow)
    before = dict(column.datapath.counters())

    for _ in range(3):
        column.arrive(P1, row.frame)

    left = column.left()
    for port in PORTS:
        expected = [frame for number, frame in row.out if number == port]
        assert [frame.hex() for frame in left[port]] == [frame.hex() for frame in expected] * 3
    assert client.packet_ins == ([row.packet_in] * 3 if row.packet_in else [])
    after = column.datapath.counters()
    counted_times = 2 if row.counted == ("dropped_by_flow",) else 3  # the first time the client decides
    assert {name: after[name] - before.get(name, 0) for name in row.counted} == dict.fromkeys(
        row.counted, counted_times
    )


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_first_frame_goes_up_whole_and_the_rest_are_counted(column: Column, row: Row) -> None:
    megaflow = megaflow_of(Match.of(in_port=1), row.actions)
    client = attach(column, megaflow)

    for _ in range(3):
        column.arrive(P1, row.frame)

    assert len(client.upcalls) == 1
    in_port, frame, key = client.upcalls[0]
    assert in_port == P1
    assert [each.data for each in segment(frame)] == [each.data for each in segment(row.frame)]
    assert key == parse(row.frame.data, P1)
    count_all(column.datapath)
    assert column.datapath.megaflows() == [megaflow]
    assert (megaflow.packets, megaflow.bytes) == (2 * row.frame.segments, 2 * len(row.frame.data))


def test_port_counters_count_segments_and_bytes(column: Column) -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(10_000)), gso_size=1000)
    row = next(row for row in ROWS if row.name == "a flood")
    attach(column, megaflow_of(Match.of(in_port=1), row.actions))
    received, sent = column.datapath.port_counters(P1), column.datapath.port_counters(PORTS[1])
    before = (received.rx_packets, received.rx_bytes, sent.tx_packets, sent.tx_bytes)

    column.arrive(P1, frame)

    received, sent = column.datapath.port_counters(P1), column.datapath.port_counters(PORTS[1])
    after = (received.rx_packets, received.rx_bytes, sent.tx_packets, sent.tx_bytes)
    assert [b - a for a, b in zip(before, after, strict=True)] == [10, len(frame.data), 10, len(frame.data)]


def test_garbage_goes_up_unchanged_frame_by_frame(column: Column) -> None:
    client = attach(column)
    frames = [Frame(data) for data in _garbage()]

    for frame in frames:
        column.arrive(P1, frame)

    assert [frame.data.hex() for _, frame, _ in client.upcalls] == [frame.data.hex() for frame in frames]
    assert [key for _, _, key in client.upcalls] == [parse(frame.data, P1) for frame in frames]


def _garbage() -> Iterator[bytes]:
    """Random bytes, and good frames spoilt; none shorter than a header, and no tag cut in two: Linux takes neither."""
    random = Random(4)
    good = [row.frame.data for row in ROWS if row.frame.offload is None]
    for number in range(GARBAGE):
        data = bytearray(random.randbytes(random.randrange(14, 200)) if number % 2 else random.choice(good))
        for _ in range(random.randrange(8)):
            data[random.randrange(len(data))] = random.randrange(256)
        cut = bytes(data[: random.randrange(14, len(data) + 1)])
        if cut[12:14] not in (b"\x81\x00", b"\x88\xa8") or len(cut) >= 20:
            yield cut
