"""Microflow keys: equal keys mean equal flow keys, whatever the frames hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inband.datapath.microflow import BLIND_BITS, SPARE, microflow_key
from inband.flow.fields import make_key
from inband.packet.parse import parse
from inband.testing import packets

FRAMES = {
    "tcp": packets.tcp(),
    "udp": packets.udp(payload=b"payload"),
    "tcp over IPv6": packets.tcp(packets.IP6_A, packets.IP6_B),
    "udp over IPv6": packets.udp(packets.IP6_A, packets.IP6_B, payload=b"payload"),
    "tagged tcp": packets.vlan(packets.tcp(), 5),
}


def key_of(frame: bytes) -> tuple[int, ...] | None:
    # What stands behind a frame in the buffer belongs to an earlier one.
    return microflow_key(frame + b"\x45" * (SPARE + 10), 0, len(frame))


@pytest.mark.parametrize("name", FRAMES)
def test_a_tcp_or_udp_frame_has_a_key(name: str) -> None:
    assert key_of(FRAMES[name]) is not None


@pytest.mark.parametrize("name", FRAMES)
def test_padding_does_not_change_the_key(name: str) -> None:
    assert key_of(FRAMES[name] + bytes(18)) == key_of(FRAMES[name])


@pytest.mark.parametrize(
    "frame",
    [
        packets.arp_request(),
        packets.icmp_echo(),
        packets.icmp_echo(packets.IP6_A, packets.IP6_B),
        packets.neighbour_solicitation(),
        packets.sctp(),
        packets.vlan(packets.vlan(packets.tcp(), 5), 6),
        packets.vlan(packets.arp_request(), 5),
        packets.ethernet(0x88B5, bytes(60)),
        b"",
        bytes(14),
    ],
)
def test_other_frames_have_no_key(frame: bytes) -> None:
    assert key_of(frame) is None


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_cut_anywhere_has_no_key(name: str) -> None:
    whole = FRAMES[name]

    assert all(key_of(whole[:length]) is None for length in range(len(whole)))


def test_a_fragment_has_no_key() -> None:
    first = bytearray(packets.udp(payload=b"payload"))
    first[20] = 0x20

    assert key_of(bytes(first)) is None


def test_ipv4_options_have_no_key() -> None:
    frame = bytearray(packets.tcp(payload=bytes(20)))
    frame[14] = 0x46

    assert key_of(bytes(frame)) is None


def test_two_directions_have_different_keys() -> None:
    there = packets.tcp("10.0.0.1", "10.0.0.2", 1000, 80)
    back = packets.tcp("10.0.0.2", "10.0.0.1", 80, 1000)

    assert key_of(there) != key_of(back)


def test_segments_of_a_connection_share_a_key() -> None:
    syn = packets.tcp(flags=0x02, sequence=1)
    data = packets.tcp(flags=0x18, sequence=77, payload=b"data")

    assert key_of(syn) == key_of(data)
    assert parse(syn, 1) != parse(data, 1)


# One or two bytes changed, mostly in the headers, is how frames with nearly the same key come about.
_CHANGES = st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), min_size=1, max_size=3)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FRAMES)), _CHANGES, st.integers(0, 80))
@example("tcp", [(16, 0), (17, 39)], 80)
@example("udp", [(16, 0xFF)], 80)
def test_equal_microflow_keys_mean_equal_flow_keys(name: str, changes: list[tuple[int, int]], length: int) -> None:
    frame = FRAMES[name]
    changed = bytearray(frame)
    for at, value in changes:
        changed[at % len(changed)] = value
    other = bytes(changed[: max(length, len(frame) - 3)])

    if key_of(frame) == key_of(other):
        assert parse(frame, 1) & ~BLIND_BITS == parse(other, 1) & ~BLIND_BITS


@pytest.mark.parametrize("name", FRAMES)
def test_every_single_byte_that_leaves_the_key_alone_leaves_the_flow_key_alone(name: str) -> None:
    frame = FRAMES[name]

    for at in range(len(frame)):
        for value in (0x00, 0x40, 0xFF, frame[at] ^ 1):
            other = frame[:at] + bytes((value,)) + frame[at + 1 :]
            if key_of(other) == key_of(frame):
                assert (parse(other, 1) ^ parse(frame, 1)) & ~BLIND_BITS == 0, (
                    f"byte {at} = {value:#x}: src/inband/datapath/microflow.py: into the key, or BLIND_BITS"
                )


def test_blind_bits_are_tcp_flags_and_nothing_else() -> None:
    assert make_key(tcp_flags=0xFFF) == BLIND_BITS
