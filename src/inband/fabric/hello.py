"""The message between neighbours: values, bytes, and nothing else (docs/neighbours.md, "The frame").

A frame to 01:80:c2:00:00:0e, which no bridge forwards (IEEE 802.1Q, 8.6.3), of Ethernet type 88b5, which IEEE has set
aside for experiments (IEEE 802, 9.2.4); so ``MAGIC`` comes first, and what has another one is someone else's.

Behind a fixed head come type, length, value. Type 0 is the padding that a network card adds, and ends the message; so
does the hash of a network with a key (``keys``). Unknown types are skipped. Of the known ones each comes once at most.

Invariants: ``decode(encode(hello)) == hello``. Work and memory are bounded by the frame, which is at most MAX_BYTES
long. Nothing but WireError is raised for any bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from inband.errors import WireError
from inband.vocabulary.addresses import NEAREST_BRIDGE, IpAddress, Mac
from inband.vocabulary.numbers import ETH_EXPERIMENT

MAGIC, VERSION, HELLO, UPDATE, NEEDS, MAP = b"inbN", 1, 1, 2, 3, 4
MAX_BYTES = 1280
"""Of a frame: every link of IPv6 carries it (RFC 8200, 5)."""

TICK_S = 20e-6
LONG_HOLD = 0xFFFF
"""As ``Heard.hold``: longer than can be said, 1.3 s."""
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 10, 60_000
MAX_ADDRESSES, MAX_CHANGES, MAX_WANTED = 8, 8, 60
HASH_BYTES = 16

_ETHERNET = Struct(">6s6sH")
HEAD = Struct(">4sBBQIII")
"""Magic, version, kind, switch, boot, port, sequence: of every message."""
UPDATE_HEAD = Struct(">IIIIIHH")
"""What follows it in an update (``update``), with the numbers of records of either length behind.

In a message of the map (``map_message``) the first of these is how many bytes of records follow, the second one 0.
"""
RECORD_BYTES = (16, 28)
"""In an update those of IPv4 and of IPv6; in a message of needs (``need``) all have the second length."""
_PACE = Struct(">HH")  # interval, wanted
_HEAD_BYTES = HEAD.size + _PACE.size
_HEARD = Struct(">IIIH")
_CHANGE = Struct(">QIIB")
_WANTED = Struct(">I")
_PAD, _TLV_HEARD, _TLV_MAC, TLV_IPV4, TLV_IPV6, _TLV_CHANGES, _TLV_WANTED, _TLV_HASH = 0, 1, 2, 3, 4, 5, 6, 8
_TLV_HEAD, _MAC_BYTES = 2, 6
_KIND_AT = 5
_LIKE_UPDATES = {MAGIC + bytes((VERSION, kind)): kind for kind in (UPDATE, NEEDS, MAP)}
_NUMBERS = 1 << 32


Wanted = tuple[int, ...] | None
"""Hashes of stations whose numbers are to be raised (``ways``), MAX_WANTED at most; None: all are."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the sender last heard on this link: whose (boot number, port), which, and how long ago in ticks of 20 us."""

    boot: int
    port: int
    sequence: int
    hold: int = LONG_HOLD


@dataclass(frozen=True, slots=True)
class Change:
    """The topology has changed at a switch; ``number`` counts its changes, ``hops`` is how far this still goes."""

    switch: int
    boot: int
    number: int
    hops: int


@dataclass(frozen=True, slots=True)
class Hello:
    """One message. ``interval_ms``: the sender's next one comes within that; ``wanted_ms``: how often it wants ours.

    ``switch`` is a datapath id of 64 bits; ``boot``, ``port`` and ``sequence`` have 32 bits. ``boot`` is chosen at
    random when a switch starts. MAC and addresses are those of LOCAL, and not in every message. ``wanted`` is what the
    switches of these changes have no way to.
    """

    switch: int
    boot: int
    port: int
    sequence: int
    interval_ms: int
    wanted_ms: int
    heard: Heard | None = None
    mac: Mac | None = None
    addresses: tuple[IpAddress, ...] = ()
    changes: tuple[Change, ...] = ()
    wanted: Wanted = None


