"""What a switch says of itself for the map of the network: values, bytes, and nothing else (docs/neighbours.md).

Type, length, value, as in a hello; unknown types are skipped, so a later version can say more. Links may fill several
values. Whoever passes a description on passes it as it is, with what it does not know.

Invariants: ``decode(encode(description)) == description`` for one that keeps to the limits. Work and memory are bounded
by the bytes. Nothing but WireError is raised for any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from inband.errors import WireError
from inband.fabric.hello import MAX_ADDRESSES, TLV_IPV4, TLV_IPV6, address_values, read_addresses
from inband.vocabulary.addresses import IpAddress

MAX_NAME_BYTES, MAX_LINKS, MAX_WAYS, MAX_ALTERNATIVES = 32, 30, 8, 6
MAX_BODY_BYTES = 1100
"""What these limits come to, and room for types to come; with its head it fits one message."""

_NAME, _LINKS, _WAY_IPV4, _WAY_IPV6 = 1, 6, 7, 8
_LINK, _WAY, _PORT = Struct(">IQIB"), Struct(">BI"), Struct(">I")
_LINKS_PER_VALUE = 255 // _LINK.size
_UP = _CONNECTED = 1
_ADDRESS_BYTES = {4: 4, 6: 16}


@dataclass(frozen=True, slots=True)
class DescribedLink:
    """A port with a neighbour: which switch, and its port. Not ``is_up``: it was there, and is lost."""

    port: int
    peer: int
    peer_port: int
    is_up: bool = True


@dataclass(frozen=True, slots=True)
class ControlWay:
    """A controller of the switch, and by which port it is reached: 0 where that is not known.

    ``is_connected``: a channel to it works. ``alternatives``: ports that could be taken, the nearest first.
    """

    address: IpAddress
    is_connected: bool
    port: int = 0
    alternatives: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A switch: its bridge's name, LOCAL's addresses, its neighbours, and its ways to controllers."""

    name: str = ""
    addresses: tuple[IpAddress, ...] = ()
    links: tuple[DescribedLink, ...] = ()
    ways: tuple[ControlWay, ...] = ()


def encode(description: Description) -> bytes:
    """The values; what is over the limits is left out."""
    return b"".join(bytes((kind, len(value))) + value for kind, value in _values(description))


def decode(body: bytes) -> Description:
    """Read them. Raises WireError."""
    found: dict[int, list[bytes]] = {}
    for kind, value in _split(body):
        found.setdefault(kind, []).append(value)
    return Description(
        _read_name(found.get(_NAME, [])),
        read_addresses(*(b"".join(found.get(kind, [])) for kind in (TLV_IPV4, TLV_IPV6))),
        tuple(_read_links(found.get(_LINKS, []))),
        tuple(_read_ways(found)),
    )


def _values(description: Description) -> Iterator[tuple[int, bytes]]:
    printable = "".join(each if each.isprintable() else "?" for each in description.name)
    name = printable.encode()[:MAX_NAME_BYTES].decode(errors="ignore").encode()
    if name:
        yield _NAME, name
    yield from address_values(description.addresses[:MAX_ADDRESSES])
    links = description.links[:MAX_LINKS]
    for at in range(0, len(links), _LINKS_PER_VALUE):
        some = links[at : at + _LINKS_PER_VALUE]
        yield _LINKS, b"".join(_LINK.pack(each.port, each.peer, each.peer_port, each.is_up) for each in some)
    for way in sorted(description.ways[:MAX_WAYS], key=_version):
        kind = _WAY_IPV4 if way.address.version == 4 else _WAY_IPV6
        ports = b"".join(map(_PORT.pack, way.alternatives[:MAX_ALTERNATIVES]))
        yield kind, _WAY.pack(way.is_connected, way.port) + way.address.packed + ports


def _version(way: ControlWay) -> int:
    return way.address.version


def _split(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        end = at + 2 + body[at + 1] if at + 2 <= len(body) else len(body) + 1
        if end > len(body):
            raise WireError(f"map: type {body[at]} at byte {at} is cut off")
        yield body[at], body[at + 2 : end]
        at = end


def _read_name(values: list[bytes]) -> str:
    if len(values) > 1 or any(len(value) > MAX_NAME_BYTES for value in values):
        raise WireError(f"map: one name of {MAX_NAME_BYTES} bytes at most is expected")
    name = b"".join(values).decode(errors="replace")
    if not name.isprintable() or "\ufffd" in name:
        raise WireError("map: a name is no UTF-8, or cannot be printed")
    return name


def _read_links(values: Iterable[bytes]) -> Iterator[DescribedLink]:
    packed = b"".join(values)
    if len(packed) % _LINK.size or len(packed) > MAX_LINKS * _LINK.size:
        raise WireError(f"map: {len(packed)} bytes of links: at most {MAX_LINKS} of {_LINK.size}")
    for port, peer, peer_port, flags in _LINK.iter_unpack(packed):
        yield DescribedLink(port, peer, peer_port, bool(flags & _UP))


def _read_ways(found: dict[int, list[bytes]]) -> Iterator[ControlWay]:
    values = [(version, each) for kind, version in ((_WAY_IPV4, 4), (_WAY_IPV6, 6)) for each in found.get(kind, [])]
    if len(values) > MAX_WAYS:
        raise WireError(f"map: {len(values)} controllers: at most {MAX_WAYS}")
    for version, value in values:
        ports_at = _WAY.size + _ADDRESS_BYTES[version]
        if not ports_at <= len(value) <= ports_at + MAX_ALTERNATIVES * _PORT.size or (len(value) - ports_at) % 4:
            raise WireError(f"map: a way to a controller has {len(value)} bytes")
        flags, port = _WAY.unpack_from(value)
        packed = value[_WAY.size : ports_at]
        address = IPv4Address(packed) if version == 4 else IPv6Address(packed)
        ports = tuple(each for (each,) in _PORT.iter_unpack(value[ports_at:]))
        yield ControlWay(address, bool(flags & _CONNECTED), port, ports)
