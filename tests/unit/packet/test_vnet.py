"""struct virtio_net_hdr, both ways."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import WireError
from inband.packet.checksum import complete
from inband.packet.frame import Frame, GsoType, Offload
from inband.packet.vnet import VNET_SIZE, build_vnet, parse_vnet, restore_vlan, restore_vlan_offload
from inband.testing import packets

u16 = st.integers(0, 0xFFFF)
gso = st.tuples(st.sampled_from([1, 3, 4, 5, 0x81, 0x84]), u16, u16)
no_gso = st.just((0, 0, 0))
sums = st.one_of(st.just((-1, 0)), st.tuples(u16, u16))


@given(sums, st.one_of(gso, no_gso))
def test_what_is_built_is_read_back(csum: tuple[int, int], work: tuple[int, int, int]) -> None:
    offload = Offload(*csum, *work)

    parsed = parse_vnet(build_vnet(offload))

    assert parsed == (None if offload == Offload() else offload)


def test_nothing_left_is_all_zeros() -> None:
    assert build_vnet(None) == bytes(VNET_SIZE)
    assert parse_vnet(bytes(VNET_SIZE)) is None


def test_numbers_are_in_the_machines_own_byte_order() -> None:
    header = build_vnet(Offload(34, 16, GsoType.TCPV4, 1448, 66))

    assert header == bytes((1, 1)) + b"".join(n.to_bytes(2, sys.byteorder) for n in (66, 1448, 34, 16))


def test_a_checksum_the_kernel_found_valid_is_no_work() -> None:
    assert parse_vnet(bytes((2, 0)) + b"\x36\x00" + bytes(6)) is None


def test_trailing_bytes_change_nothing() -> None:
    header = build_vnet(Offload(34, 16))

    assert parse_vnet(header + b"frame") == Offload(34, 16)


@pytest.mark.parametrize("size", range(VNET_SIZE))
def test_a_cut_header_is_refused(size: int) -> None:
    with pytest.raises(WireError, match="virtio_net_hdr"):
        parse_vnet(bytes(size))


def test_a_restored_tag_and_its_offload_fit_together() -> None:
    whole = packets.tcp()
    left = packets.offloaded(whole)

    data, offload = restore_vlan(left.data, 0x6064, 0x8100), restore_vlan_offload(left.offload)

    assert complete(Frame(data, offload)).data == packets.vlan(whole, 100, 3)
    assert restore_vlan_offload(None) is None
