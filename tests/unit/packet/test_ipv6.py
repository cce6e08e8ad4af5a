"""Chains of IPv6 extension headers."""

from __future__ import annotations

import pytest

from inband.flow.fields import FRAG_ANY, FRAG_LATER, key_fields
from inband.packet import ipv6
from inband.packet.parse import parse
from inband.testing import packets

HOP, ROUTE, FRAG, ESP, AUTH, NONE, DEST = 0, 43, 44, 50, 51, 59, 60


def chain(*kinds: int, fragment: int = 0, segments_left: int = 0, last: int = 17) -> bytes:
    """An IPv6 frame with these extension headers before a UDP header."""
    udp = packets.udp(packets.IP6_A, packets.IP6_B)
    headers = b""
    for kind, following in zip(kinds, (*kinds, last)[1:], strict=True):
        if kind == AUTH:
            headers += bytes((following, 4)) + bytes(22)
        elif kind == FRAG:
            headers += bytes((following, 0)) + fragment.to_bytes(2, "big") + bytes(4)
        elif kind == ROUTE:
            headers += bytes((following, 0, 0, segments_left)) + bytes(4)
        else:
            headers += bytes((following, 1)) + bytes(14)
    payload = headers + udp[54:]
    first = kinds[0] if kinds else last
    return udp[:18] + len(payload).to_bytes(2, "big") + bytes((first,)) + udp[21:54] + payload


@pytest.mark.parametrize(
    ("kinds", "exthdr"),
    [
        ((), 0),
        ((HOP,), 64),
        ((DEST,), 8),
        ((ROUTE,), 32),
        ((FRAG,), 16),
        ((AUTH,), 4),
        ((HOP, DEST, ROUTE, FRAG, AUTH, DEST), 64 | 8 | 32 | 16 | 4),
        ((HOP, HOP), 64 | 128),
        ((DEST, DEST), 8 | 128),
        ((DEST, ROUTE, DEST, DEST), 8 | 32 | 128),
        ((ROUTE, ROUTE), 32 | 128),
        ((FRAG, ROUTE), 16 | 32 | 256),
        ((DEST, HOP), 8 | 64 | 256),
        ((AUTH, FRAG), 4 | 16 | 256),
        ((HOP, ROUTE, HOP), 64 | 32 | 128 | 256),
    ],
)
def test_exthdr_says_which_headers_are_there_repeated_and_out_of_order(kinds: tuple[int, ...], exthdr: int) -> None:
    fields = key_fields(parse(chain(*kinds), 1))

    assert fields.get("ipv6_exthdr", 0) == exthdr
    assert fields["ip_proto"] == 17
    assert fields["udp_dst"] == 53


@pytest.mark.parametrize(("last", "exthdr"), [(ESP, 2), (NONE, 1)])
def test_a_chain_ends_at_esp_and_at_no_next_header(last: int, exthdr: int) -> None:
    fields = key_fields(parse(chain(HOP, last=last), 1))

    assert fields["ipv6_exthdr"] == 64 | exthdr
    assert fields["ip_proto"] == last
    assert "udp_dst" not in fields


def test_the_first_fragment_has_ports() -> None:
    fields = key_fields(parse(chain(FRAG, fragment=1), 1))

    assert fields["ip_frag"] == FRAG_ANY
    assert fields["udp_dst"] == 53


@pytest.mark.parametrize("fragment", [8, 9])
def test_a_later_fragment_is_of_protocol_fragment_and_has_no_ports(fragment: int) -> None:
    fields = key_fields(parse(chain(FRAG, fragment=fragment), 1))

    assert fields["ip_frag"] == FRAG_ANY | FRAG_LATER
    assert fields["ip_proto"] == FRAG
    assert "udp_dst" not in fields


@pytest.mark.parametrize("fragment", [0, 2, 4])
def test_an_atomic_fragment_is_no_fragment(fragment: int) -> None:
    fields = key_fields(parse(chain(FRAG, fragment=fragment), 1))

    assert "ip_frag" not in fields
    assert fields["udp_dst"] == 53


@pytest.mark.parametrize("kind", [HOP, DEST, ROUTE, FRAG, AUTH])
def test_a_chain_cut_in_a_header_names_that_header(kind: int) -> None:
    frame = chain(kind)
    payload_size = len(frame) - 54

    for kept in range(payload_size - 8):
        cut = frame[:18] + kept.to_bytes(2, "big") + frame[20 : 54 + kept]
        found = ipv6.walk(cut, 14, len(cut))
        assert found.fault == "short ipv6 extension header"
        assert (found.proto, found.at) == (kind, 54)


def test_a_routing_header_hides_the_final_destination_while_segments_are_left() -> None:
    assert ipv6.walk(chain(ROUTE, segments_left=1), 14, 200).routed
    assert not ipv6.walk(chain(ROUTE), 14, 200).routed


def test_the_byte_that_names_the_transport_is_found() -> None:
    assert ipv6.walk(chain(), 14, 200).named_at == 20
    assert ipv6.walk(chain(HOP), 14, 200).named_at == 54
    assert ipv6.walk(chain(HOP, FRAG), 14, 200).named_at == 70
