"""Counting segments and moving offsets in a vnet header."""

from __future__ import annotations

import pytest

from inband.datapath.userspace_offload import VNET_SIZE, count_segments, shift_offload
from inband.packet.frame import Frame, GsoType, Offload
from inband.packet.vnet import build_vnet, parse_vnet
from inband.testing import packets


def buffer_of(frame: Frame) -> bytearray:
    return bytearray(build_vnet(frame.offload) + frame.data)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(packets.tcp()),
        packets.offloaded(packets.tcp(payload=bytes(100))),
        packets.offloaded(packets.tcp(payload=bytes(999)), gso_size=1000),
        packets.offloaded(packets.tcp(payload=bytes(1000)), gso_size=1000),
        packets.offloaded(packets.tcp(payload=bytes(1001)), gso_size=1000),
        packets.offloaded(packets.tcp(packets.IP6_A, packets.IP6_B, payload=bytes(9000)), gso_size=1000),
        packets.offloaded(packets.udp(payload=bytes(2500)), gso_size=1000),
    ],
)
def test_segments_are_as_many_as_the_frame_says(frame: Frame) -> None:
    buffer = buffer_of(frame)

    assert count_segments(buffer, len(buffer)) == frame.segments


def test_the_kernels_idea_of_the_header_is_corrected() -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(3000)), gso_size=1000)
    assert frame.offload is not None
    buffer = buffer_of(frame)
    buffer[2:4] = (700).to_bytes(2, "little")

    assert count_segments(buffer, len(buffer)) == 3
    assert parse_vnet(bytes(buffer)) == frame.offload


def test_a_finished_checksum_says_nothing_about_the_header() -> None:
    buffer = buffer_of(Frame(bytes(54 + 3000), Offload(-1, 0, GsoType.TCPV4, 1000, 54)))

    assert count_segments(buffer, len(buffer)) == 3


@pytest.mark.parametrize("end", range(VNET_SIZE, VNET_SIZE + 54))
def test_a_cut_frame_is_one_segment(end: int) -> None:
    buffer = buffer_of(packets.offloaded(packets.tcp(payload=bytes(3000)), gso_size=1000))

    assert count_segments(buffer, end) == 1


def test_a_tag_moves_what_the_header_points_at() -> None:
    buffer = buffer_of(packets.offloaded(packets.tcp(payload=bytes(3000)), gso_size=1000))

    shift_offload(buffer)

    assert parse_vnet(bytes(buffer)) == Offload(38, 16, GsoType.TCPV4, 1000, 58)


def test_a_tag_moves_nothing_where_nothing_is_left_to_do() -> None:
    buffer = buffer_of(Frame(packets.tcp()))

    shift_offload(buffer)

    assert not any(buffer[:VNET_SIZE])
