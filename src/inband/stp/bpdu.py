"""BPDUs on the wire: Configuration, Topology Change Notification and RST, in Ethernet (IEEE 802.1D-2004, 9.3).

A frame is decoded by what the standard validates (9.3.4). Nothing behind the parameters is looked at: later versions
put more there. An MST BPDU begins as an RST BPDU does, and is read as one.

Invariants: whatever a frame holds, it decodes or raises WireError, in constant time. Timer parameters that come out are
in the range that the standard allows (table 17-1): a neighbour that says it greets never, or all the time, is not
believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

from inband.errors import WireError
from inband.packet.frame import Frame
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.vocabulary.addresses import BRIDGE_GROUP, Mac
from inband.vocabulary.spanning_tree import StpRole

_LLC = bytes.fromhex("424203")
_LLC_AT, _BPDU_AT = 14, 17
_TCN_SIZE, _CONFIG_SIZE, _RST_SIZE = 4, 35, 36
_TYPES = Struct("!HBB")
_BODY = Struct("!BQIQHHHHH")
_FRAME_SIZE = 60  # without the checksum: what an Ethernet frame has at least

# Times are in 256ths of a second.
_TICKS = 256


class Kind(IntEnum):
    """BPDU types (9.3.1 to 9.3.3)."""

    CONFIG = 0x00
    RST = 0x02
    TCN = 0x80


class Flag(IntFlag):
    """Flags of Configuration and RST BPDUs (9.3.3); a Configuration BPDU has the first and the last."""

    NONE = 0
    TOPOLOGY_CHANGE = 1
    PROPOSAL = 2
    LEARNING = 0x10
    FORWARDING = 0x20
    AGREEMENT = 0x40
    TOPOLOGY_CHANGE_ACK = 0x80


_ROLE_SHIFT, _ROLE_BITS = 2, 0x0C
_OF_CONFIG = Flag.TOPOLOGY_CHANGE | Flag.TOPOLOGY_CHANGE_ACK


@dataclass(frozen=True, slots=True)
class Bpdu:
    """A Configuration or RST BPDU. ``role`` is the sender's port's; a Configuration BPDU comes from a designated one.

    ALTERNATE is said of backup ports, too.
    """

    kind: Kind
    vector: PriorityVector
    times: Times
    flags: Flag = Flag.NONE
    role: StpRole = StpRole.DESIGNATED


@dataclass(frozen=True, slots=True)
class TcnBpdu:
    """A Topology Change Notification."""


AnyBpdu = Bpdu | TcnBpdu


def is_bpdu(data: bytes) -> bool:
    """Whether a frame is sent to bridges."""
    return data[:6] == _GROUP


_GROUP = BRIDGE_GROUP.packed


def encode(bpdu: AnyBpdu, source: Mac) -> Frame:
    """The Ethernet frame of a BPDU."""
    body = _LLC + (_TYPES.pack(0, 0, Kind.TCN) if isinstance(bpdu, TcnBpdu) else _encode_body(bpdu))
    header = _GROUP + int(source).to_bytes(6, "big") + len(body).to_bytes(2, "big")
    return Frame((header + body).ljust(_FRAME_SIZE, b"\0"))


def _encode_body(bpdu: Bpdu) -> bytes:
    vector, is_rst = bpdu.vector, bpdu.kind is Kind.RST
    flags = int(bpdu.flags) | (_sent_role(bpdu.role) << _ROLE_SHIFT if is_rst else 0)
    body = _BODY.pack(
        flags, vector.root.number, vector.cost, vector.bridge.number, vector.port, *map(_to_ticks, bpdu.times)
    )
    version_1_length = b"\0" if is_rst else b""
    return _TYPES.pack(0, 2 if is_rst else 0, bpdu.kind) + body + version_1_length


def _sent_role(role: StpRole) -> int:
    return int((StpRole.ALTERNATE if role is StpRole.BACKUP else role).value)


def _to_ticks(seconds: float) -> int:
    return min(int(seconds * _TICKS), 0xFFFF)


def decode(data: bytes) -> AnyBpdu:
    """The BPDU of an untagged Ethernet frame; raises WireError saying what is wrong with it (9.3.4)."""
    if len(data) < _BPDU_AT or data[_LLC_AT:_BPDU_AT] != _LLC:
        raise WireError("BPDU: no LLC header of spanning tree behind the addresses")
    length = int.from_bytes(data[12:14], "big")
    body = data[_BPDU_AT : _LLC_AT + length]
    if length > len(data) - _LLC_AT or len(body) < _TCN_SIZE:
        raise WireError(f"BPDU: {len(data)} bytes with a length of {length}")
    protocol, version, kind = _TYPES.unpack_from(body)
    if protocol != 0:
        raise WireError(f"BPDU: protocol {protocol:#x} is unknown")
    if kind == Kind.TCN:
        return TcnBpdu()
    if kind == Kind.CONFIG:
        return _decode_body(Kind.CONFIG, body, _CONFIG_SIZE)
    if kind == Kind.RST and version >= 2:
        return _decode_body(Kind.RST, body, _RST_SIZE)
    raise WireError(f"BPDU: type {kind:#x} of version {version} is unknown")


def _decode_body(kind: Kind, body: bytes, size: int) -> Bpdu:
    if len(body) < size:
        raise WireError(f"BPDU: {len(body)} bytes are too few for type {kind:#x}")
    flags, root, cost, bridge, port, *ticks = _BODY.unpack_from(body, _TYPES.size)
    age, max_age, hello, delay = (tick / _TICKS for tick in ticks)
    if kind is Kind.CONFIG and age >= max_age:  # of an RST BPDU that is news: what is known is not true any more
        raise WireError(f"BPDU: {age:g} s old, and {max_age:g} s is the most")
    times = Times(age, _between(6, max_age, 40), _between(1, hello, 10), _between(2, delay, 30))
    vector = PriorityVector(BridgeId.of_number(root), cost, BridgeId.of_number(bridge), port)
    if kind is Kind.CONFIG:
        return Bpdu(kind, vector, times, Flag(flags) & _OF_CONFIG)
    # A port of no known role says what a Configuration BPDU does (9.3.4, note).
    role = StpRole((flags & _ROLE_BITS) >> _ROLE_SHIFT)
    return Bpdu(
        kind,
        vector,
        times,
        Flag(flags & ~_ROLE_BITS & 0xFF),
        StpRole.DESIGNATED if role is StpRole.DISABLED else role,
    )


def _between(low: float, value: float, high: float) -> float:
    return min(max(low, value), high)
