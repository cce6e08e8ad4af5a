"""What is sent instead of a frame that the kernel could not finish."""

from __future__ import annotations

import pytest

from inband.datapath.userspace_port import sendable
from inband.flow.actions import PushMpls, PushPbb, PushVlan
from inband.packet.checksum import segment
from inband.packet.edit import apply
from inband.packet.frame import Frame, Offload
from inband.testing import packets

LONG = packets.offloaded(packets.tcp(payload=bytes(3000)), 1000)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(packets.tcp()),
        packets.offloaded(packets.tcp()),
        LONG,
        apply(apply(LONG, PushVlan()), PushVlan(0x88A8)),
        apply(packets.offloaded(packets.udp(payload=bytes(100))), PushMpls()),
    ],
    ids=["finished", "half a checksum", "uncut", "uncut behind tags", "half a checksum below a label"],
)
def test_what_the_kernel_can_finish_is_left_to_it(frame: Frame) -> None:
    assert list(sendable(frame)) == [frame]


@pytest.mark.parametrize("push", [PushMpls(), PushPbb()])
def test_what_waits_to_be_cut_below_a_label_or_in_pbb_is_cut_here(push: PushMpls | PushPbb) -> None:
    frame = apply(LONG, push)

    assert list(sendable(frame)) == segment(frame)
    assert len(segment(frame)) == 3


def test_the_crc_of_sctp_is_finished_here() -> None:
    whole = packets.sctp(chunks=b"abcdefgh")

    assert list(sendable(Frame(whole[:42] + bytes(4) + whole[46:], Offload(34, 8)))) == [Frame(whole)]
