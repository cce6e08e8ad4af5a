"""Matches read and written by their shape are what doing it field by field gives, whatever the bytes."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.match import Match
from inband.openflow.errors import MalformedError
from inband.openflow.oxm import decode_fields_one_by_one, encode_fields, encode_fields_one_by_one, encode_match
from inband.openflow.shapes import MAX_BYTES, MAX_SHAPES, MAX_VARIANTS, Shapes
from inband.openflow.wire_fields import HEADERS, WIRE_FIELDS, WireField, field_header, masked_header
from inband.vocabulary.openflow_errors import ErrorCode
from tests.property.test_openflow_round_trip import matches

_MANY = settings(max_examples=400, deadline=None)
_USUAL = {
    "eth_type": (0x0800, 0x86DD, 0x0806, 0x8847),
    "ip_proto": (1, 6, 17, 58, 132),
    "icmpv6_type": (135, 136),
    "vlan_vid": (0, 5, 0x1000, 0x1005, 0x3005),
    "vlan_tci": (0, 5, 0x1000, 0xF005),
    "in_port": (1, 0xFF00, 0xFFFE),
}
_COMMON = [row for row in WIRE_FIELDS if row.name in (*_USUAL, "vlan_pcp", "ipv4_src", "ipv4_dst", "tcp_dst", "ip_tos")]

Answer = tuple[int, int] | ErrorCode


@st.composite
def shapes(draw: st.DrawFn) -> list[tuple[WireField, bool]]:
    """Headers in any order, some with masks; perhaps one twice, or one field in both kinds."""
    rows = draw(st.lists(st.sampled_from(_COMMON) | st.sampled_from(WIRE_FIELDS), min_size=1, max_size=6))
    return [(row, row.maskable and draw(st.booleans())) for row in rows]


@st.composite
def fields(draw: st.DrawFn, shape: list[tuple[WireField, bool]]) -> bytes:
    """Bytes of a shape: most often good ones, some with a bit too many."""
    out = b""
    for row, is_masked in shape:
        ones = (1 << row.size * 8) - 1
        values = st.integers(0, row.allowed).map(row.allowed.__and__)
        value = draw(st.sampled_from(_USUAL.get(row.name, (0, row.allowed))) | values | st.integers(0, ones)) & ones
        if is_masked:
            mask = draw(st.sampled_from((row.allowed, row.allowed & ~0xFF, 0x1000 & row.allowed)) | values)
            value = draw(st.sampled_from((value & mask, value)))
            out += masked_header(row).to_bytes(4, "big") + value.to_bytes(row.size, "big")
            out += mask.to_bytes(row.size, "big")
        else:
            out += row.header.to_bytes(4, "big") + value.to_bytes(row.size, "big")
    return out


def answer(data: bytes) -> Answer:
    """What the reading of field after field says."""
    try:
        return decode_fields_one_by_one(data, 0, len(data))
    except MalformedError as error:
        return error.code


def read(known: Shapes[None], data: bytes) -> tuple[int, int] | None:
    """What is read by shape."""
    found = known.read(data)
    return None if found is None else (found[0], found[1].mask)


def nothing() -> None:
    """The template of matches alone."""


def taught(known: Shapes[None], data: bytes) -> None:
    """Learn from these bytes if they are good; they come twice."""
    found = answer(data)
    if isinstance(found, tuple):
        for _ in range(2):
            known.learn(data, *found, nothing)


@_MANY
@given(st.data())
def test_what_is_read_by_its_shape_is_what_is_read_field_by_field(data: st.DataObject) -> None:
    known = Shapes[None]()
    shape = data.draw(shapes())

    for row in [data.draw(fields(shape)) for _ in range(4)]:
        found = read(known, row)
        assert found is None or found == answer(row)
        taught(known, row)
        found = read(known, row)
        assert found is None or found == answer(row)


@_MANY
@given(matches(), matches(), st.booleans(), st.data())
def test_bytes_that_were_changed_are_read_as_field_by_field_or_not_at_all(
    first: Match, second: Match, nxm: bool, data: st.DataObject
) -> None:
    known = Shapes[None]()
    good = [encode_fields(match.value, match.mask, nxm=nxm) for match in (first, second)]
    for each in good:
        taught(known, each)
    changed = bytearray(data.draw(st.sampled_from(good)))
    for at in data.draw(st.lists(st.integers(0, max(0, len(changed) - 1)), max_size=3)):
        if changed:
            changed[at] ^= 1 << data.draw(st.integers(0, 7))

    found = read(known, bytes(changed))

    assert found is None or found == answer(bytes(changed))


def _exact(name: str, number: int) -> bytes:
    row = HEADERS[field_header(name)]
    return (row.header << row.size * 8 | number).to_bytes(4 + row.size, "big")


def test_other_values_of_a_shape_are_read_at_once() -> None:
    known = Shapes[None]()
    taught(known, _exact("in_port", 1) + _exact("eth_type", 0x0800) + _exact("ipv4_dst", 1))

    other = _exact("in_port", 2) + _exact("eth_type", 0x0800) + _exact("ipv4_dst", 0xFFFFFFFF)

    assert read(known, other) == answer(other)
    assert read(known, _exact("in_port", 2) + _exact("eth_type", 0x0806) + _exact("ipv4_dst", 1)) is None


def test_nothing_is_learned_from_the_first_match_of_a_mask() -> None:
    known = Shapes[None]()
    first, second, third = (_exact("in_port", number) for number in (1, 2, 3))

    for each in (first, second):
        assert read(known, each) is None
        known.learn(each, *decode_fields_one_by_one(each, 0, len(each)), nothing)

    assert read(known, third) == answer(third)


def test_masks_without_end_are_not_all_remembered() -> None:
    known = Shapes[None]()
    row = HEADERS[field_header("metadata")]

    def masked(number: int) -> bytes:
        return masked_header(row).to_bytes(4, "big") + bytes(8) + number.to_bytes(8, "big")

    for number in range(1, MAX_VARIANTS * 3 // 2):
        taught(known, masked(number))
        assert len(known) <= MAX_VARIANTS

    assert read(known, masked(MAX_VARIANTS * 3 // 2 - 1)) is not None
    assert read(known, masked(1)) is None


def test_no_tag_is_not_read_as_a_vlan_without_the_bit_that_says_that_there_is_one() -> None:
    known = Shapes[None]()
    taught(known, _exact("vlan_vid", 5) + _exact("vlan_pcp", 0))

    none = _exact("vlan_vid", 0) + _exact("vlan_pcp", 0)

    assert read(known, none) in (None, answer(none))


def test_shapes_without_end_are_not_all_remembered() -> None:
    known = Shapes[None]()

    for number in range(MAX_VARIANTS + 10):
        taught(known, _exact("eth_type", number))
        assert len(known) <= MAX_VARIANTS

    assert read(known, _exact("eth_type", MAX_VARIANTS + 9)) is not None
    assert read(known, _exact("eth_type", 0)) is None


def test_of_shapes_of_one_length_the_latest_are_remembered() -> None:
    known = Shapes[None]()
    rows = [_exact(f"reg{first}", 1) + _exact(f"reg{second}", 1) for first, second in permutations(range(8), 2)]
    rows = rows[: MAX_SHAPES + 1]
    assert len(rows) > MAX_SHAPES

    for row in rows:
        taught(known, row)

    assert read(known, rows[0]) is None
    assert all(read(known, row) == answer(row) for row in rows[1:])
    assert len(known) == MAX_SHAPES


def test_a_very_long_match_is_read_and_not_remembered() -> None:
    known = Shapes[None]()
    long = b"".join(_exact(name, 1) for name in (*(f"reg{number}" for number in range(8)), "metadata", "tunnel_id"))
    longer = long + b"".join(_exact(name, 1) for name in ("eth_src", "eth_dst", "in_port", "ipv4_src"))
    longer += _exact("eth_type", 0x0800)
    assert len(long) <= MAX_BYTES < len(longer)

    taught(known, long)
    taught(known, longer)

    assert len(known) == 1
    assert read(known, longer) is None


@_MANY
@given(matches(), st.booleans())
def test_what_is_written_by_a_plan_is_what_is_written_field_by_field(match: Match, nxm: bool) -> None:
    written = encode_fields(match.value, match.mask, nxm=nxm)

    assert written == encode_fields_one_by_one(match.value, match.mask, nxm=nxm)


@_MANY
@given(matches())
def test_a_match_is_written_with_its_head_and_padding(match: Match) -> None:
    fields = encode_fields_one_by_one(match.value, match.mask)

    written = encode_match(match)

    assert written == (1 << 16 | 4 + len(fields)).to_bytes(4, "big") + fields + bytes(-(4 + len(fields)) % 8)
