"""Frames from flow keys: what is built is parsed back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.fields import FIELDS, VLAN_PRESENT, key_fields, make_key
from inband.packet.build import frame_of_key
from inband.packet.parse import NO_ETH_TYPE, parse, parse_checked
from tests.unit.packet.scapy_oracle import recomputed

Fields = dict[str, int]


def values(*names: str, **given_values: Any) -> st.SearchStrategy[Fields]:
    """Any values for some fields, and for others what is given (a value or a strategy)."""
    strategies = {name: st.integers(0, FIELDS[name].all_ones) for name in names}
    for name, value in given_values.items():
        strategies[name] = value if isinstance(value, st.SearchStrategy) else st.just(value)
    return st.fixed_dictionaries(strategies)


def joined(*parts: st.SearchStrategy[Fields]) -> st.SearchStrategy[Fields]:
    return st.tuples(*parts).map(lambda dicts: {name: value for part in dicts for name, value in part.items()})


tagged = values("vlan_pcp", vlan_vid=st.integers(VLAN_PRESENT, VLAN_PRESENT | 0xFFF))
ethernet = joined(values("in_port", "eth_dst", "eth_src"), st.one_of(st.just({}), tagged))

transports = [
    values("tcp_src", "tcp_dst", "tcp_flags", ip_proto=6),
    values("udp_src", "udp_dst", ip_proto=17),
    values("sctp_src", "sctp_dst", ip_proto=132),
]
icmpv4 = values("icmpv4_type", "icmpv4_code", ip_proto=1)
icmpv6 = values("icmpv6_code", ip_proto=58, icmpv6_type=st.integers(0, 134))
neighbour = st.one_of(
    values("ipv6_nd_target", "ipv6_nd_sll", ip_proto=58, icmpv6_type=135),
    values("ipv6_nd_target", "ipv6_nd_tll", ip_proto=58, icmpv6_type=136),
)
other = values(ip_proto=st.sampled_from([2, 4, 47, 89]))

ip = values("ip_dscp", "ip_ecn", "ip_ttl")
v4 = joined(ip, values("ipv4_src", "ipv4_dst", eth_type=0x0800))
v6 = joined(ip, values("ipv6_src", "ipv6_dst", "ipv6_flabel", eth_type=0x86DD))
# Which extension headers there are (64 hop-by-hop, 32 routing, 8 destination, 4 authentication; 16 is fragment).
extensions = st.sets(st.sampled_from([64, 32, 8, 4])).map(sum)

ipv4_keys = st.one_of(
    joined(v4, st.one_of(*transports, icmpv4, other), values(ip_frag=st.sampled_from([0, 1]))),
    joined(v4, values("ip_proto", ip_frag=3)),
)
ipv6_keys = st.one_of(
    joined(v6, st.one_of(*transports, icmpv6, neighbour, other), values(ipv6_exthdr=extensions)),
    joined(v6, st.one_of(*transports), values(ip_frag=1, ipv6_exthdr=extensions.map(lambda bits: bits | 16))),
    joined(v6, values(ip_proto=44, ip_frag=3, ipv6_exthdr=st.sampled_from([16, 16 | 64, 16 | 32 | 8]))),
)
other_keys = st.one_of(
    values("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha", eth_type=0x0806),
    values("mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl", eth_type=st.sampled_from([0x8847, 0x8848])),
    values("pbb_isid", eth_type=0x88E7),
    values(eth_type=st.sampled_from([NO_ETH_TYPE, 0x0600, 0x0842, 0x88CC, 0xFFFF])),
)
keys = joined(ethernet, st.one_of(ipv4_keys, ipv6_keys, other_keys)).map(lambda fields: make_key(**fields))


@settings(max_examples=400)
@given(keys)
def test_a_frame_of_a_key_parses_to_that_key(key: int) -> None:
    parsed, fault = parse_checked(frame_of_key(key), FIELDS["in_port"].get(key))

    assert key_fields(parsed) == key_fields(key)
    assert fault is None


@settings(max_examples=100)
@given(joined(ethernet, st.one_of(v4, v6), st.one_of(*transports)))
def test_its_checksums_are_right(fields: Fields) -> None:
    frame = frame_of_key(make_key(**fields))

    assert frame == recomputed(frame)


@given(st.integers(0, (1 << 1800) - 1))
def test_any_number_makes_a_frame(key: int) -> None:
    parse(frame_of_key(key), 1)


@pytest.mark.parametrize("fields", [{}, {"eth_type": 0x100}])
def test_a_key_without_a_type_makes_a_frame_without_one(fields: Fields) -> None:
    assert key_fields(parse(frame_of_key(make_key(**fields)), 0)) == {"eth_type": NO_ETH_TYPE}


def test_a_fragment_of_ipv6_gets_its_header_unasked() -> None:
    key = make_key(eth_type=0x86DD, ip_proto=17, udp_dst=9, ip_frag=1)

    assert key_fields(parse(frame_of_key(key), 0))["ipv6_exthdr"] == 16
