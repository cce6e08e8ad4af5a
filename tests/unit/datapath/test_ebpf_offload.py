"""What was left to the card, told from the place of the unfinished checksum and the size of segments."""

from __future__ import annotations

import pytest

from inband.datapath.ebpf.offload import describe_offload
from inband.flow.actions import PushMpls, PushPbb, PushVlan
from inband.packet.edit import apply
from inband.packet.frame import Frame, GsoType, Offload
from inband.testing import packets
from inband.testing.packets import IP6_A, IP6_B, offloaded

V4, V6 = (packets.IP_A, packets.IP_B), (IP6_A, IP6_B)
FRAMES = [
    *(offloaded(packets.tcp(*ips, payload=bytes(3000)), size) for ips in (V4, V6) for size in (0, 100)),
    *(offloaded(packets.udp(*ips, dst_port=5000, payload=bytes(3000)), size) for ips in (V4, V6) for size in (0, 100)),
    Frame(packets.sctp(chunks=bytes(40)), Offload(34, 8)),
    Frame(packets.sctp(*V6, chunks=bytes(40)), Offload(54, 8)),
]


def told(frame: Frame) -> tuple[Offload | None, bool]:
    """What is found out about a frame by what the kernel's program can say of it."""
    offload = frame.offload
    assert offload is not None
    return describe_offload(frame.data, offload.csum_start + offload.csum_offset, offload.gso_size)


def told_by_debian_12(frame: Frame) -> tuple[Offload | None, bool]:
    """The same on its kernel, which shows where the header begins as if its first byte were the checksum's end."""
    offload = frame.offload
    assert offload is not None
    return describe_offload(frame.data, offload.csum_start - 2, offload.gso_size)


@pytest.mark.parametrize("frame", FRAMES)
def test_each_transport_is_found_by_the_place_of_its_checksum(frame: Frame) -> None:
    assert told(frame) == (frame.offload, True)
    assert told_by_debian_12(frame) == (frame.offload, True)


@pytest.mark.parametrize("push", [PushVlan(), PushMpls(), PushPbb()])
@pytest.mark.parametrize("frame", FRAMES)
def test_and_so_it_is_behind_tags_below_labels_and_in_pbb(frame: Frame, push: PushVlan | PushMpls | PushPbb) -> None:
    deep = apply(apply(frame, push), push)

    assert told(deep) == (deep.offload, True)
    assert told_by_debian_12(deep) == (deep.offload, True)


def test_a_frame_with_nothing_left_to_do_has_no_offload() -> None:
    assert describe_offload(packets.tcp(), 0, 0) == (None, True)


def test_the_first_segment_alone_has_the_flag_that_the_window_was_reduced() -> None:
    frame = offloaded(packets.tcp(payload=bytes(3000), flags=0x90), 100)

    offload, is_whole = told(frame)

    assert offload is not None
    assert (offload.gso_type, is_whole) == (GsoType.TCPV4 | GsoType.ECN, True)


def test_options_and_extension_headers_before_the_transport_change_nothing() -> None:
    plain, router_alert = packets.udp(dst_port=5000), bytes.fromhex("94040000")
    with_options = plain[:14] + b"\x46" + plain[15:34] + router_alert + plain[34:]
    solicited = packets.udp(*V6, dst_port=5000)
    with_extension = solicited[:18] + b"\x00\x10\x3c" + solicited[21:54] + b"\x11" + bytes(7) + solicited[54:]

    assert describe_offload(with_options, 44, 0) == (Offload(38, 6), True)
    assert describe_offload(with_extension, 68, 0) == (Offload(62, 6), True)
    assert told_by_debian_12(Frame(with_options, Offload(38, 6))) == (Offload(38, 6), True)
    assert told_by_debian_12(Frame(with_extension, Offload(62, 6))) == (Offload(62, 6), True)


def vxlan(inner: Frame) -> Frame:
    """The frame in a tunnel: behind another IPv4 and UDP header without a checksum, and eight bytes of VXLAN."""
    data = packets.udp("192.0.2.1", "192.0.2.2", 50000, 4789, bytes.fromhex("0800000000000500") + inner.data)
    assert inner.offload is not None
    return Frame(data[:40] + b"\0\0" + data[42:], Offload(inner.offload.csum_start + 50, inner.offload.csum_offset))


def test_a_checksum_in_a_tunnel_is_found_but_how_to_cut_there_cannot_be_said() -> None:
    frame = vxlan(offloaded(packets.tcp(payload=bytes(3000))))
    assert frame.offload is not None

    assert told(frame) == (frame.offload, True)
    assert describe_offload(frame.data, 34 + 50 + 16, 1000) == (frame.offload, False)


def test_a_checksum_of_no_transport_that_is_known_is_not_guessed() -> None:
    assert describe_offload(packets.icmp_echo(payload=bytes(100)), 36, 0) == (None, False)
    assert describe_offload(bytes(100), 60, 0) == (None, False)


def test_places_in_rubbish_raise_nothing() -> None:
    for data in (packets.tcp(), packets.tcp(*V6), bytes(200), b"\x45" * 200):
        for at in range(14, len(data) - 1):
            for size in (0, 100):
                describe_offload(data, at, size)
