"""Fixed-size structures as one line of text that serves both directions.

A :class:`Layout` names a value's class and, in wire order, each attribute with its kind; ``4x`` is padding::

    Layout(PortStatus, "reason:port_reason 7x")

Kinds are struct's letters (B, H, I, Q), the named ones in KINDS, and ``sN`` for a text of N bytes. A kind is also
where an enumeration's error code is, so that a layout never lets a number through that the specification has an
ERROR for. Padding is sent as zeros and ignored on the way in, as OpenFlow 1.3.5, 7.1.3 says.

Not here: anything of variable length, and the messages that are sent per packet, which are written out by hand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import Any, Generic, NamedTuple, TypeVar

from inband.errors import UsageError
from inband.flow.actions import PacketInReason
from inband.flow.flow import FlowFlags
from inband.flow.ports import HIGHEST, MAX, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.constants import QueuePropertyType
from inband.openflow.errors import MalformedError
from inband.vocabulary import openflow as c
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow_errors import (
    BadAction,
    BadRequest,
    ErrorCode,
    GroupModFailed,
    MeterModFailed,
    PortModFailed,
    RoleRequestFailed,
)

T = TypeVar("T")


class Kind(NamedTuple):
    """How one attribute travels: struct's letter, wire number to value, value to wire number."""

    code: str
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any]


def widen_port(number: int) -> PortNo:
    """OpenFlow 1.0's 16-bit port as the 32-bit one: reserved numbers move to the top (1.0, 5.2.1)."""
    return PortNo(number | 0xFFFF0000 if number > HIGHEST else number)


def is_narrow(port: int) -> bool:
    """Whether 16 bits can name a port."""
    return port <= HIGHEST or port >= MAX


def narrow_port(port: int) -> int:
    """A port as OpenFlow 1.0 numbers it. Raises UsageError for a port that 16 bits cannot name."""
    if not is_narrow(port):
        raise UsageError(f"port {port} has no number in OpenFlow 1.0: the highest is {int(HIGHEST)}")
    return port & 0xFFFF


def text(data: bytes) -> str:
    """A text field without what follows its first zero; bytes that are not UTF-8 become replacement characters."""
    return data.split(b"\0", 1)[0].decode(errors="replace")


def _text_kind(size: int) -> Kind:
    last = size - 1  # is always the terminating zero, also where a peer has left it out
    return Kind(f"{size}s", lambda data: text(data[:last]), lambda value: value.encode()[:last])


def enumeration(code: str, cls: type[IntEnum], error: ErrorCode) -> Kind:
    """An IntEnum of which an unknown number is refused with this error."""

    def decode(number: int) -> IntEnum:
        try:
            return cls(number)
        except ValueError:
            raise MalformedError(error, f"{number} is no {cls.__name__}") from None

    return Kind(code, decode, int)


def _flags(cls: type[IntFlag], allowed: int = -1, code: str = "I") -> Kind:
    """Flags; those that are not ``allowed`` are neither sent nor heard."""
    return Kind(code, lambda bits: cls(bits & allowed), lambda value: int(value) & allowed)


def _wanted_config(allowed: int) -> Kind:
    """A port's configuration as PORT_MOD asks for it: what the version does not have is refused, not dropped."""

    def decode(bits: int) -> c.PortConfig:
        if bits & ~allowed:
            raise MalformedError(PortModFailed.BAD_CONFIG, f"{bits:#x} has port configuration that is not known")
        return c.PortConfig(bits)

    return Kind("I", decode, lambda value: int(value) & allowed)


def _widen_features(bits: int) -> c.PortFeatures:
    return c.PortFeatures(bits & 0x7F | (bits >> 7 & 0x1F) << 11)


def _narrow_features(bits: int) -> int:
    return bits & 0x7F | (bits >> 11 & 0x1F) << 7


