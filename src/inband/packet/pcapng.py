"""Writing captures with a remark for each packet, which Wireshark shows: pcapng (draft-ietf-opsawg-pcapng).

One section in this machine's byte order; an interface is described when its first packet comes. Each packet has its
direction (epb_flags, 4.3.1) and may have a comment (opt_comment, 3.5); what the kernel lost is told at the end
(Interface Statistics Block, 4.6). Times are nanoseconds since 1970 (if_tsresol 9).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import BinaryIO

from inband import __version__

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1  # LINKTYPE_ETHERNET
_COMMENT, _USER_APPLICATION, _NAME, _RESOLUTION, _FLAGS = 1, 4, 2, 9, 2
_RECEIVED, _DROPPED = 4, 5  # isb_ifrecv, isb_ifdrop
_NANOSECONDS = b"\x09"
# An option's length has 16 bits; no remark of the switch's is as long as this.
MAX_COMMENT = 1000

_BLOCK = Struct("=II")
_LENGTH = Struct("=I")
_OPTION = Struct("=HH")
_SECTION_HEAD = Struct("=IHHq")
_INTERFACE_HEAD = Struct("=HHI")
_PACKET_HEAD = Struct("=IIIII")
_STATISTICS_HEAD = Struct("=III")
_COUNT = Struct("=Q")


class Direction(IntEnum):
    """Bits 0 and 1 of epb_flags."""

    RECEIVED = 1
    SENT = 2


class PcapngWriter:
    """Writes to an open binary file, which stays the caller's to close. OSError is left to the caller."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin the one section."""
        self._file = file
        self._interfaces: dict[str, int] = {}
        head = _SECTION_HEAD.pack(_BYTE_ORDER, 1, 0, -1)
        self._block(_SECTION, head, _option(_USER_APPLICATION, f"inband {__version__}".encode()))

    def write(self, interface: str, direction: Direction, time_ns: int, data: bytes, comment: str = "") -> None:
        """Add a packet that was seen at an interface ``time_ns`` nanoseconds after 1970."""
        head = _PACKET_HEAD.pack(self._interface(interface), time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
        remark = _option(_COMMENT, comment.encode()[:MAX_COMMENT]) if comment else b""
        self._block(_PACKET, head + _padded(data), remark + _option(_FLAGS, _LENGTH.pack(direction)))

    def lost(self, interface: str, time_ns: int, received: int, dropped: int) -> None:
        """Say how many packets came and how many of them are missing."""
        head = _STATISTICS_HEAD.pack(self._interface(interface), time_ns >> 32, time_ns & 0xFFFFFFFF)
        options = _option(_RECEIVED, _COUNT.pack(received)) + _option(_DROPPED, _COUNT.pack(dropped))
        self._block(_STATISTICS, head, options)

    def flush(self) -> None:
        """Let readers of the file see what was written."""
        self._file.flush()

    def _interface(self, name: str) -> int:
        number = self._interfaces.get(name)
        if number is None:
            number = self._interfaces[name] = len(self._interfaces)
            options = _option(_NAME, name.encode()) + _option(_RESOLUTION, _NANOSECONDS)
            self._block(_INTERFACE, _INTERFACE_HEAD.pack(_ETHERNET, 0, 0), options)
        return number

    def _block(self, kind: int, body: bytes, options: bytes) -> None:
        content = body + (options + _OPTION.pack(0, 0) if options else b"")
        length = _BLOCK.size + len(content) + _LENGTH.size
        self._file.write(_BLOCK.pack(kind, length) + content + _LENGTH.pack(length))


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