def encode(hello: Hello) -> bytes:
    """The message without Ethernet header; values are in range."""
    parts = [
        HEAD.pack(MAGIC, VERSION, HELLO, hello.switch, hello.boot, hello.port, hello.sequence),
        _PACE.pack(hello.interval_ms, hello.wanted_ms),
    ]
    if hello.heard is not None:
        heard = hello.heard
        parts.append(_tlv(_TLV_HEARD, _HEARD.pack(heard.boot, heard.port, heard.sequence, heard.hold)))
    if hello.mac is not None:
        parts.append(_tlv(_TLV_MAC, hello.mac.packed))
    parts += (_tlv(kind, value) for kind, value in address_values(hello.addresses))
    if hello.changes:
        changes = (_CHANGE.pack(each.switch, each.boot, each.number, each.hops) for each in hello.changes)
        parts.append(_tlv(_TLV_CHANGES, b"".join(changes)))
    if hello.wanted is not None:
        parts.append(_tlv(_TLV_WANTED, b"".join(map(_WANTED.pack, hello.wanted))))
    return b"".join(parts)


def address_values(addresses: Iterable[IpAddress]) -> Iterator[tuple[int, bytes]]:
    """Types and values that say which addresses a LOCAL has; those of IPv4 come first."""
    known = tuple(addresses)
    for kind, version in ((TLV_IPV4, 4), (TLV_IPV6, 6)):
        packed = b"".join(each.packed for each in known if each.version == version)
        if packed:
            yield kind, packed


def read_addresses(four: bytes, six: bytes) -> tuple[IpAddress, ...]:
    """The addresses in such values, MAX_ADDRESSES at most. Raises WireError."""
    if len(four) % 4 or len(six) % 16 or len(four) // 4 + len(six) // 16 > MAX_ADDRESSES:
        raise WireError(f"hello: {len(four)} and {len(six)} bytes of addresses: at most {MAX_ADDRESSES} whole ones")
    return (
        *(IPv4Address(four[at : at + 4]) for at in range(0, len(four), 4)),
        *(IPv6Address(six[at : at + 16]) for at in range(0, len(six), 16)),
    )


def with_hash(body: bytes, found: bytes) -> bytes:
    """A message with its hash, of HASH_BYTES."""
    return body + _tlv(_TLV_HASH, found)


def split_hash(body: bytes) -> tuple[bytes, bytes | None]:
    """What is before the hash of a message, and the hash; None: it has none. Raises WireError if it is cut."""
    for kind, start, end in _walk(body):
        if kind == _TLV_HASH:
            return body[: start - _TLV_HEAD], body[start:end]
    return body, None


def is_newer(number: int, last: int) -> bool:
    """Whether a sequence number of 32 bits is behind another one (RFC 1982, 3.2)."""
    return 0 < (number - last) % _NUMBERS < _NUMBERS // 2


def frame(body: bytes, source: Mac) -> bytes:
    """The Ethernet frame around a message."""
    return _ETHERNET.pack(NEAREST_BRIDGE.packed, source.packed, ETH_EXPERIMENT) + body


def source_of(data: bytes) -> bytes:
    """The MAC address that a frame with a message comes from."""
    return data[_MAC_BYTES : 2 * _MAC_BYTES]


def update_kind(data: bytes) -> int | None:
    """UPDATE (``update``), NEEDS (``need``) or MAP (``map_message``), None for other frames: a hello, perhaps."""
    return _LIKE_UPDATES.get(data[_ETHERNET.size : _ETHERNET.size + _KIND_AT + 1])


def body_of(data: bytes) -> bytes | None:
    """What is behind the Ethernet header, or None if it is not one of these messages. Raises WireError if too long."""
    body = data[_ETHERNET.size :]
    if not body.startswith(MAGIC):
        return None
    if len(data) > MAX_BYTES:
        raise WireError(f"a neighbour's message of {len(data)} bytes: at most {MAX_BYTES}")
    return body


