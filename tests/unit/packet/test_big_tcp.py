"""TCP segments of more than 64 kB that wait to be cut (Linux's BIG TCP): no length field says how long they are."""

from __future__ import annotations

import pytest

from inband.flow.actions import DecNwTtl, PushMpls, PushVlan, SetField
from inband.flow.fields import FIELDS
from inband.packet.checksum import segment
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.packet.headers import locate
from inband.packet.parse import parse, parse_checked
from inband.testing import packets
from tests.unit.packet.scapy_oracle import recomputed

V4, V6 = (packets.IP_A, packets.IP_B), (packets.IP6_A, packets.IP6_B)
PAYLOAD = bytes(range(256)) * 300
BIG = {
    "IPv4": packets.big_tcp(*V4, PAYLOAD, gso_size=1000),
    "IPv6": packets.big_tcp(*V6, PAYLOAD, gso_size=1000),
    "IPv6 with a length of its own": packets.big_tcp(*V6, PAYLOAD, gso_size=1000, has_jumbo_header=True),
}


@pytest.mark.parametrize("kind", BIG)
def test_it_has_the_fields_of_its_segments(kind: str) -> None:
    key, fault = parse_checked(BIG[kind].data, 1)

    assert fault is None
    assert key == parse(segment(BIG[kind])[-1].data, 1)
    assert FIELDS["tcp_dst"].get(key) == 80
    assert locate(BIG[kind].data).end == len(BIG[kind].data)


@pytest.mark.parametrize("kind", BIG)
def test_it_is_cut_into_finished_packets_that_join_to_the_whole(kind: str) -> None:
    cut = segment(BIG[kind])

    payloads = [frame.data[locate(frame.data).places["tcp"] + 20 :] for frame in cut]
    assert [len(payload) for payload in payloads] == [1000] * 76 + [800]
    assert b"".join(payloads) == PAYLOAD
    assert all(recomputed(frame.data) == frame.data for frame in cut)
    assert len(cut) == BIG[kind].segments


@pytest.mark.parametrize("kind", BIG)
@pytest.mark.parametrize(
    "action", [PushVlan(), DecNwTtl(), SetField("tcp_dst", 81), SetField("ipv4_dst", 9), PushMpls()]
)
def test_to_edit_and_to_cut_it_is_to_cut_and_to_edit_it(
    kind: str, action: PushVlan | DecNwTtl | SetField | PushMpls
) -> None:
    frame = BIG[kind]

    assert segment(apply(frame, action)) == [apply(each, action) for each in segment(frame)]


@pytest.mark.parametrize("kind", BIG)
def test_without_a_length_a_frame_of_64_kb_and_less_is_no_packet(kind: str) -> None:
    data = BIG[kind].data[: 14 + 0xFFFF]

    key = parse(data, 1)

    assert not FIELDS["tcp_dst"].get(key)
    assert "tcp" not in locate(data).places


def test_a_hop_by_hop_header_with_something_else_in_it_is_one() -> None:
    frame = BIG["IPv6 with a length of its own"]
    data = frame.data[:56] + b"\x05" + frame.data[57:]  # a router alert instead of the length

    assert FIELDS["ipv6_exthdr"].get(parse(data, 1)) == 64
    assert FIELDS["ipv6_exthdr"].get(parse(frame.data, 1)) == 0


def test_what_a_label_was_pushed_in_front_of_is_cut_with_its_tags() -> None:
    tagged = apply(packets.offloaded(packets.tcp(payload=PAYLOAD[:3000]), 1000), PushVlan())

    assert segment(apply(tagged, PushMpls())) == [apply(each, PushMpls()) for each in segment(tagged)]
    assert len(segment(tagged)) == 3


@pytest.mark.parametrize("kind", BIG)
def test_cut_off_anywhere_in_its_headers_it_raises_nothing(kind: str) -> None:
    frame = BIG[kind]
    for at in range(14, 100):
        data = frame.data[:at] + bytes(0x10000)
        parse(data, 1)
        segment(Frame(data, frame.offload))
