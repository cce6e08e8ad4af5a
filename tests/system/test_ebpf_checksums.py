"""Where the checksum is that a sender left to its card: the program finds it wherever it is."""

from __future__ import annotations

import pytest

from inband.flow.actions import ToController
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.packet.frame import Frame, Offload
from inband.testing import packets
from tests.packets.columns import PORTS, ebpf

pytestmark = pytest.mark.root

HEADER, IP, CHECKSUM = 14, 20, 6
UDP = packets.udp(payload=b"")[HEADER : HEADER + IP + 8]
SEARCHED = 1024  # MAX_HEADERS of bpf/parse.h


class Client:
    """Notes what comes up."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.frames.append(frame)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        pass


def test_an_unfinished_checksum_is_found_at_every_place_below_the_limit() -> None:
    last = SEARCHED - 2 - HEADER - IP - CHECKSUM
    depths = [0, 1, 2, *range(3, last, 17), last - 1, last]
    with ebpf() as column:
        client = column.datapath.client = Client()
        for behind in (0, 100, 450):
            for depth in depths:
                column.arrive(PORTS[0], unfinished(depth, behind))

        found = [(frame.offload, len(frame.data)) for frame in client.frames]

    wanted = [unfinished(depth, behind) for behind in (0, 100, 450) for depth in depths]
    assert found == [(frame.offload, len(frame.data)) for frame in wanted]


def test_one_behind_the_limit_is_not_found_and_the_frame_goes_up_whole() -> None:
    frame = unfinished(SEARCHED, 50)
    with ebpf() as column:
        client = column.datapath.client = Client()
        column.arrive(PORTS[0], frame)

        assert [each.data for each in client.frames] == [frame.data]
        assert client.frames[0].offload is None


def unfinished(depth: int, behind: int) -> Frame:
    """UDP behind so many unknown bytes, its checksum left to the card; ``behind``: more bytes."""
    data = packets.ethernet(0x88B5, bytes(depth) + UDP + bytes(behind))
    return Frame(data, Offload(HEADER + depth + IP, CHECKSUM))
