"""Traffic that asks for decisions, for measurements of the path in the kernel: `python -m bench.kernel_traffic VERB`.

    misses LEFT RIGHT MAC COUNT WINDOW   frames of as many new flows from eth0 of namespace LEFT to eth0 of RIGHT, at
                                         most WINDOW under way: prints the seconds, and the microseconds of each
    flood IF MAC SECONDS                 frames of ever new flows, as many as go
    frames IF MAC IP SECONDS [VLAN]      the same of one flow, to IP
    accept IP | connect IP SECONDS       TCP connections one after the other: prints the microseconds each took
    receive IP | send IP PPS SECONDS     numbered datagrams at a rate: receive prints how many came, send the seconds

A new flow is a source MAC address (and, but for the flood, a destination address) that no frame had before: new for
whichever of the two a switch looks at. MAC is the right host's; the destination address is not, so its stack drops the
frames. What is printed is JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import mmap
import secrets
import socket
import struct
import sys
import time
from ipaddress import IPv4Address

from pyroute2 import netns

from bench.traffic import BATCH, FRAME_BYTES, Iovec, Message
from inband.packet.frame import Offload
from inband.packet.vnet import build_vnet

CONNECT_PORT, NUMBERED_PORT = 4000, 4001
SECOND_US = 1e6
_LOST_AFTER_S = 1.0
# Longer than any switch is gone.
_SILENCE_S = 4.0
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 64 << 20
_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_VERSION, _PACKET_TX_RING, _PACKET_VNET_HDR, _PACKET_QDISC_BYPASS = 263, 10, 13, 15, 20
# struct tpacket2_hdr, rounded up: status, length, length on the wire, and what is of no use for sending.
_TPACKET_V2, _TPACKET_HEAD, _SEND_REQUEST = 1, 32, 1
_RING_BYTES, _SLOT_BYTES = 1 << 18, 256
# Numbers of flows have 24 bits, so that destinations are all in 11.0.0.0/8.
_NUMBERS = 1 << 24
_FLOOD_FRAMES = 4096
# Addresses and ports that flows of a switch forbid, each of them alone.
FORBIDDEN = ("10.66.66.1", "10.77.77.1", 7777, 6666)


def frame(number: int, dst_mac: str) -> bytes:
    """The 60 bytes of flow ``number``."""
    size = FRAME_BYTES - 14
    destination = 11 << 24 | number % _NUMBERS
    words = (0x4500, size, 0, 0, 64 << 8 | 17, 0, *_words(int(IPv4Address("10.9.0.1"))), *_words(destination))
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    words = (*words[:5], ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, *words[6:])
    ethernet = bytes.fromhex(dst_mac.replace(":", "")) + b"\x02\x5a" + struct.pack("!IH", number % _NUMBERS, 0x0800)
    return (ethernet + struct.pack("!10H4H", *words, 1024, 9, size - 20, 0)).ljust(FRAME_BYTES, b"\0")


def _words(value: int) -> tuple[int, int]:
    return value >> 16, value & 0xFFFF


def misses(left: str, right: str, dst_mac: str, count: int, window: int) -> None:
    """Send and take in; what is not back within a second of the last that came is lost."""
    netns.setns(right)
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    receiver.bind(("eth0", _ETH_P_ALL))
    receiver.settimeout(_LOST_AFTER_S)
    netns.setns(left)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind(("eth0", 0))
    first = secrets.randbelow(_NUMBERS)
    frames = [frame(first + number, dst_mac) for number in range(count)]
    number_of = {each: number for number, each in enumerate(frames)}
    sent: list[float] = []
    ways: list[float] = []
    end = start = time.perf_counter()
    while len(ways) < count:
        while len(sent) < min(count, len(ways) + window):
            sent.append(time.perf_counter())
            sender.send(frames[len(sent) - 1])
        try:
            number = number_of.get(receiver.recv(2048))
        except TimeoutError:
            break
        if number is not None:
            end = time.perf_counter()
            ways.append((end - sent[number]) * SECOND_US)
    print(json.dumps({"seconds": end - start, "ways_us": ways, "lost": count - len(ways)}))


def flood(interface: str, dst_mac: str, seconds: float) -> None:
    """A pass over all frames, then the same frames with other sources, and so on."""
    batches = _Batches(interface, [frame(number, dst_mac) for number in range(_FLOOD_FRAMES)])
    end = time.monotonic() + seconds
    run = 0
    while time.monotonic() < end:
        batches.send()
        run += 1
        # The third and fourth byte of the source: numbers of frames, which are small, do not reach them.
        batches.frames[8::FRAME_BYTES] = bytes([run >> 8 & 0xFF]) * _FLOOD_FRAMES
        batches.frames[9::FRAME_BYTES] = bytes([run & 0xFF]) * _FLOOD_FRAMES


def nearly_forbidden(forbidden: tuple[str, str, int, int], dst_mac: str) -> list[bytes]:
    """Frames that differ from addresses and ports each later than the one before, in all combinations.

    A switch has to look that far to see that no flow for these values matches: so each frame may get a mask of its own.
    """
    source, destination, *ports = forbidden
    values = [(int(IPv4Address(address)), 32) for address in (source, destination)] + [(port, 16) for port in ports]
    made = []
    for steps in itertools.product(range(4), repeat=len(values)):
        one = bytearray(frame(0, dst_mac))
        differing = [
            value ^ 1 << bits - 1 - step * bits // 4 for (value, bits), step in zip(values, steps, strict=True)
        ]
        one[26:38] = struct.pack("!IIHH", *differing)
        made.append(bytes(one))
    return made


def masks(interface: str, dst_mac: str, seconds: float) -> None:
    """Frames that make masks, each often enough that what a switch has cached of it stays."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    frames = nearly_forbidden(FORBIDDEN, dst_mac)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for each in frames:
            sock.send(each)
            time.sleep(0.0005)


