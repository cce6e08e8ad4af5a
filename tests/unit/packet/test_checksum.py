"""Finishing checksums, cutting segments, and seeing which frames need it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.actions import PushMpls, PushPbb, PushVlan
from inband.packet.checksum import complete, segment
from inband.packet.edit import apply
from inband.packet.frame import Frame, GsoType, Offload
from inband.testing import packets
from tests.unit.packet.scapy_oracle import IP, Ether, IPv6, recomputed

V4 = (packets.IP_A, packets.IP_B)
V6 = (packets.IP6_A, packets.IP6_B)

payloads = st.binary(max_size=100)
addresses = st.sampled_from([V4, V6])


@given(addresses, payloads, st.booleans())
def test_a_completed_frame_is_what_the_sender_would_have_sent(
    ips: tuple[str, str], payload: bytes, is_tcp: bool
) -> None:
    whole = packets.tcp(*ips, payload=payload) if is_tcp else packets.udp(*ips, payload=payload)

    assert complete(packets.offloaded(whole)) == Frame(whole)


def test_a_frame_without_offload_is_complete_already() -> None:
    frame = Frame(packets.tcp())

    assert complete(frame) is frame
    assert segment(frame) == [frame]


@pytest.mark.parametrize("offload", [Offload(), Offload(53, 16), Offload(60000, 16), Offload(-1, 0, 1, 100, 54)])
def test_offload_that_does_not_fit_the_frame_is_dropped(offload: Offload) -> None:
    data = packets.tcp()

    assert complete(Frame(data, offload)) == Frame(data)
    assert segment(Frame(data, offload)) == [Frame(data)]


def test_sctp_left_to_the_card_gets_its_crc() -> None:
    whole = packets.sctp(chunks=b"abcdefgh")
    left = whole[:42] + bytes(4) + whole[46:]

    assert complete(Frame(left, Offload(34, 8))) == Frame(whole)


@settings(max_examples=60)
@given(addresses, st.binary(min_size=1, max_size=400), st.integers(20, 200), st.integers(0, 0x1FF))
def test_tcp_segments_are_finished_packets_that_join_to_the_whole(
    ips: tuple[str, str], payload: bytes, size: int, flags: int
) -> None:
    whole = packets.tcp(*ips, payload=payload, flags=flags, sequence=0xFFFFFFF0)

    cut = segment(packets.offloaded(whole, gso_size=size))

    layers = [Ether(frame.data)["TCP"] for frame in cut]
    assert b"".join(bytes(layer.payload) for layer in layers) == payload
    assert all(frame.offload is None and frame.data == recomputed(frame.data) for frame in cut)
    assert [layer.seq for layer in layers] == [(0xFFFFFFF0 + i * size) % 2**32 for i in range(len(layers))]
    assert all(len(layer.payload) == size for layer in layers[:-1])
    assert [int(layer.flags) & ~0x89 for layer in layers] == [flags & ~0x89] * len(layers)
    assert int(layers[-1].flags) & 0x09 == flags & 0x09
    assert int(layers[0].flags) & 0x80 == flags & 0x80
    assert not any(int(layer.flags) & 0x09 for layer in layers[:-1])
    assert not any(int(layer.flags) & 0x80 for layer in layers[1:])


@settings(max_examples=40)
@given(addresses, st.binary(min_size=1, max_size=400), st.integers(1, 200))
def test_udp_segments_are_datagrams_of_their_own(ips: tuple[str, str], payload: bytes, size: int) -> None:
    whole = packets.udp(*ips, payload=payload)

    cut = segment(packets.offloaded(whole, gso_size=size))

    datagrams = [Ether(frame.data)["UDP"] for frame in cut]
    assert b"".join(bytes(datagram.payload) for datagram in datagrams) == payload
    assert all(datagram.len == 8 + len(datagram.payload) for datagram in datagrams)
    assert all(frame.data == recomputed(frame.data) for frame in cut)


def test_ipv4_identifications_count_up() -> None:
    cut = segment(packets.offloaded(packets.tcp(payload=bytes(300)), gso_size=100))

    assert [Ether(frame.data)[IP].id for frame in cut] == [0, 1, 2]


def test_ipv6_segments_say_their_own_length() -> None:
    cut = segment(packets.offloaded(packets.tcp(*V6, payload=bytes(250)), gso_size=100))

    assert [Ether(frame.data)[IPv6].plen for frame in cut] == [120, 120, 70]


@pytest.mark.parametrize("push", [PushVlan(), PushMpls(), PushPbb()])
def test_segments_are_cut_below_pushed_headers(push: PushVlan | PushMpls | PushPbb) -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(range(200))), gso_size=80)
    plain = [apply(each, push) for each in segment(frame)]

    assert segment(apply(frame, push)) == plain


def test_the_ecn_bit_of_the_gso_type_is_no_other_type() -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(200), flags=0x90), gso_size=100)
    assert frame.offload is not None
    with_ecn = replace(frame, offload=replace(frame.offload, gso_type=GsoType.TCPV4 | GsoType.ECN))

    assert segment(with_ecn) == segment(frame)


def test_a_64_kb_frame_counts_and_cuts_the_same() -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(65000)), gso_size=1448)

    assert len(segment(frame)) == frame.segments == 45


def test_a_gso_frame_with_one_segment_is_just_completed() -> None:
    whole = packets.tcp(payload=b"abc")

    assert segment(packets.offloaded(whole, gso_size=100)) == [Frame(whole)]


def test_an_unknown_gso_type_is_sent_whole() -> None:
    frame = packets.offloaded(packets.udp(payload=bytes(200)), gso_size=100)
    assert frame.offload is not None
    ufo = replace(frame, offload=replace(frame.offload, gso_type=GsoType.UDP))

    assert segment(ufo) == [Frame(packets.udp(payload=bytes(200)))]


def test_a_checksum_that_starts_inside_the_ip_header_cuts_nothing() -> None:
    data = packets.udp(*V6, payload=bytes(40))

    assert len(segment(Frame(data, Offload(38, 6, GsoType.UDP_L4, 8, 62)))) == 1


def test_segments_longer_than_a_packet_can_be_are_not_cut() -> None:
    data = packets.tcp(payload=bytes(65000)) + bytes(2000)

    assert len(segment(Frame(data, Offload(34, 16, GsoType.TCPV4, 65500, 54)))) == 1


def test_frames_cut_anywhere_can_be_finished_and_cut() -> None:
    frame = packets.offloaded(packets.tcp(*V6, payload=bytes(100)), gso_size=30)

    for size in range(len(frame.data)):
        complete(replace(frame, data=frame.data[:size]))
        segment(replace(frame, data=frame.data[:size]))
