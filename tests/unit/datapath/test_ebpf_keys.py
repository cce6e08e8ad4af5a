"""Matches in the kernel's words: the same packets match."""

from __future__ import annotations

import sys

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inband.datapath.ebpf.keys import KernelMatch, KeyCompiler, field_words_of, hash_of, with_mask_id, words_of
from inband.flow.fields import ALL_BITS, FIELDS, make_key
from inband.flow.match import ANY, Match
from inband.packet.parse import parse
from inband.testing import packets
from tests.packets.rows import ROWS

FRAMES = [row.frame.data for row in ROWS] + [
    packets.tcp(packets.IP6_A, packets.IP6_B),
    packets.neighbour_advertisement(),
    packets.arp_reply(),
    packets.sctp(),
    packets.icmp_echo(packets.IP6_A, packets.IP6_B),
]
KEYS = [parse(frame, port) for frame in FRAMES for port in (1, 0xFFFFFFFE)]

TCP = parse(packets.tcp(dst_port=80), 1)
UDP = parse(packets.udp(dst_port=80), 1)


def compile_alone(match: Match) -> KernelMatch | None:
    """The match for the kernel, made for a packet that has only what it matches."""
    return KeyCompiler().compile(match, match.value)


def packet_key(key: int) -> int:
    """A packet's whole key in the kernel."""
    compiled = compile_alone(Match(key, ALL_BITS))
    assert compiled is not None
    return compiled.key


def matches(compiled: KernelMatch, key: int) -> bool:
    return packet_key(key) & int.from_bytes(compiled.mask, "big") == compiled.key


names = st.sampled_from(sorted(FIELDS))


@settings(max_examples=150, deadline=None)
@given(packet=st.sampled_from(KEYS), others=st.lists(st.sampled_from(KEYS), max_size=8), fields=st.sets(names))
def test_a_packet_matches_in_the_kernel_if_it_matches_here(packet: int, others: list[int], fields: set[str]) -> None:
    mask = sum(FIELDS[name].mask for name in fields)
    match = Match(packet & mask, mask)

    compiled = KeyCompiler().compile(match, packet)

    assert compiled is not None
    assert matches(compiled, packet)
    for other in others:
        assert not matches(compiled, other) or match.matches(other)


@settings(max_examples=100, deadline=None)
@given(
    packet=st.sampled_from(KEYS),
    other=st.sampled_from(KEYS),
    fields=st.sets(names),
    bits=st.integers(min_value=0, max_value=ALL_BITS),
)
def test_a_match_that_names_the_kind_of_packet_is_not_narrowed(
    packet: int, other: int, fields: set[str], bits: int
) -> None:
    pins = sum(FIELDS[name].mask for name in ("eth_type", "ip_proto", "icmpv6_type"))
    mask = pins | sum(FIELDS[name].mask for name in fields) & bits
    match = Match(packet & mask, mask)

    compiled = KeyCompiler().compile(match, packet)

    assert compiled is not None
    assert matches(compiled, other) == match.matches(other)


def test_a_match_of_everything_has_an_empty_mask() -> None:
    compiled = compile_alone(ANY)

    assert compiled == KernelMatch(bytes(96), 0)


def test_ports_without_a_protocol_are_narrowed_by_the_packet() -> None:
    match = Match.of(udp_dst=(0, 1))

    compiled = KeyCompiler().compile(match, TCP)

    assert compiled is not None
    assert matches(compiled, TCP)
    assert not matches(compiled, UDP)


def test_a_match_that_no_packet_can_have_cannot_be_said() -> None:
    assert compile_alone(Match.of(metadata=5)) is None
    assert compile_alone(Match.of(eth_type=0x0806, ip_proto=0, tcp_dst=80)) is None


def test_fields_that_the_packet_does_not_have_need_no_place() -> None:
    with_zero = compile_alone(Match.of(eth_type=0x0800, ip_proto=6, udp_dst=0, metadata=0, tcp_dst=80))
    without = compile_alone(Match.of(eth_type=0x0800, ip_proto=6, tcp_dst=80))

    assert with_zero == without


