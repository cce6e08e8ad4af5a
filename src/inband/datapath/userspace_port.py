"""A port of the userspace datapath: the packet sockets of one interface, and what goes through them.

Five sockets receive (control, discovery, link-local, data, data with VLAN tags, see ``userspace_filter``), one sends,
and one more for each queue in use, since a packet socket stamps its own priority on what it sends.

Invariants, each learned from a packet lost (packet(7), linux/if_packet.h):
- PACKET_VNET_HDR on all of them: unfinished checksums and uncut TCP segments go through as the kernel left them.
- PACKET_AUXDATA where a VLAN tag may be: the kernel keeps the outer tag beside the frame.
- PACKET_IGNORE_OUTGOING, or the switch receives what it sends.
- Promiscuous as a membership of a socket, which ends with the socket also after kill -9.
- Filters first, binding last, or the first frames come to the wrong socket.

A port outlives its interface: a socket whose interface is gone only fails, and ``errors`` says how.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from struct import Struct

from inband.datapath.base import Counters, PortCounters
from inband.datapath.closing import close_soon
from inband.datapath.microflow import SPARE
from inband.datapath.pace import CONTROL, DISCOVERY, LINK_LOCAL, Pace
from inband.datapath.userspace_filter import Queue, build_filter
from inband.datapath.userspace_offload import TAG_SIZE, VNET_SIZE, shift_offload
from inband.errors import HostError
from inband.flow.ports import PortNo
from inband.packet.checksum import complete, segment
from inband.packet.frame import Frame
from inband.packet.headers import locate
from inband.packet.vnet import NOTHING_LEFT, build_vnet
from inband.vocabulary.numbers import ETH_VLAN
from inband.vocabulary.openflow import MAX_QUEUE

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h: not in Python's socket module.
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_STATISTICS, _PACKET_AUXDATA = 1, 6, 8
_PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 15, 23
_PACKET_MR_PROMISC = 1
_ETH_P_ALL = 3
_SO_ATTACH_FILTER, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 26, 32, 33
_TP_STATUS_VLAN_VALID, _TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40

_MEMBERSHIP = Struct("=iHH8x")
_AUXDATA = Struct("=IIIHHHH")
_AUXDATA_SPACE = socket.CMSG_SPACE(_AUXDATA.size)
_TAG = Struct(">HH")
_STATISTICS = Struct("=II")

# The largest frame, which waits to be cut: Linux's GSO_MAX_SIZE, and two tags. One byte more tells that a frame was cut
# off.
MAX_FRAME = 8 * 65_535 + 2 * TAG_SIZE
BUFFER_SIZE = VNET_SIZE + MAX_FRAME + TAG_SIZE + 1 + SPARE

# A TCP window in flight is some 6 MB (tcp_rmem), counted with the kernel's overhead; control traffic is small, but a
# controller's answer may be large. Of discovery some 340 frames (twice the size is given, each counts as 768 bytes), a
# burst of the pipeline's budget: what gets through a storm has not waited long. A quarter of that stays on a link.
_RECEIVE_BYTES = {
    Queue.CONTROL: 4 << 20,
    Queue.DISCOVERY: 128 << 10,
    Queue.LINK_LOCAL: 32 << 10,
    Queue.DATA: 16 << 20,
    Queue.TAGGED_DATA: 16 << 20,
}
LOST = {Queue.DISCOVERY: "discovery_flood", Queue.LINK_LOCAL: "link_local_flood"}
"""The name of what a queue had no room for, where it is not "rx_queue_full_" with the queue's."""
_SEND_BYTES = 8 << 20

# Each queue in use is a socket, and whoever writes flows must not use up the descriptors.
MAX_QUEUES = 64

# Where SCTP's checksum is in its header (RFC 9260, 3.1); TCP's and UDP's are elsewhere.
_SCTP_CHECKSUM = 8

# Packets of IP's greatest length, and no tag.
_MAX_UNCUT = 65_535 + 14

# Up to here one string of header and frame is sent sooner than two.
_JOINED_BYTES = 4096

# What a failed send means: a counter's name, by errno; everything else is "tx_refused".
TX_FAULTS = {
    errno.EAGAIN: "tx_queue_full",
    errno.ENOBUFS: "tx_queue_full",
    errno.ENETDOWN: "tx_link_down",
    errno.ENXIO: "tx_no_interface",
    errno.ENODEV: "tx_no_interface",
    errno.EMSGSIZE: "tx_too_big",
}

