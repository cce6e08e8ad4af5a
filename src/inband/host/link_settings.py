"""What an interface's driver says of its link: speed, duplex, medium, and the modes that it and its peer offer.

Asked by ioctl (SIOCETHTOOL with ETHTOOL_GLINKSETTINGS, linux/ethtool.h): one call for how long the answer is, and one
for the answer; netlink would take a family of its own to be looked up first. Virtual interfaces answer too: a veth and
a tap say 10 Gbit/s. An interface without a link, or with a driver that does not know, has unknown settings; so has one
that is gone.

Not here: changing any of it. OpenFlow's PORT_MOD could advertise features, and Open vSwitch does not do it either.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from array import array
from functools import lru_cache

from inband.vocabulary.link_settings import UNKNOWN_LINK, LinkSettings
from inband.vocabulary.openflow import PortFeatures as F

_SIOCETHTOOL = 0x8946
_ETHTOOL_GLINKSETTINGS = 0x4C
_IFNAMSIZ = 16

# struct ethtool_link_settings: cmd, speed, duplex, port, address, autoneg, mdio_support, two of MDI-X, words in a mask,
# and what is not read here; three masks of so many words follow: supported, advertised, advertised by the peer.
_SETTINGS = struct.Struct("=IIBBBBBBBb32x")
_REQUEST = struct.Struct("=16sQ")  # struct ifreq as far as this call needs it: the name, a pointer

_HALF, _FULL = 0, 1
_TWISTED_PAIR, _FIBRE = 0, 3
_UNKNOWN_SPEED = 0xFFFFFFFF

# By speed in Mbit/s: half duplex, full duplex. Other speeds are OTHER.
_SPEEDS: dict[int, tuple[F, F]] = {
    10: (F.SPEED_10MB_HD, F.SPEED_10MB_FD),
    100: (F.SPEED_100MB_HD, F.SPEED_100MB_FD),
    1_000: (F.SPEED_1GB_HD, F.SPEED_1GB_FD),
    10_000: (F.OTHER, F.SPEED_10GB_FD),
    40_000: (F.OTHER, F.SPEED_40GB_FD),
    100_000: (F.OTHER, F.SPEED_100GB_FD),
    1_000_000: (F.OTHER, F.SPEED_1TB_FD),
}

# Bits of a mask of link modes (enum ethtool_link_mode_bit_indices) that are no speeds.
_PROPERTIES: dict[int, F] = {
    6: F.AUTONEG,
    7: F.COPPER,
    10: F.FIBER,
    13: F.PAUSE,
    14: F.PAUSE_ASYM,
}
# AUI, MII, BNC, backplane, forward error correction.
_NO_SPEEDS = frozenset({*_PROPERTIES, 8, 9, 11, 16, 49, 50, 51, 74})
_HALF_DUPLEX = frozenset({0, 2, 4, 90})

# The speeds of modes in Mbit/s, by their bits. Newer modes than these are OTHER, of no known speed.
_MODES: dict[int, int] = {
    **dict.fromkeys((0, 1, 92), 10),
    **dict.fromkeys((2, 3, 67, 90, 91), 100),
    **dict.fromkeys((4, 5, 17, 41, 68), 1_000),
    **dict.fromkeys((15, 47), 2_500),
    48: 5_000,
    **dict.fromkeys((12, 18, 19, 20, *range(42, 47)), 10_000),
    **dict.fromkeys((21, 22), 20_000),
    **dict.fromkeys((31, 32, 33), 25_000),
    **dict.fromkeys(range(23, 27), 40_000),
    **dict.fromkeys((34, 35, 40, *range(52, 57)), 50_000),
    **dict.fromkeys(range(27, 31), 56_000),
    **dict.fromkeys((*range(36, 40), *range(57, 62), *range(75, 80)), 100_000),
    **dict.fromkeys((*range(62, 67), *range(80, 85)), 200_000),
    **dict.fromkeys((*range(69, 74), *range(85, 90)), 400_000),
}


def read_link_settings(interface: str) -> LinkSettings:
    """What the kernel says of an interface's link now; UNKNOWN_LINK where it says nothing. Never raises."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            words = -_SETTINGS.unpack_from(_ask(asking, interface, 0))[-1]
            return link_settings_of(_ask(asking, interface, words)) if words > 0 else UNKNOWN_LINK
        except OSError:  # the interface is gone, or its driver does not know
            return UNKNOWN_LINK


def _ask(asking: socket.socket, interface: str, words: int) -> bytes:
    """One call; ``words`` is how long each mask may be: with 0 the kernel answers with how long they are, negated."""
    answer = array("B", _SETTINGS.pack(_ETHTOOL_GLINKSETTINGS, 0, 0, 0, 0, 0, 0, 0, 0, words) + bytes(3 * 4 * words))
    fcntl.ioctl(asking, _SIOCETHTOOL, _REQUEST.pack(interface.encode()[: _IFNAMSIZ - 1], answer.buffer_info()[0]))
    return answer.tobytes()


@lru_cache(maxsize=64)  # a switch has many ports and few kinds of them
def link_settings_of(answer: bytes) -> LinkSettings:
    """A whole answer of ETHTOOL_GLINKSETTINGS as OpenFlow says it."""
    _, speed, duplex, medium, _, autoneg, _, _, _, words = _SETTINGS.unpack_from(answer)
    size = 4 * words
    masks = [answer[_SETTINGS.size + i * size : _SETTINGS.size + (i + 1) * size] for i in range(3)]
    supported, advertised, peer = ({bit for bit in range(8 * size) if _has(mask, bit)} for mask in masks)
    current = F.NONE
    if speed not in (0, _UNKNOWN_SPEED):
        current = _feature(speed, is_half=duplex == _HALF) | _medium(medium) | (F.AUTONEG if autoneg else F.NONE)
    else:
        speed = 0
    return LinkSettings(
        current=current,
        advertised=_features(advertised),
        supported=_features(supported),
        peer=_features(peer),
        current_speed_kbps=_kbps(speed),
        max_speed_kbps=_kbps(max((_MODES.get(bit, 0) for bit in supported), default=0)),
    )


def _has(mask: bytes, bit: int) -> bool:
    """Whether a mask of 32-bit words in this machine's byte order has a bit."""
    at = bit // 32 * 4
    (word,) = struct.unpack_from("=I", mask, at)
    return bool(word >> bit % 32 & 1)


def _medium(port: int) -> F:
    return {_TWISTED_PAIR: F.COPPER, _FIBRE: F.FIBER}.get(port, F.NONE)


def _feature(speed: int, *, is_half: bool) -> F:
    half, full = _SPEEDS.get(speed, (F.OTHER, F.OTHER))
    return half if is_half else full


def _features(modes: set[int]) -> F:
    features = F.NONE
    for bit in modes:
        if bit in _PROPERTIES:
            features |= _PROPERTIES[bit]
        elif bit not in _NO_SPEEDS:
            features |= _feature(_MODES.get(bit, 0), is_half=bit in _HALF_DUPLEX)
    return features


def _kbps(mbps: int) -> int:
    """A speed for a field of 32 bits: 4.3 Tbit/s is the most it can say."""
    return min(mbps * 1000, 0xFFFFFFFF)
