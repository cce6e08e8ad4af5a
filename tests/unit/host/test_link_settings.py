"""What the kernel says of links, as OpenFlow says it."""

from __future__ import annotations

import struct

import pytest

from inband.host.link_settings import link_settings_of, read_link_settings
from inband.vocabulary.link_settings import UNKNOWN_LINK, LinkSettings
from inband.vocabulary.openflow import PortFeatures as F

AUTONEG, TP, FIBRE, PAUSE, ASYM = 6, 7, 10, 13, 14
HALF, FULL = 0, 1


def answer(
    speed: int, *, duplex: int = FULL, medium: int = 0, autoneg: int = 0, supported: tuple[int, ...] = (),
    advertised: tuple[int, ...] = (), peer: tuple[int, ...] = (), words: int = 4,
) -> bytes:  # fmt: skip
    """A struct ethtool_link_settings with its three masks, as the kernel writes it."""
    head = struct.pack("=IIBBBBBBBb32x", 0x4C, speed, duplex, medium, 0, autoneg, 0, 0, 0, words)
    masks = [sum(1 << bit for bit in bits) for bits in (supported, advertised, peer)]
    return head + b"".join(
        struct.pack(f"={words}I", *(mask >> 32 * i & 0xFFFFFFFF for i in range(words))) for mask in masks
    )


GIGABIT = (0, 1, 2, 3, 5, AUTONEG, TP, PAUSE)
COPPER_GIGABIT = (
    F.SPEED_10MB_HD | F.SPEED_10MB_FD | F.SPEED_100MB_HD | F.SPEED_100MB_FD | F.SPEED_1GB_FD
    | F.AUTONEG | F.COPPER | F.PAUSE
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (answer(10_000), LinkSettings(F.SPEED_10GB_FD | F.COPPER, current_speed_kbps=10_000_000)),
        (
            answer(1_000, autoneg=1, supported=GIGABIT, advertised=GIGABIT, peer=(3, 5, AUTONEG, ASYM)),
            LinkSettings(
                F.SPEED_1GB_FD | F.COPPER | F.AUTONEG,
                COPPER_GIGABIT,
                COPPER_GIGABIT,
                F.SPEED_100MB_FD | F.SPEED_1GB_FD | F.AUTONEG | F.PAUSE_ASYM,
                1_000_000,
                1_000_000,
            ),
        ),
        (answer(100, duplex=HALF), LinkSettings(F.SPEED_100MB_HD | F.COPPER, current_speed_kbps=100_000)),
        (
            answer(25_000, medium=3, supported=(33, FIBRE), words=3),
            LinkSettings(F.OTHER | F.FIBER, supported=F.OTHER | F.FIBER, current_speed_kbps=25_000_000,
                         max_speed_kbps=25_000_000),
        ),
        (answer(100_000, medium=3), LinkSettings(F.SPEED_100GB_FD | F.FIBER, current_speed_kbps=100_000_000)),
        (answer(0xFFFFFFFF, duplex=255, supported=(5, TP)),
         LinkSettings(supported=F.SPEED_1GB_FD | F.COPPER, max_speed_kbps=1_000_000)),
        (answer(0, medium=0xFF), UNKNOWN_LINK),
        (answer(10_000, medium=0xFF, supported=(127,)),
         LinkSettings(F.SPEED_10GB_FD, supported=F.OTHER, current_speed_kbps=10_000_000)),
        (answer(8_000_000, medium=0xFF), LinkSettings(F.OTHER, current_speed_kbps=0xFFFFFFFF)),
    ],
)  # fmt: skip
def test_speeds_media_and_modes_are_told_as_openflow_has_them(data: bytes, expected: LinkSettings) -> None:
    assert link_settings_of(data) == expected


def test_every_mode_that_the_kernel_may_name_is_something() -> None:
    for bit in range(128):
        settings = link_settings_of(answer(0, supported=(bit,)))
        assert bool(settings.supported) == (bit not in {8, 9, 11, 16, 49, 50, 51, 74}), bit


@pytest.mark.parametrize("interface", ["lo", "not-there", "", "a" * 40])
def test_an_interface_that_says_nothing_is_unknown(interface: str) -> None:
    assert read_link_settings(interface) == UNKNOWN_LINK