def frames_of_one_flow(interface: str, dst_mac: str, address: str, seconds: float, vlan: int | None = None) -> None:
    """As fast as the kernel takes them, out of a ring in shared memory (packet(7), PACKET_TX_RING, version 2).

    It takes less than half of what ``sendmmsg`` does, which would hide the switch behind the sender. The header of
    virtio in front of each frame says that all of it is headers: the kernel has them in one piece then, as it has those
    of each frame that its own stack sends. The IP header's checksum is wrong, which no switch looks at: the right host
    drops the frame at once, before its UDP.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
    slots = _RING_BYTES // _SLOT_BYTES
    sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    sock.setsockopt(_SOL_PACKET, _PACKET_TX_RING, struct.pack("IIII", _RING_BYTES, 1, _SLOT_BYTES, slots))
    sock.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    sock.bind((interface, 0))
    one = bytearray(frame(0, dst_mac))
    one[6:12], one[24:26], one[30:34] = sock.getsockname()[4], b"\xba\xad", IPv4Address(address).packed
    if vlan is not None:
        one[12:12] = struct.pack("!HH", 0x8100, vlan)
    slot = build_vnet(Offload(hdr_len=len(one))) + one
    ring = mmap.mmap(sock.fileno(), _RING_BYTES)
    for at in range(0, _RING_BYTES, _SLOT_BYTES):
        struct.pack_into("II", ring, at + 4, len(slot), len(slot))
        ring[at + _TPACKET_HEAD : at + _TPACKET_HEAD + len(slot)] = slot
    status = memoryview(ring).cast("I")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for at in range(0, len(status), _SLOT_BYTES // 4):
            status[at] = _SEND_REQUEST
        sock.send(b"")  # returns when all are sent


class _Batches:
    """Frames of FRAME_BYTES in one piece of memory, which may be written to between two times of sending them all."""

    def __init__(self, interface: str, frames: list[bytes]) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((interface, 0))
        self._count = len(frames)
        self.frames = bytearray(b"".join(frames))
        base, each = ctypes.addressof(ctypes.c_char.from_buffer(self.frames)), ctypes.sizeof(Iovec)
        vectors = (Iovec(base + at * FRAME_BYTES, FRAME_BYTES) for at in range(self._count))
        self._iovecs = (Iovec * self._count)(*vectors)
        first = ctypes.addressof(self._iovecs)
        messages = (Message(iovecs=first + at * each, iovec_count=1) for at in range(self._count))
        self._messages = (Message * self._count)(*messages)
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

    def send(self) -> None:
        """Send all of them; what the kernel refuses is not sent."""
        first, each = ctypes.addressof(self._messages), ctypes.sizeof(Message)
        for at in range(0, self._count, BATCH):
            self._sendmmsg(self._socket.fileno(), first + at * each, BATCH, 0)


def accept(address: str) -> None:
    """Take connections and hang up."""
    listener = socket.create_server((address, CONNECT_PORT), backlog=128)
    while True:
        connection, _ = listener.accept()
        connection.close()


def connect(address: str, seconds: float) -> None:
    """Connect, be hung up on and hang up with a reset, so that no port waits for its second use; over and over."""
    ways = []
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        before = time.perf_counter()
        connection.connect((address, CONNECT_PORT))
        ways.append((time.perf_counter() - before) * SECOND_US)
        connection.recv(1)  # the other side has accepted: its queue does not fill
        connection.close()
    print(json.dumps({"seconds": time.perf_counter() - start, "ways_us": ways}))


def send(address: str, rate: int, seconds: float) -> None:
    """Send numbered datagrams, a few each millisecond; print how long it took, for others may want the CPU."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, NUMBERED_PORT))
    count, number = int(rate * seconds), 0
    start = time.perf_counter()
    while number < count:
        due = min(count, int((time.perf_counter() - start) * rate) + 1)
        for each in range(number, due):
            sock.send(struct.pack("!I", each))
        number = due
        time.sleep(0.001)
    print(json.dumps({"seconds": time.perf_counter() - start}))


def receive(address: str) -> None:
    """Take datagrams in until none has come for a while."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    sock.bind((address, NUMBERED_PORT))
    print("ready", flush=True)
    seen = {sock.recv(64)}
    sock.settimeout(_SILENCE_S)
    with contextlib.suppress(TimeoutError):
        while True:
            seen.add(sock.recv(64))
    print(json.dumps({"received": len(seen)}), flush=True)


def main(argv: list[str]) -> None:
    """Run one verb."""
    match argv:
        case ["misses", left, right, mac, count, window]:
            misses(left, right, mac, int(count), int(window))
        case ["flood", interface, mac, seconds]:
            flood(interface, mac, float(seconds))
        case ["masks", interface, mac, seconds]:
            masks(interface, mac, float(seconds))
        case ["frames", interface, mac, address, seconds]:
            frames_of_one_flow(interface, mac, address, float(seconds))
        case ["frames", interface, mac, address, seconds, vlan]:
            frames_of_one_flow(interface, mac, address, float(seconds), int(vlan))
        case ["accept", address]:
            accept(address)
        case ["connect", address, seconds]:
            connect(address, float(seconds))
        case ["receive", address]:
            receive(address)
        case ["send", address, rate, seconds]:
            send(address, int(rate), float(seconds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