def test_one_compiler_keeps_kinds_of_packets_apart() -> None:
    compiler = KeyCompiler()
    fields = ("eth_type", "ip_proto", "tcp_dst", "udp_dst")
    mask = sum(FIELDS[name].mask for name in fields)

    tcp, udp = (compiler.compile(Match(key & mask, mask), key) for key in (TCP, UDP))

    assert tcp is not None
    assert udp is not None
    assert [matches(tcp, key) for key in (TCP, UDP)] == [True, False]
    assert [matches(udp, key) for key in (TCP, UDP)] == [False, True]


def test_the_masks_number_stands_in_the_key_and_nowhere_in_a_packets() -> None:
    key = with_mask_id(packet_key(make_key(in_port=1, eth_type=0x0800)), 7)

    assert key[:8] == bytes([0, 0, 0, 1, 0, 7, 8, 0])


def test_masks_of_ethernet_ipv4_and_ports_are_short() -> None:
    short = compile_alone(Match.of(eth_type=0x0800, ip_proto=6, ipv4_dst=1, tcp_dst=80, eth_src=3))
    long = compile_alone(Match.of(eth_type=0x86DD, ipv6_dst=1))

    assert short is not None
    assert long is not None
    assert (words_of(short.mask), words_of(long.mask)) == (5, 12)


def test_a_hash_is_of_so_many_words_and_of_a_secret() -> None:
    key, secret = bytes(range(96)), range(1, 25)
    changed = key[:40] + bytes(56)

    assert hash_of(key, 12, secret) != hash_of(changed, 12, secret)
    assert hash_of(key, 5, secret) == hash_of(changed, 5, secret)
    assert hash_of(key, 5, secret) != hash_of(key, 5, [0] * 24)


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 39), bit=st.integers(0, 7), secret=st.lists(st.integers(2, 2**32 - 1), min_size=24))
def test_a_single_bit_makes_another_hash(at: int, bit: int, secret: list[int]) -> None:
    key = bytearray(with_mask_id(packet_key(TCP), 1))
    partner = at // 4 ^ 1
    # NH multiplies the halves of a word: one whose sum with its secret is 0 (1 secret in 2^32) hides the other.
    assume((int.from_bytes(key[4 * partner : 4 * partner + 4], sys.byteorder) + secret[partner]) % 2**32)
    before = hash_of(bytes(key), 5, secret)
    key[at] ^= 1 << bit

    assert hash_of(bytes(key), 5, secret) != before


def test_a_match_of_a_later_table_has_metadata_tunnel_id_and_registers_beside_its_key() -> None:
    match = Match.of(eth_type=0x0800, metadata=(5, 7), tunnel_id=9, reg0=1, reg7=(0x80000000, 0xFF000000))

    there, is_all = KeyCompiler().widen(match, has_fields=True)
    plain, _ = KeyCompiler().widen(Match.of(eth_type=0x0800), has_fields=True)

    assert is_all
    assert plain is not None
    assert there == plain._replace(
        fields_mask=7 | (1 << 64) - 1 << 64 | 0xFFFFFFFF << 128 | 0xFF000000 << 352,
        fields=5 | 9 << 64 | 1 << 128 | 0x80000000 << 352,
    )


def test_in_the_first_table_they_are_0() -> None:
    assert KeyCompiler().widen(Match.of(reg0=1)) == (None, True)
    assert KeyCompiler().widen(Match.of(reg0=0, tunnel_id=0)) == (KernelMatch(bytes(96), 0), True)


def test_a_mask_looks_at_as_few_words_of_fields_as_it_can() -> None:
    assert [field_words_of(mask) for mask in (0, 1 << 63, 1 << 64, 1 << 383)] == [0, 1, 6, 6]


@settings(max_examples=100, deadline=None)
@given(bit=st.integers(0, 383), fields=st.integers(0, (1 << 384) - 1))
def test_a_single_bit_of_a_field_makes_another_hash(bit: int, fields: int) -> None:
    key, secret, words = bytes(96), range(3, 39), field_words_of(1 << bit)
    fields &= (1 << 64 * words) - 1
    partner = fields >> 32 * (bit // 32 ^ 1) & 0xFFFFFFFF
    assume((partner + secret[24 + (bit // 32 ^ 1)]) % 2**32)  # as above

    assert hash_of(key, 5, secret, fields, words) != hash_of(key, 5, secret, fields ^ 1 << bit, words)