Receive = Callable[[], int]
"""Put one frame with its vnet header into the shared buffer; returns where it ends. Raises OSError as recv does."""


@dataclass(slots=True, eq=False)
class Tap:
    """One receiving socket."""

    port: Port
    queue: Queue
    socket: socket.socket
    receive: Receive
    rests: bool = False
    """Whether it is not read for a moment, so that the kernel drops what does not fit."""


@dataclass(slots=True, eq=False)
class Port:
    """The sockets and counters of one interface."""

    number: PortNo
    interface: str
    index: int
    buffer: bytearray
    counters: PortCounters = field(default_factory=PortCounters)
    taps: list[Tap] = field(default_factory=list)
    senders: dict[int | None, socket.socket] = field(default_factory=dict)
    lost: dict[Queue, int] = field(default_factory=dict)
    unqueued: int = 0
    control_pace: Pace = field(default_factory=lambda: Pace(CONTROL))
    paces: dict[Queue, Pace] = field(
        default_factory=lambda: {Queue.DISCOVERY: Pace(DISCOVERY), Queue.LINK_LOCAL: Pace(LINK_LOCAL)}
    )

    def sender(self, queue: int | None) -> socket.socket:
        """The socket that sends by a queue of this port. Raises OSError.

        A queue that cannot be a class of HTB, or one too many, is none: the frame is sent, and ``unqueued`` counts.
        """
        sender = self.senders.get(queue)
        if sender is not None:
            return sender
        if queue is not None and (queue > MAX_QUEUE or len(self.senders) > MAX_QUEUES):
            self.unqueued += 1
            return self.sender(None)
        sender = self.senders[queue] = _open_sender(self.interface, queue)
        return sender

    def transmit(self, queue: int | None, frame: Frame, faults: Counters) -> None:
        """Send a frame by a queue of this port; one that cannot be sent is counted, by name in ``faults``."""
        counters, data = self.counters, frame.data
        sender = self.senders.get(queue)
        try:
            if frame.offload is None and sender is not None and len(data) <= _JOINED_BYTES:  # nearly always
                sender.send(NOTHING_LEFT + data)
                counters.tx_packets += 1
            else:
                for each in sendable(frame):
                    self.sender(queue).sendmsg([build_vnet(each.offload), each.data])
                counters.tx_packets += frame.segments
        except OSError as error:
            faults.add(TX_FAULTS.get(error.errno or 0, "tx_refused"))
            counters.tx_dropped += frame.segments
        else:
            counters.tx_bytes += len(data)

    def losses(self) -> dict[str, int]:
        """Named counters of what the kernel could not do as wanted."""
        named = {LOST.get(queue, f"rx_queue_full_{queue.value}"): count for queue, count in self.lost.items()}
        return named | ({"queue_refused": self.unqueued} if self.unqueued else {})

    def tap(self, queue: Queue) -> Tap:
        """The socket of a queue."""
        return next(each for each in self.taps if each.queue is queue)

    def sort(self, queue: Queue, ports: frozenset[int]) -> None:
        """Let the kernel sort this queue's frames by other control ports from now on. Raises OSError."""
        attach_filter(self.tap(queue).socket, build_filter(queue, ports))

    def collect_losses(self) -> None:
        """Add frames that did not fit into a receive queue to ``lost`` and rx_dropped (reading resets them)."""
        for tap in self.taps:
            try:
                _, drops = _STATISTICS.unpack(tap.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))
            except OSError:
                continue  # closed meanwhile: nothing to add
            self.lost[tap.queue] = self.lost.get(tap.queue, 0) + drops
            self.counters.rx_dropped += drops

    def close(self) -> None:
        """Close all sockets, soon: nothing watches them any more."""
        for tap in self.taps:
            close_soon(tap.socket)
        for sender in self.senders.values():
            close_soon(sender)
        self.taps.clear()
        self.senders.clear()


def sendable(frame: Frame) -> Sequence[Frame]:
    """What to send instead of a frame: where the kernel could not finish the work that is left, it is done here.

    A vnet header cannot say CRC32c: the kernel would write an Internet checksum. Below an MPLS label or in PBB it cuts
    nothing (without the module mpls_gso), and drops the frame. Of more than 64 kB it takes away the header that says
    how long it is (RFC 2675), and no host finds its end.
    """
    offload = frame.offload
    if offload is None:
        return (frame,)
    if offload.csum_offset == _SCTP_CHECKSUM:
        return (complete(frame),)
    if offload.gso_size and (len(frame.data) > _MAX_UNCUT or _is_below_others(frame.data)):
        return segment(frame)
    return (frame,)