def decode(body: bytes) -> Hello | None:
    """Read a message; None if it is of a kind that is not known. Raises WireError."""
    if len(body) < _HEAD_BYTES:
        raise WireError(f"a neighbour's message ends after {len(body)} bytes: the head has {_HEAD_BYTES}")
    _, version, kind, switch, boot, port, sequence = HEAD.unpack_from(body)
    interval_ms, wanted_ms = _PACE.unpack_from(body, HEAD.size)
    if version != VERSION:
        raise WireError(f"a neighbour's message has version {version}: {VERSION} is spoken here")
    if kind != HELLO:
        return None
    for name, value in (("interval", interval_ms), ("wanted interval", wanted_ms)):
        if not MIN_INTERVAL_MS <= value <= MAX_INTERVAL_MS:
            raise WireError(f"hello: {name} of {value} ms: {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS} are allowed")
    values = _values(body)
    return Hello(
        *(switch, boot, port, sequence, interval_ms, wanted_ms),
        heard=_read_heard(values.get(_TLV_HEARD)),
        mac=_read_mac(values.get(_TLV_MAC)),
        addresses=read_addresses(values.get(TLV_IPV4, b""), values.get(TLV_IPV6, b"")),
        changes=_read_changes(values.get(_TLV_CHANGES)),
        wanted=_read_wanted(values.get(_TLV_WANTED)),
    )


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value))) + value


def _values_at(body: bytes) -> int:
    """Where the values of a message begin."""
    if len(body) < HEAD.size + UPDATE_HEAD.size or body[_KIND_AT] not in (UPDATE, NEEDS, MAP):
        return _HEAD_BYTES
    *_, first, second = UPDATE_HEAD.unpack_from(body, HEAD.size)
    sizes = (1, 0) if body[_KIND_AT] == MAP else RECORD_BYTES
    return HEAD.size + UPDATE_HEAD.size + sizes[0] * int(first) + sizes[1] * int(second)


def _walk(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of each value, up to padding or hash. Raises WireError."""
    at, end = _values_at(body), len(body)
    while at < end and body[at] != _PAD:
        kind, start = body[at], at + _TLV_HEAD
        at = start + body[at + 1] if start <= end else end + 1
        if at > end:
            raise WireError(f"hello: type {kind} at byte {start - _TLV_HEAD} is cut off")
        if kind == _TLV_HASH and at - start != HASH_BYTES:
            raise WireError(f"hello: a hash of {at - start} bytes: {HASH_BYTES} are expected")
        yield kind, start, at
        if kind == _TLV_HASH:
            return


def _values(body: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    for kind, start, end in _walk(body):
        if kind in values:
            raise WireError(f"hello: type {kind} comes twice")
        values[kind] = body[start:end]
    return values


def _read_heard(value: bytes | None) -> Heard | None:
    if value is None:
        return None
    if len(value) != _HEARD.size:
        raise WireError(f"hello: what was heard has {len(value)} bytes: {_HEARD.size} are expected")
    return Heard(*_HEARD.unpack(value))


def _read_mac(value: bytes | None) -> Mac | None:
    if value is None:
        return None
    if len(value) != _MAC_BYTES:
        raise WireError(f"hello: a MAC address of {len(value)} bytes")
    return Mac.from_bytes6(value)


def _read_wanted(value: bytes | None) -> Wanted:
    if value is None:
        return None
    if len(value) % _WANTED.size or len(value) > MAX_WANTED * _WANTED.size:
        raise WireError(f"hello: {len(value)} bytes of wanted stations: at most {MAX_WANTED} of {_WANTED.size}")
    return tuple(number for (number,) in _WANTED.iter_unpack(value))


def _read_changes(value: bytes | None) -> tuple[Change, ...]:
    if value is None:
        return ()
    if len(value) % _CHANGE.size or len(value) > MAX_CHANGES * _CHANGE.size:
        raise WireError(f"hello: {len(value)} bytes of changes: at most {MAX_CHANGES} of {_CHANGE.size}")
    return tuple(Change(*each) for each in _CHANGE.iter_unpack(value))
