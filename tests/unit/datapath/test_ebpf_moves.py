"""Moves between fields as ops: what each of them does to the program's words makes the whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.datapath.ebpf.keys import PIPELINE_PLACES, PLACES
from inband.datapath.ebpf.layout import FIRST_FIELD_WORD, MOVED_SHIFT, MOVED_WORDS, OP, OpKind
from inband.datapath.ebpf.moves import move_ops, set_ops
from inband.datapath.ebpf.ops import UnfitError
from inband.flow.actions import MoveField
from inband.flow.fields import FIELDS
from inband.flow.match import ANY, Match

_EVERYWHERE = ("in_port", "eth_dst", "eth_src", "vlan_vid", "vlan_pcp", "ip_ttl", "ip_proto", "tcp_flags")
sources = st.sampled_from((*_EVERYWHERE, *PIPELINE_PLACES))
destinations = st.sampled_from(tuple(PIPELINE_PLACES))
all_words = st.lists(st.integers(0, (1 << 32) - 1), min_size=MOVED_WORDS, max_size=MOVED_WORDS)


def value_of(words: list[int], name: str) -> int:
    """A field's value in a row of words."""
    field = FIELDS[name]
    if name in PIPELINE_PLACES:
        row = sum(word << 32 * at for at, word in enumerate(words[FIRST_FIELD_WORD:]))
        return row >> PIPELINE_PLACES[name] & field.all_ones
    at, size, shift = PLACES[name]
    key = b"".join(word.to_bytes(4, "big") for word in words[:FIRST_FIELD_WORD])
    return int.from_bytes(key[at : at + size], "big") >> shift & field.all_ones


def run(ops: list[bytes], words: list[int]) -> None:
    """As ``bpf/walk.h``."""
    for kind, arg8, arg16, arg32 in map(OP.unpack, ops):
        at = FIRST_FIELD_WORD + arg8
        match kind:
            case OpKind.MOVE:
                ones = (1 << arg8) - 1
                (start, right), (to, left) = (divmod(each, 1 << MOVED_SHIFT) for each in (arg16, arg32))
                assert to >= FIRST_FIELD_WORD
                assert max(right, left) + arg8 <= 32
                words[to] = words[to] & ~(ones << left) | (words[start] >> right & ones) << left
            case OpKind.LOAD_FIELD:
                words[at] = arg32
            case OpKind.CLEAR_BITS:
                words[at] &= ~arg32
            case OpKind.SET_BITS:
                words[at] |= arg32
            case _:
                raise AssertionError(kind)


@settings(max_examples=300, deadline=None)
@given(source=sources, destination=destinations, words=all_words, data=st.data())
def test_bits_are_moved_and_no_others_change(
    source: str, destination: str, words: list[int], data: st.DataObject
) -> None:
    bits = data.draw(st.integers(1, min(FIELDS[source].bits, FIELDS[destination].bits)))
    start = data.draw(st.integers(0, FIELDS[source].bits - bits))
    to = data.draw(st.integers(0, FIELDS[destination].bits - bits))
    before = {name: value_of(words, name) for name in (*_EVERYWHERE, *PIPELINE_PLACES)}
    ones = (1 << bits) - 1
    moved = before[destination] & ~(ones << to) | (before[source] >> start & ones) << to

    try:
        ops = move_ops(MoveField(source, destination, bits, start, to), ANY)
    except UnfitError:
        assert source == destination
        return
    run(ops, words)

    assert {name: value_of(words, name) for name in before} == before | {destination: moved}


@settings(max_examples=200, deadline=None)
@given(name=destinations, words=all_words, data=st.data())
def test_bits_are_set_and_no_others_change(name: str, words: list[int], data: st.DataObject) -> None:
    numbers = st.integers(0, FIELDS[name].all_ones)
    value, mask = data.draw(numbers), data.draw(st.one_of(st.none(), numbers))
    before = {each: value_of(words, each) for each in PIPELINE_PLACES}
    bits = FIELDS[name].all_ones if mask is None else mask

    run(set_ops(name, value, mask), words)

    assert {each: value_of(words, each) for each in before} == before | {name: before[name] & ~bits | value & bits}


@pytest.mark.parametrize(
    ("move", "match"),
    [
        (MoveField("tcp_dst", "reg0", 16), ANY),  # that may be UDP's
        (MoveField("ipv4_src", "reg0", 32), Match.of(eth_type=0x86DD)),
        (MoveField("reg0", "eth_type", 16), ANY),
        (MoveField("reg0", "arp_op", 16), ANY),
        (MoveField("reg0", "in_port", 16), ANY),
        (MoveField("in_phy_port", "reg0", 32), ANY),
        (MoveField("reg0", "reg1", 33), ANY),
        (MoveField("reg0", "reg1", 8, 0, 25), ANY),
    ],
)
def test_other_moves_are_left_to_the_switch(move: MoveField, match: Match) -> None:
    with pytest.raises(UnfitError):
        move_ops(move, match)


def test_what_a_flow_matches_tells_apart_fields_that_share_a_place() -> None:
    tcp = Match.of(eth_type=0x0800, ip_proto=6)

    assert move_ops(MoveField("tcp_dst", "reg0", 16), tcp) == move_ops(
        MoveField("udp_dst", "reg0", 16), Match.of(eth_type=0x86DD, ip_proto=17)
    )
