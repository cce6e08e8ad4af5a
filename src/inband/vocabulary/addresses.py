"""Addresses as values: MAC addresses here, IP addresses from the standard library.

A MAC address is an ``int`` of its own type, so that it costs nothing in a flow key and still cannot be confused with
a port or a priority. IP addresses are :class:`ipaddress.IPv4Address` and :class:`ipaddress.IPv6Address`: code above
this package asks for ``.version``, never for "4 bytes".
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from inband.errors import UsageError

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

AddressKey = tuple[int, int]
"""An IP address as the key of a dictionary that packets are looked up in: its version and its number, no scope."""

_MAC_TEXT = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}")


class Mac(int):
    """A 48-bit Ethernet address (IEEE 802-2014, 8.2)."""

    __slots__ = ()

    def __new__(cls, value: int) -> Mac:
        """Build from the address as a number; raises UsageError outside 0..2**48-1."""
        if not 0 <= value < 1 << 48:
            raise UsageError(f"{value:#x} is not a MAC address: it has more than 48 bits")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Mac:
        """Read ``aa:bb:cc:dd:ee:ff``; raises UsageError for anything else."""
        if not _MAC_TEXT.fullmatch(text):
            raise UsageError(f"{text!r} is not a MAC address: write it as 00:11:22:33:44:55")
        return cls(int("".join(part.zfill(2) for part in text.split(":")), 16))

    @classmethod
    def from_bytes6(cls, data: bytes) -> Mac:
        """Read six bytes in network order."""
        return cls(int.from_bytes(data[:6], "big"))

    @property
    def packed(self) -> bytes:
        """The six bytes in network order."""
        return self.to_bytes(6, "big")

    @property
    def is_multicast(self) -> bool:
        """Whether the group bit is set (broadcast included)."""
        return bool(self >> 40 & 1)

    def __str__(self) -> str:
        return ":".join(f"{byte:02x}" for byte in self.packed)

    def __repr__(self) -> str:
        return f"Mac({str(self)!r})"


BROADCAST = Mac(0xFFFFFFFFFFFF)

BRIDGE_GROUP = Mac(0x0180C2000000)
"""All bridges, the first of 16 groups that stay on the link they are sent on (IEEE 802.1Q, 8.6.3)."""

NEAREST_BRIDGE = Mac(BRIDGE_GROUP + 0x0E)
"""A group of which every bridge is a member, and that none forwards (IEEE 802.1Q, 8.6.3)."""


def address_key(address: IpAddress) -> AddressKey:
    """What an address is found by."""
    return (address.version, int(address))


def address_of(key: AddressKey) -> IpAddress:
    """The address that ``address_key`` has made a key of, without its scope."""
    version, number = key
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def parse_ip(text: str) -> IpAddress:
    """Read an IPv4 or IPv6 address; raises UsageError with what was expected."""
    try:
        return ip_address(text)
    except ValueError:
        raise UsageError(f"{text!r} is not an IP address: write 192.0.2.1 or 2001:db8::1") from None
