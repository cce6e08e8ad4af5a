"""Header actions: the field changes, the checksums stay right, and nothing else happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.actions import (
    CopyTtlIn,
    CopyTtlOut,
    DecMplsTtl,
    DecNwTtl,
    HeaderAction,
    PopMpls,
    PopPbb,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    SetMplsTtl,
    SetNwTtl,
)
from inband.flow.fields import FIELDS, PIPELINE_FIELDS, VLAN_PRESENT, key_fields
from inband.packet.checksum import complete
from inband.packet.edit import apply
from inband.packet.frame import Frame, Offload
from inband.packet.parse import parse
from inband.packet.set_field import SLOTS
from inband.testing import packets
from tests.unit.packet.scapy_oracle import recomputed

V6 = (packets.IP6_A, packets.IP6_B)

FRAMES = {
    "tcp": packets.tcp(payload=b"odd"),
    "udp": packets.udp(payload=b"abcd"),
    "sctp": packets.sctp(chunks=bytes((0, 3, 0, 20)) + bytes(range(16))),
    "icmp": packets.icmp_echo(payload=b"x" * 9),
    "tcp over ipv6": packets.tcp(*V6, payload=b"odd"),
    "udp over ipv6": packets.udp(*V6, payload=b"abcd"),
    "icmpv6": packets.icmp_echo(*V6, payload=b"x" * 9),
    "neighbour solicitation": packets.neighbour_solicitation(),
    "neighbour advertisement": packets.neighbour_advertisement(),
    "arp": packets.arp_request(),
    "tagged tcp": packets.vlan(packets.tcp(), 100, 3),
    "dhcp": packets.dhcp_reply(),
}
MPLS = packets.ethernet(0x8847, bytes.fromhex("00064b40") + packets.tcp()[14:])
PBB = packets.ethernet(0x88E7, bytes.fromhex("20123456") + packets.tcp())

# Setting these makes another kind of packet of it, of which the parser says other things.
KINDS = ("eth_type", "ip_proto", "icmpv6_type", "icmpv6_code")
SETTABLE = tuple(SLOTS)

frames = st.sampled_from([*FRAMES.values(), MPLS, PBB])
fields = st.sampled_from(SETTABLE)


def _values(name: str) -> st.SearchStrategy[int]:
    return st.integers(0, FIELDS[name].all_ones)


@settings(max_examples=300)
@given(frames, fields, st.data())
def test_a_field_that_is_set_is_the_only_one_that_changes(data: bytes, name: str, draw: st.DataObject) -> None:
    value, mask = draw.draw(_values(name)), draw.draw(st.one_of(st.none(), _values(name)))
    before = key_fields(parse(data, 1))

    after = key_fields(parse(apply(Frame(data), SetField(name, value, mask)).data, 1))

    changed = {field for field in FIELDS if before.get(field) != after.get(field)}
    if name not in KINDS:
        assert changed <= {name}
        bits = FIELDS[name].all_ones if mask is None else mask
        if name == "vlan_vid":
            bits &= ~VLAN_PRESENT
        if name in before or changed:
            assert after.get(name, 0) == before.get(name, 0) & ~bits | value & bits


@settings(max_examples=300)
@given(st.sampled_from(sorted(FRAMES)), fields, st.data())
def test_checksums_stay_what_scapy_would_write(name: str, field: str, draw: st.DataObject) -> None:
    edited = apply(Frame(FRAMES[name]), SetField(field, draw.draw(_values(field))))

    if field not in KINDS:
        assert edited.data.hex() == recomputed(edited.data).hex()


@settings(max_examples=200)
@given(
    st.sampled_from(["tcp", "udp", "tcp over ipv6", "udp over ipv6", "tagged tcp"]),
    st.lists(st.tuples(fields.filter(lambda name: name != "eth_type"), st.integers(0)), max_size=3),
)
def test_editing_and_finishing_the_checksum_commute(name: str, edits: list[tuple[str, int]]) -> None:
    frame, left = Frame(FRAMES[name]), packets.offloaded(FRAMES[name])

    for field, value in edits:
        if field != "ip_proto":
            frame, left = (apply(each, SetField(field, value & FIELDS[field].all_ones)) for each in (frame, left))

    assert complete(left).data.hex() == frame.data.hex()


TAG_ACTIONS: list[HeaderAction] = [
    PushVlan(), PushVlan(0x88A8), PopVlan(), PushMpls(), PopMpls(0x0800), PushPbb(), PopPbb(),
    DecNwTtl(), SetNwTtl(9), DecMplsTtl(), SetMplsTtl(9), CopyTtlIn(), CopyTtlOut(),
]  # fmt: skip


@given(st.lists(st.sampled_from(TAG_ACTIONS), max_size=5), st.sampled_from(["tcp", "udp over ipv6", "tagged tcp"]))
def test_offload_moves_with_the_headers(actions: list[HeaderAction], name: str) -> None:
    frame, left = Frame(FRAMES[name]), packets.offloaded(FRAMES[name], gso_size=1000)
    header = left.data[left.offload.csum_start if left.offload else 0 :]

    for action in actions:
        frame, left = apply(frame, action), apply(left, action)

    assert left.offload is not None
    assert left.data[left.offload.csum_start :] == header
    assert left.offload.hdr_len == left.offload.csum_start + (8 if "udp" in name else 20)
    assert complete(left).data == frame.data


@pytest.mark.parametrize("name", PIPELINE_FIELDS)
def test_setting_a_pipeline_field_changes_no_packet(name: str) -> None:
    frame = Frame(FRAMES["tcp"])

    assert apply(frame, SetField(name, 1)) is frame


def test_a_field_the_packet_does_not_have_is_left_alone() -> None:
    frame = Frame(FRAMES["udp"])

    for name in ("tcp_src", "sctp_dst", "icmpv4_type", "ipv6_src", "arp_op", "vlan_vid", "mpls_label", "pbb_isid"):
        assert apply(frame, SetField(name, 1)) is frame


def test_setting_a_value_that_is_there_gives_the_same_frame() -> None:
    frame = Frame(FRAMES["tcp"])

    assert apply(frame, SetField("tcp_dst", 80)) is frame


def test_a_udp_packet_without_checksum_stays_without() -> None:
    data = FRAMES["udp"]
    frame = Frame(data[:40] + b"\0\0" + data[42:])

    edited = apply(apply(frame, SetField("udp_dst", 99)), SetField("ipv4_src", 1))

    assert edited.data[40:42] == b"\0\0"


def test_a_udp_checksum_that_becomes_zero_is_sent_as_all_ones() -> None:
    data = FRAMES["udp"]
    old = int.from_bytes(data[40:42], "big")
    wanted = (40000 + old) % 0xFFFF  # raising the port by what the checksum is lowers the checksum to 0

    edited = apply(Frame(data), SetField("udp_src", wanted))

    assert edited.data[40:42] == b"\xff\xff"


def test_a_wrong_checksum_stays_wrong() -> None:
    data = FRAMES["tcp"]
    frame = Frame(data[:50] + b"\x12\x34" + data[52:])

    edited = apply(frame, SetField("ipv4_dst", 0x0A0A0A0A)).data

    assert edited != recomputed(edited)


def test_later_fragments_keep_their_payload() -> None:
    data = FRAMES["udp"]
    frame = Frame(data[:20] + b"\x00\x05" + data[22:])

    edited = apply(frame, SetField("ipv4_dst", 0x0A0A0A0A))

    assert edited.data[34:] == frame.data[34:]
    assert edited.data[30:34] == b"\x0a\x0a\x0a\x0a"


def test_a_destination_that_a_routing_header_hides_is_in_no_checksum() -> None:
    data = FRAMES["udp over ipv6"]
    routing = bytes((17, 0, 0, 1, 0, 0, 0, 0))
    frame = Frame(data[:19] + bytes((data[19] + 8, 43)) + data[21:54] + routing + data[54:])

    edited = apply(frame, SetField("ipv6_dst", 5))

    assert edited.data[54:] == frame.data[54:]
    assert apply(frame, SetField("ipv6_src", 5)).data[68:70] != frame.data[68:70]


def test_ttls_stop_at_zero() -> None:
    spent = Frame(packets.tcp(ttl=0))

    assert apply(spent, DecNwTtl()) is spent
    assert key_fields(parse(apply(Frame(packets.tcp(ttl=1)), DecNwTtl()).data, 1)).get("ip_ttl") is None


def test_a_pushed_tag_copies_the_one_below() -> None:
    pushed = apply(Frame(FRAMES["tagged tcp"]), PushVlan(0x88A8))

    assert pushed.data[12:20] == bytes.fromhex("88a8 6064 8100 6064")


def test_popping_what_was_pushed_gives_the_frame_back() -> None:
    for data in (*FRAMES.values(), MPLS, PBB):
        frame = Frame(data)
        eth_type = int.from_bytes(data[12:14], "big")
        assert apply(apply(frame, PushVlan()), PopVlan()) == frame
        assert apply(apply(frame, PushPbb()), PopPbb()) == frame
        assert apply(apply(frame, PushMpls()), PopMpls(eth_type)) == frame


def test_an_mpls_shim_is_pushed_before_vlan_tags() -> None:
    pushed = apply(Frame(FRAMES["tagged tcp"]), PushMpls())

    assert pushed.data[12:20] == bytes.fromhex("8847 00000140 6064")


def test_a_second_label_copies_the_first_and_is_not_the_bottom() -> None:
    fields = key_fields(parse(apply(Frame(MPLS), PushMpls()).data, 1))

    assert (fields["mpls_label"], fields["mpls_tc"], fields["mpls_ttl"]) == (100, 5, 64)
    assert "mpls_bos" not in fields


def test_ttls_are_copied_between_labels_and_to_ip() -> None:
    two = apply(apply(Frame(MPLS), PushMpls()), SetMplsTtl(7))

    assert apply(two, CopyTtlIn()).data[21] == 7
    assert apply(two, CopyTtlOut()).data[17] == 64
    inner = apply(apply(apply(Frame(MPLS), SetMplsTtl(7)), CopyTtlIn()), PopMpls(0x0800)).data
    assert key_fields(parse(inner, 1))["ip_ttl"] == 7
    assert inner == recomputed(inner)


def test_copying_ttls_needs_two_headers_that_have_one() -> None:
    for data in (FRAMES["tcp"], FRAMES["arp"], packets.ethernet(0x8847, bytes.fromhex("00064b40"))):
        frame = Frame(data)
        assert apply(frame, CopyTtlIn()) is frame
        assert apply(frame, CopyTtlOut()) is frame


def test_popping_pbb_keeps_the_tags_before_it() -> None:
    frame = Frame(packets.vlan(PBB, 9))

    popped = apply(frame, PopPbb()).data

    assert popped == packets.vlan(packets.tcp(), 9)


def test_pushing_pbb_copies_priority_and_service() -> None:
    assert apply(Frame(FRAMES["tagged tcp"]), PushPbb()).data[12:18] == bytes.fromhex("88e7 60000000")
    assert apply(Frame(PBB), PushPbb()).data[12:18] == bytes.fromhex("88e7 00123456")


@pytest.mark.parametrize("action", [PopVlan(), PopMpls(0x0800), PopPbb(), SetMplsTtl(1), DecMplsTtl()])
def test_a_pop_of_what_is_not_there_changes_nothing(action: HeaderAction) -> None:
    frame = Frame(FRAMES["tcp"])

    assert apply(frame, action) is frame


@pytest.mark.parametrize("action", [*TAG_ACTIONS, *(SetField(name, 1) for name in SETTABLE)])
def test_frames_cut_anywhere_can_be_edited(action: HeaderAction) -> None:
    for data in (packets.vlan(FRAMES["tcp"], 5), FRAMES["neighbour solicitation"], MPLS, PBB):
        for size in range(0, len(data), 3):
            apply(Frame(data[:size], Offload(34, 16)), action)
