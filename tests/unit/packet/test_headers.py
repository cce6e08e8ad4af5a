"""The editor's view of a frame and the parser's are one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.fields import VLAN_PRESENT, key_fields
from inband.packet.headers import innermost_ip, locate
from inband.packet.parse import parse
from inband.packet.set_field import SLOTS, read_field
from inband.testing import packets

SEEDS = [
    packets.tcp(), packets.udp(packets.IP6_A, packets.IP6_B), packets.sctp(), packets.icmp_echo(),
    packets.arp_reply(), packets.neighbour_solicitation(), packets.neighbour_advertisement(),
    packets.vlan(packets.vlan(packets.tcp(), 5), 6), packets.ethernet(0x8847, bytes.fromhex("00064b40") * 2),
    packets.ethernet(0x88E7, bytes.fromhex("20123456") + packets.tcp()),
    packets.ethernet(36, b"\xaa\xaa\x03\0\0\0\x08\x06" + packets.arp_reply()[14:]),
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good frame with some bytes changed and perhaps its end cut."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for at, value in draw(st.lists(st.tuples(st.integers(12, 90), st.integers(0, 255)), max_size=4)):
        if at < len(data):
            data[at] = value
    return bytes(data[: draw(st.integers(0, 120))])


@settings(max_examples=500)
@given(st.one_of(mutated(), st.sampled_from(SEEDS)))
def test_every_field_the_parser_reads_is_read_where_the_editor_writes(data: bytes) -> None:
    fields = key_fields(parse(data, 1))

    for name in SLOTS:
        value = read_field(data, name)
        if name == "vlan_vid" and value is not None:
            value |= VLAN_PRESENT
        if name == "eth_type" and value is None:
            continue  # 802.3 frames have a type in the key alone
        assert fields.get(name, 0) == (value or 0), name


@pytest.mark.parametrize("inner", [packets.tcp(), packets.udp(packets.IP6_A, packets.IP6_B)])
def test_ip_is_found_below_shims(inner: bytes) -> None:
    label, bottom = bytes.fromhex("00064a40"), bytes.fromhex("00064b40")
    mpls = packets.ethernet(0x8847, label + bottom + inner[14:])
    pbb = packets.ethernet(0x88E7, bytes(4) + mpls)

    assert innermost_ip(inner) == 14
    assert innermost_ip(mpls) == 22
    assert innermost_ip(packets.vlan(pbb, 3)) == 44


@pytest.mark.parametrize(
    "data",
    [
        b"",
        packets.arp_request(),
        packets.ethernet(0x8847, bytes.fromhex("00064a40") * 1000),
        packets.ethernet(0x8847, bytes.fromhex("00064b40") + b"\x45"),
        packets.ethernet(0x88E7, bytes(4)),
        packets.tcp()[:12] + (b"\x88\xe7" + bytes(16)) * 1000,
    ],
)
def test_no_ip_is_found_where_there_is_none(data: bytes) -> None:
    assert innermost_ip(data) == 0


def test_a_short_frame_has_no_headers() -> None:
    assert not locate(packets.tcp()[:13]).places