def _is_below_others(data: bytes) -> bool:
    return locate(data).places.keys().isdisjoint(("ipv4", "ipv6"))


def open_port(number: PortNo, interface: str, buffer: bytearray, ports: frozenset[int]) -> Port:
    """Open all sockets of a port, received into ``buffer`` (BUFFER_SIZE bytes). Raises HostError."""
    try:
        port = Port(number, interface, socket.if_nametoindex(interface), buffer)
    except OSError as error:
        raise HostError(f"open {interface}", "there is no such interface", errno=error.errno or 0) from error
    try:
        for queue in Queue:
            port.taps.append(_open_tap(port, queue, ports))
        port.sender(None)
    except OSError as error:
        port.close()
        temporary = error.errno in (errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN)
        reason = f"{error.strerror}; the userspace datapath needs CAP_NET_RAW"
        raise HostError(
            f"open packet sockets on {interface}", reason, errno=error.errno or 0, temporary=temporary
        ) from error
    return port


def attach_filter(sock: socket.socket, program: list[bytes]) -> None:
    """SO_ATTACH_FILTER; replaces an older filter without a gap. Raises OSError."""
    code = bytearray(b"".join(program))
    # struct sock_fprog: a count and a pointer, in the machine's own layout.
    address = ctypes.addressof((ctypes.c_char * len(code)).from_buffer(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), address))


def _open_tap(port: Port, queue: Queue, ports: frozenset[int]) -> Tap:
    sock = _open_socket()
    try:
        set_size(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BYTES[queue])
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, queue is not Queue.DATA)
        attach_filter(sock, build_filter(queue, ports))
        sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _MEMBERSHIP.pack(port.index, _PACKET_MR_PROMISC, 0))
        sock.bind((port.interface, _ETH_P_ALL))
    except OSError:
        sock.close()
        raise
    if queue is Queue.DATA:
        # Nothing of Python's is between the loop and the system call.
        return Tap(port, queue, sock, partial(sock.recv_into, memoryview(port.buffer)[: VNET_SIZE + MAX_FRAME + 1]))
    return Tap(port, queue, sock, _tag_restoring_receive(sock, port.buffer))


def _open_sender(interface: str, queue: int | None) -> socket.socket:
    sock = _open_socket()
    try:
        set_size(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, _SEND_BYTES)
        if queue is not None:
            # As Open vSwitch's linux-htb numbers its classes.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 1 << 16 | queue + 1)
        # Protocol 0: bound for sending, receives nothing.
        sock.bind((interface, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _open_socket() -> socket.socket:
    """Protocol 0: nothing is received before the socket is bound."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        sock.setblocking(False)
        sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    except OSError:
        sock.close()
        raise
    return sock


def set_size(sock: socket.socket, forced: int, ordinary: int, size: int) -> None:
    """A buffer beyond the system's limit where we may, else as large as the limit lets it be."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, ordinary, size)


def _tag_restoring_receive(sock: socket.socket, buffer: bytearray) -> Receive:
    """A receive that leaves a gap behind the Ethernet addresses, for the tag, and closes it if there is none."""
    view = memoryview(buffer)
    tag_at = VNET_SIZE + 12
    addresses, gap_end = view[:tag_at], tag_at + TAG_SIZE
    rest = view[gap_end : VNET_SIZE + MAX_FRAME + TAG_SIZE + 1]

    def receive() -> int:
        size, ancillary, _, _ = sock.recvmsg_into([addresses, rest], _AUXDATA_SPACE)
        tag = tag_of(ancillary)
        if tag is None:
            view[tag_at:size] = bytes(view[gap_end : size + TAG_SIZE])
            return size
        view[tag_at:gap_end] = tag
        shift_offload(buffer)
        return size + TAG_SIZE

    return receive


def tag_of(ancillary: list[tuple[int, int, bytes]]) -> bytes | None:
    """The VLAN tag's four bytes from a frame's auxiliary data."""
    for level, kind, data in ancillary:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA) and len(data) == _AUXDATA.size:
            status, _, _, _, _, tci, tpid = _AUXDATA.unpack(data)
            if status & _TP_STATUS_VLAN_VALID:
                return _TAG.pack(tpid if status & _TP_STATUS_VLAN_TPID_VALID else ETH_VLAN, tci)
    return None
