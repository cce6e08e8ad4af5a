"""Where a capture gets its packets: one packet socket for all ports (packet(7)).

It sees what comes in before any program at the interface does, and what leaves, whoever sends it; so it sees the same
on both datapaths. One socket for all keeps the order of packets across ports. The kernel's filter lets the ports'
packets through and nothing else; with more ports than a filter may name, the rest is left out here.

What the reader is too slow for the kernel drops and counts: memory is bounded by the socket's buffer.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from inband.datapath.userspace_port import attach_filter, set_size, tag_of
from inband.errors import HostError
from inband.packet.pcapng import Direction

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_OUTGOING = 4  # PACKET_OUTGOING
# 512 kB is the largest packet (GSO_MAX_SIZE).
_BUFFER_BYTES = 16 << 20
_LARGEST = 1 << 20
_CONTROL_BYTES = 256
_TIMESPEC = Struct("=qq")
_STATISTICS = Struct("=II")
_INSTRUCTION = Struct("=HBBI")
_LDW_ABS, _JEQ, _RET = 0x20, 0x15, 0x06
_INTERFACE_INDEX = 0xFFFFF000 + 8  # SKF_AD_OFF + SKF_AD_IFINDEX (linux/filter.h)
# Two instructions of eight bytes for each, and older kernels give a socket's options 20 kB (optmem_max).
MAX_FILTERED = 1000
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet at an interface, with its VLAN tag in place. ``time_ns`` is the kernel's, since 1970."""

    interface: str
    direction: Direction
    time_ns: int
    data: bytes


class PacketSource:
    """Packets of some interfaces of this network namespace. ``received`` and ``dropped`` count since the start."""

    def __init__(self, interfaces: Iterable[str]) -> None:
        """Begin. Raises HostError."""
        self.received = self.dropped = 0
        try:
            # From all interfaces; what comes before the filter is there is left out by ``read``.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            set_size(self._socket, _SO_RCVBUFFORCE, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self.follow(interfaces)
        except OSError as error:
            reason = f"{error.strerror}; this needs CAP_NET_RAW"
            raise HostError("open a packet socket", reason, errno=error.errno or 0) from None

    def follow(self, interfaces: Iterable[str]) -> None:
        """From now on packets of these interfaces; those that are not there are left out."""
        self._wanted = frozenset(interfaces)
        indexes = {name: index for index, name in socket.if_nameindex()}
        attach_filter(self._socket, _filter([indexes[name] for name in self._wanted if name in indexes]))

    def read(self, limit: int, patience_s: float) -> Iterator[Seen]:
        """Packets that wait, ``limit`` at most; waits for the first one for so long."""
        self._socket.settimeout(patience_s)
        for _ in range(limit):
            try:
                data, control, _, place = self._socket.recvmsg(_LARGEST, _CONTROL_BYTES)
            except (TimeoutError, BlockingIOError):
                return
            except OSError:  # an interface went down
                continue
            self._socket.settimeout(0.0)
            if place[0] in self._wanted:
                yield _seen(data, control, place)

    def count(self) -> None:
        """Ask the kernel what it has counted; it forgets that by being asked."""
        counted = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        received, dropped = _STATISTICS.unpack(counted)
        self.received += received
        self.dropped += dropped

    def close(self) -> None:
        """End."""
        self._socket.close()


def _seen(data: bytes, control: list[tuple[int, int, bytes]], place: tuple[str, int, int]) -> Seen:
    tag = tag_of(control)
    if tag is not None:
        data = data[:12] + tag + data[12:]
    times = [_TIMESPEC.unpack(value) for level, kind, value in control if (level, kind) == (1, _SO_TIMESTAMPNS)]
    seconds, nanoseconds = times[0] if times else (0, 0)
    direction = Direction.SENT if place[2] == _OUTGOING else Direction.RECEIVED
    return Seen(place[0], direction, seconds * 1_000_000_000 + nanoseconds, data)


def _filter(indexes: list[int]) -> list[bytes]:
    """A program that lets packets of these interfaces through; of all, when there are too many to name."""
    if len(indexes) > MAX_FILTERED:
        return [_INSTRUCTION.pack(_RET, 0, 0, _LARGEST)]
    program = [_INSTRUCTION.pack(_LDW_ABS, 0, 0, _INTERFACE_INDEX)]
    for index in indexes:
        program += [_INSTRUCTION.pack(_JEQ, 0, 1, index), _INSTRUCTION.pack(_RET, 0, 0, _LARGEST)]
    return [*program, _INSTRUCTION.pack(_RET, 0, 0, 0)]


def enter_network_of(pid: int) -> None:
    """Go to the network namespace of a process, unless this one is there already. Raises HostError."""
    path = Path(f"/proc/{pid}/ns/net")
    try:
        if path.stat().st_ino == Path("/proc/self/ns/net").stat().st_ino:
            return
        with path.open("rb") as file:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except OSError as error:
        raise HostError("enter the switch's network namespace", error.strerror or "", errno=error.errno or 0) from None