# The STP and FLOOD bits of 1.0 do not exist in 1.3, and 1.0's STP states are a number, not flags.
_CONFIG, _CONFIG_10 = 0x65, 0x7F
_STATE_10 = 0x301
_SAME = int
KINDS: dict[str, Kind] = {
    **{letter: Kind(letter, _SAME, _SAME) for letter in "BHIQ"},
    "bool": Kind("B", bool, int),
    "port": Kind("I", PortNo, int),
    "port16": Kind("H", widen_port, narrow_port),
    "mac": Kind("6s", Mac.from_bytes6, lambda mac: mac.packed),
    "priority": Kind("H", OpenFlowPriority, int),
    "capabilities": _flags(c.Capabilities),
    "config_flags": _flags(c.ConfigFlags, code="H"),
    "port_config": _flags(c.PortConfig, _CONFIG),
    "port_config10": _flags(c.PortConfig, _CONFIG_10),
    "wanted_config": _wanted_config(_CONFIG),
    "wanted_config10": _wanted_config(_CONFIG_10),
    "port_state": _flags(c.PortState, 7),
    "port_state10": _flags(c.PortState, _STATE_10),
    "features": _flags(c.PortFeatures),
    "features10": Kind("I", _widen_features, _narrow_features),
    "flow_flags": _flags(FlowFlags, 0x1F, code="H"),
    "meter_flags": _flags(c.MeterFlags, code="H"),
    "meter_flags32": _flags(c.MeterFlags),
    "group_capabilities": _flags(c.GroupCapabilities),
    "packet_in_reason": enumeration("B", PacketInReason, BadRequest.BAD_TYPE),
    "wanted_reason": enumeration("B", PacketInReason, BadAction.BAD_ARGUMENT),
    "removed_reason": enumeration("B", c.FlowRemovedReason, BadRequest.BAD_TYPE),
    "port_reason": enumeration("B", c.PortReason, BadRequest.BAD_TYPE),
    "group_command": enumeration("H", c.GroupModCommand, GroupModFailed.BAD_COMMAND),
    "group_type": enumeration("B", c.GroupType, GroupModFailed.BAD_TYPE),
    "meter_command": enumeration("H", c.MeterModCommand, MeterModFailed.BAD_COMMAND),
    "band_type": enumeration("H", c.MeterBandType, MeterModFailed.BAD_BAND),
    "queue_property": enumeration("H", QueuePropertyType, BadRequest.BAD_TYPE),
    "role": enumeration("I", c.Role, RoleRequestFailed.BAD_ROLE),
    # Nicira's OTHER, MASTER, SLAVE are 0, 1, 2 (NX_ROLE_*).
    "nx_role": Kind("I", lambda number: KINDS["role"].decode(number + 1), lambda role: max(0, role - 1)),
}


class Layout(Generic[T]):
    """One structure. ``size`` is its length in bytes."""

    def __init__(self, cls: type[T], spec: str) -> None:
        self.cls = cls
        codes, self._columns = [], list[tuple[str, Kind]]()
        for column in spec.split():
            name, _, kind_name = column.partition(":")
            if kind_name:
                kind = KINDS.get(kind_name) or _text_kind(int(kind_name[1:]))
                self._columns.append((name, kind))
                codes.append(kind.code)
            else:
                codes.append(name)
        self._struct = struct.Struct("!" + "".join(codes))
        self.size = self._struct.size

    def fields(self, data: bytes, offset: int = 0) -> dict[str, Any]:
        """The attributes at ``offset``. Raises MalformedError: BAD_LEN when the data ends before they do."""
        if len(data) - offset < self.size:
            raise MalformedError(
                BadRequest.BAD_LEN, f"{self.cls.__name__} needs {self.size} bytes, {len(data) - offset} are there"
            )
        numbers = self._struct.unpack_from(data, offset)
        return {name: kind.decode(number) for (name, kind), number in zip(self._columns, numbers, strict=True)}

    def read(self, data: bytes, offset: int = 0, **more: Any) -> T:
        """The value at ``offset``; ``more`` are the attributes that are not part of the layout."""
        return self.cls(**self.fields(data, offset), **more)

    def read_whole(self, data: bytes) -> T:
        """The value that is all of ``data``. Raises MalformedError: BAD_LEN for any other length."""
        if len(data) != self.size:
            raise MalformedError(
                BadRequest.BAD_LEN, f"{self.cls.__name__} has {self.size} bytes, {len(data)} were sent"
            )
        return self.cls(**self.fields(data))

    def read_all(self, data: bytes) -> tuple[T, ...]:
        """The values that fill ``data`` one after the other. Raises MalformedError: BAD_LEN for a rest."""
        if len(data) % self.size:
            raise MalformedError(
                BadRequest.BAD_LEN, f"{len(data)} bytes are no whole number of {self.cls.__name__} of {self.size}"
            )
        return tuple(self.read(data, offset) for offset in range(0, len(data), self.size))

    def write(self, value: object) -> bytes:
        """The bytes of a value (anything that has the attributes)."""
        return self._struct.pack(*[kind.encode(getattr(value, name)) for name, kind in self._columns])
