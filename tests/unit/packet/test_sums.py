"""Checksum arithmetic against its definition and against scapy's."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.sctp import crc32c as scapy_crc32c
from scapy.utils import checksum as scapy_checksum

from inband.packet import sums

PACKETS = st.binary(min_size=1, max_size=100).filter(any)


@given(PACKETS)
def test_a_checksum_is_what_scapy_says(data: bytes) -> None:
    assert sums.checksum(data) == scapy_checksum(data)


def test_a_big_frame_is_summed_right() -> None:
    data = bytes(range(256)) * 255

    assert sums.checksum(data) == scapy_checksum(data)


@given(st.binary(min_size=2, max_size=60), st.integers(0, 0xFFFF), st.data())
def test_updating_a_checksum_is_computing_it_anew(data: bytes, new: int, draw: st.DataObject) -> None:
    data = b"\x45\x00" + data.ljust(len(data) + len(data) % 2, b"\0")
    at = 2 * draw.draw(st.integers(1, len(data) // 2 - 1))
    changed = data[:at] + new.to_bytes(2, "big") + data[at + 2 :]

    updated = sums.update(sums.checksum(data), new - int.from_bytes(data[at : at + 2], "big"))

    assert updated == sums.checksum(changed)


def test_crc32c_has_the_published_check_value() -> None:
    assert sums.crc32c(b"123456789").to_bytes(4, "little") == bytes.fromhex("e3069283")


@given(st.binary(max_size=100))
def test_a_crc32c_is_what_scapy_says(data: bytes) -> None:
    assert sums.crc32c(data) == scapy_crc32c(data)


@settings(max_examples=50)
@given(st.binary(min_size=2, max_size=300), st.binary(min_size=2, max_size=2), st.data())
def test_changing_a_crc32c_is_computing_it_anew(data: bytes, new: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 2))
    delta = bytes(a ^ b for a, b in zip(data[at : at + 2], new, strict=True))

    change = sums.crc32c_change(delta, len(data) - at - 2)

    assert sums.crc32c(data) ^ change == sums.crc32c(data[:at] + new + data[at + 2 :])
