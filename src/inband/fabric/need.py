"""What a switch needs of others, so that its control traffic passes, and the message that tells so: values and bytes.

A need is a controller, a next hop, the switch's LOCAL as a client of DHCP, a DNS server, or a name that is asked for.
The message is an update (``update``) with a kind and records of its own, so acknowledgements, requests and hash are the
same (docs/neighbours.md, "Needs").

Invariants: ``decode(encode(update)) == update``. Records of kinds that are not known are skipped. Nothing but WireError
is raised for any bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from inband.fabric.distances import Distance
from inband.fabric.hello import NEEDS, RECORD_BYTES
from inband.fabric.update import Update, pack, unpack
from inband.vocabulary.addresses import AddressKey, Mac
from inband.vocabulary.name_hash import NAME_HASH_BYTES

# Kind, version of IP (0: a MAC address), port, how it is spoken to (1: TLS), subject, number, metric.
_RECORD = Struct(">BBHH16sIH")
assert _RECORD.size == RECORD_BYTES[1]
_BITS = {4: 32, 6: 128}
_MAC_BITS = 48


class NeedKind(IntEnum):
    """What is needed."""

    CONTROLLER = 1
    """An address and TCP port that a switch dials."""
    NEXT_HOP = 2
    """An address through which a switch reaches what it needs."""
    CLIENT = 3
    """The MAC address of a LOCAL that asks for its configuration: DHCP, DHCPv6, router solicitations."""
    SERVER = 4
    """The address of a DNS server that a switch asks for names of controllers."""
    NAME = 5
    """A hash of such a name (``vocabulary.name_hash``): a name has no length that fits every message."""


class Need(NamedTuple):
    """One need. ``subject``: version of IP and address; of a client 0 and its MAC address, of a name 0 and its hash.

    ``port`` and ``uses_tls`` are a controller's: where it listens, and how it speaks. Equal needs of several switches
    are one.
    """

    kind: NeedKind
    subject: AddressKey
    port: int = 0
    uses_tls: bool = False

    def __str__(self) -> str:
        """As people write it: tcp:192.0.2.1:6653, an address, or a MAC address."""
        version, number = self.subject
        if self.kind is NeedKind.NAME:
            return f"{number:032x}"
        if version == 0:
            return str(Mac(number))
        address = IPv4Address(number) if version == 4 else IPv6Address(number)
        if self.kind is not NeedKind.CONTROLLER:
            return str(address)
        host = f"[{address}]" if version == 6 else f"{address}"
        return f"{'tls' if self.uses_tls else 'tcp'}:{host}:{self.port}"


def encode(update: Update[Need, Distance]) -> bytes:
    """The message without Ethernet header and hash."""
    return pack(NEEDS, update, (), [_pack(*each) for each in update.records])


def decode(body: bytes) -> Update[Need, Distance]:
    """Read a message of this kind. Raises WireError."""
    head, _, records = unpack(body)
    return Update(*head, tuple(_records(records)))


def _pack(need: Need, distance: Distance) -> bytes:
    version, number = need.subject
    return _RECORD.pack(need.kind, version, need.port, need.uses_tls, number.to_bytes(16, "big"), *distance)


def _records(data: bytes) -> Iterator[tuple[Need, Distance]]:
    for kind, version, port, how, subject, number, metric in _RECORD.iter_unpack(data):
        address = int.from_bytes(subject, "big")
        if kind in tuple(NeedKind) and how in (0, 1):
            need = Need(NeedKind(kind), (version, address), port, bool(how))
            bits = _bits_of(need)
            if bits and address < 1 << bits:
                yield need, Distance(number, metric)


def _bits_of(need: Need) -> int:
    """How long the number is that the subject of such a need may be; 0: none fits."""
    version, _ = need.subject
    if need.kind in (NeedKind.CLIENT, NeedKind.NAME):
        return 0 if version else _MAC_BITS if need.kind is NeedKind.CLIENT else 8 * NAME_HASH_BYTES
    return _BITS.get(version, 0)
