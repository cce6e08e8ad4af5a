"""BPDUs on the wire: good ones, and one row for each way to be broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import WireError
from inband.stp.bpdu import AnyBpdu, Bpdu, Flag, Kind, TcnBpdu, decode, encode, is_bpdu
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.vocabulary.addresses import Mac
from inband.vocabulary.spanning_tree import StpRole

SOURCE = Mac.parse("02:00:00:00:00:01")
VECTOR = PriorityVector(BridgeId(4096, Mac(5)), 20000, BridgeId(32768, Mac(6)), 0x8002)
TIMES = Times(1, 20, 2, 15)
RST = Bpdu(Kind.RST, VECTOR, TIMES, Flag.PROPOSAL | Flag.LEARNING, StpRole.DESIGNATED)
CONFIG = Bpdu(Kind.CONFIG, VECTOR, TIMES, Flag.TOPOLOGY_CHANGE_ACK)

# By hand from IEEE 802.1D-2004, 9.3.3: addresses, length 39, LLC, protocol, version 2, type 2, flags of a designated
# port that proposes and learns, and so on.
RST_BYTES = bytes.fromhex(
    "0180c2000000 020000000001 0027 424203 0000 02 02 1e 1000000000000005 00004e20 8000000000000006 8002"
    "0100 1400 0200 0f00 00"
)

ids = st.builds(BridgeId, st.integers(0, 0xFFFF), st.integers(0, 2**48 - 1).map(Mac))
vectors = st.builds(PriorityVector, ids, st.integers(0, 2**32 - 1), ids, st.integers(0, 0xFFFF))
times = st.builds(
    Times,
    st.integers(0, 5 * 256).map(lambda n: n / 256),
    st.integers(6, 40).map(float),
    st.integers(1, 10).map(float),
    st.integers(2, 30).map(float),
)
flags = st.sampled_from(list(Flag))
said_roles = st.sampled_from((StpRole.ALTERNATE, StpRole.ROOT, StpRole.DESIGNATED))
bpdus = st.one_of(
    st.just(TcnBpdu()),
    st.builds(Bpdu, st.just(Kind.RST), vectors, times, flags, said_roles),
    st.builds(
        Bpdu, st.just(Kind.CONFIG), vectors, times, st.sampled_from((Flag.TOPOLOGY_CHANGE, Flag.TOPOLOGY_CHANGE_ACK))
    ),
)


def test_an_rst_bpdu_is_what_the_standard_says() -> None:
    data = encode(RST, SOURCE).data

    assert data == RST_BYTES.ljust(60, b"\0")
    assert is_bpdu(data)


@given(bpdus)
def test_what_is_encoded_is_decoded(bpdu: AnyBpdu) -> None:
    data = encode(bpdu, SOURCE).data

    assert decode(data) == bpdu
    assert decode(data + b"trailing") == bpdu


@pytest.mark.parametrize("bpdu", [RST, CONFIG, TcnBpdu()])
def test_a_bpdu_that_is_cut_is_none(bpdu: AnyBpdu) -> None:
    data = encode(bpdu, SOURCE).data
    end = 14 + int.from_bytes(data[12:14], "big")

    for size in range(end):
        with pytest.raises(WireError):
            decode(data[:size])


def test_a_backup_port_says_it_is_an_alternate_one() -> None:
    said = decode(encode(Bpdu(Kind.RST, VECTOR, TIMES, role=StpRole.BACKUP), SOURCE).data)

    assert isinstance(said, Bpdu)
    assert said.role is StpRole.ALTERNATE


def test_a_port_of_no_role_counts_as_designated() -> None:
    said = decode(with_byte(RST_BYTES, 21, 0x12))

    assert isinstance(said, Bpdu)
    assert said.role is StpRole.DESIGNATED


def test_an_mst_bpdu_is_read_as_an_rst_bpdu() -> None:
    said = decode(with_byte(RST_BYTES, 19, 3))

    assert said == RST


def test_times_that_no_bridge_may_have_are_brought_into_range() -> None:
    said = decode(encode(Bpdu(Kind.RST, VECTOR, Times(0, 255, 0, 0)), SOURCE).data)

    assert isinstance(said, Bpdu)
    assert said.times == Times(0, 40, 1, 2)


def with_byte(data: bytes, at: int, value: int) -> bytes:
    """With another byte at one place."""
    return data[:at] + bytes([value]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_byte(RST_BYTES, 14, 0xAA), "no LLC header"),
        (with_byte(RST_BYTES, 13, 200), "length of 200"),
        (with_byte(RST_BYTES, 13, 3), "length of 3"),
        (with_byte(RST_BYTES, 12, 0x08), "length of"),
        (with_byte(RST_BYTES, 17, 1), "protocol 0x100"),
        (with_byte(RST_BYTES, 19, 1), "type 0x2 of version 1"),
        (with_byte(RST_BYTES, 20, 7), "type 0x7"),
        (with_byte(RST_BYTES, 13, 38), "too few"),
        (with_byte(with_byte(RST_BYTES, 20, 0), 44, 20), "20 s old"),
    ],
)
def test_rubbish_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        decode(data)
