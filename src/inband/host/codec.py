"""Netlink messages and attributes as bytes, both ways: the only place in the project that knows their form.

A datagram holds messages; a message is nlmsghdr and a body; a body is a fixed struct and then attributes, whose values
may be attributes again. What the structs and attributes mean is told by the modules that use them (``rtnetlink``,
``tc``, ``runtime.queues``).

Why not a library's classes: ``docs/decisions/10-netlink.md``.

Invariants: any bytes at all give values or WireError, nothing else. The work is proportional to the bytes given: every
message and every attribute takes at least its header's length off them.
Not here: sockets, time, state.

Sources: linux/netlink.h, netlink(7), RFC 3549.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from sys import byteorder
from typing import NamedTuple

from inband.errors import WireError

NLMSG_ERROR, NLMSG_DONE = 2, 3

NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x8, 0x10, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400

HEADER_BYTES = 16

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_TYPE_MASK = 0x3FFF  # the two upper bits of an attribute's type say "nested" and "network byte order"
_ERROR = struct.Struct("=i")  # nlmsgerr, and the body of the end of a dump: minus errno
_ACKNOWLEDGEMENT_BYTES = _ERROR.size + HEADER_BYTES  # nlmsgerr with the header of the request (NETLINK_CAP_ACK)
_NLMSGERR_ATTR_MSG = 1

Attributes = dict[int, bytes]
"""Type -> value."""


class Message(NamedTuple):
    """One netlink message: nlmsghdr's fields and the bytes after it."""

    kind: int
    flags: int
    sequence: int
    body: bytes


# --- bytes to values


def split(datagram: bytes) -> Iterator[Message]:
    """Cut a datagram into messages; raises WireError where a length is impossible."""
    offset = 0
    while offset + HEADER_BYTES <= len(datagram):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
        if length < HEADER_BYTES or offset + length > len(datagram):
            raise WireError(f"the message at byte {offset} of {len(datagram)} says that it has {length}")
        yield Message(kind, flags, sequence, datagram[offset + HEADER_BYTES : offset + length])
        offset += (length + 3) & ~3
    if offset < len(datagram):
        raise WireError(f"{len(datagram) - offset} bytes follow the last message")


def fields(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    """The numbers of the struct at the front of a body; raises WireError when it is cut."""
    if len(body) < layout.size:
        raise WireError(f"{len(body)} bytes are fewer than the {layout.size} of its struct")
    return layout.unpack_from(body)


def attributes(data: bytes, offset: int = 0) -> Attributes:
    """The attributes from ``offset`` on; of several of a type the last counts. Raises WireError where one is cut."""
    found: Attributes = {}
    end = len(data)
    while offset + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > end:
            raise WireError(f"the attribute at byte {offset} of {end} says that it has {length}")
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def as_number(value: bytes, size: int) -> int:
    """An attribute's value of ``size`` bytes in the machine's byte order; raises WireError for another length."""
    if len(value) != size:
        raise WireError(f"an attribute has {len(value)} bytes where a number of {size} is expected")
    return int.from_bytes(value, byteorder)


def as_text(value: bytes) -> str:
    """An attribute's value as text, up to its NUL; what is not UTF-8 is replaced."""
    return value.partition(b"\0")[0].decode(errors="replace")


def error_number(body: bytes) -> int:
    """The errno (0: none) in the body of an NLMSG_ERROR or NLMSG_DONE; raises WireError when it is cut."""
    return -fields(_ERROR, body)[0]


def error_words(body: bytes) -> str:
    """The kernel's own words in the body of an NLMSG_ERROR (NETLINK_EXT_ACK), "" where it gives none or cut ones."""
    try:
        return as_text(attributes(body, _ACKNOWLEDGEMENT_BYTES).get(_NLMSGERR_ATTR_MSG, b""))
    except WireError:
        return ""


# --- values to bytes


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Put nlmsghdr in front of a body."""
    return _HEADER.pack(HEADER_BYTES + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, *values: bytes) -> bytes:
    """One attribute, padded to four bytes; several values, which are attributes themselves, are nested in it."""
    value = b"".join(values)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def number(kind: int, value: int, size: int) -> bytes:
    """An attribute that is a number of ``size`` bytes."""
    return attribute(kind, value.to_bytes(size, byteorder))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a text, with its NUL."""
    return attribute(kind, value.encode() + b"\0")
