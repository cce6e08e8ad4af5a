"""Traffic for measurements, run in the hosts' namespaces: `python -m bench.traffic VERB ...`.

    flood IF DST_MAC SRC_IP DST_IP SECONDS   64-byte UDP frames (60 without the FCS) of one flow, as many as go
    sink IP                                  takes the flood in and lets it drop
    rr-server IP | rr-client IP SECONDS      one byte there, one byte back, on one TCP connection

The flood leaves by sendmmsg on a packet socket, through ctypes, since Python's own calls would be the bottleneck.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import time
from ipaddress import IPv4Address

FLOOD_PORT = 9
RR_PORT = 7
BATCH = 64
FRAME_BYTES = 60


class Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iovecs", ctypes.c_void_p),
        ("iovec_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


def flood(interface: str, dst_mac: str, src: str, dst: str, seconds: float) -> None:
    """Send as fast as the kernel takes it."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    frame = ctypes.create_string_buffer(_udp_frame(sock.getsockname()[4], dst_mac, src, dst), FRAME_BYTES)
    iovec = Iovec(ctypes.addressof(frame), FRAME_BYTES)
    messages = (Message * BATCH)(*(Message(iovecs=ctypes.addressof(iovec), iovec_count=1) for _ in range(BATCH)))
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(16):
            sendmmsg(sock.fileno(), messages, BATCH, 0)


def _udp_frame(src_mac: bytes, dst_mac: str, src: str, dst: str) -> bytes:
    payload = bytes(FRAME_BYTES - 14 - 20 - 8)
    udp = struct.pack("!HHHH", 1024, FLOOD_PORT, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, *_packed(src, dst))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum) + head[12:]
    return bytes.fromhex(dst_mac.replace(":", "")) + src_mac + b"\x08\x00" + head + udp


def _packed(*addresses: str) -> list[bytes]:
    return [IPv4Address(each).packed for each in addresses]


def sink(address: str) -> None:
    """Bind, so that the kernel does not answer the flood, and read nothing."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, FLOOD_PORT))
    time.sleep(3600)


def rr_server(address: str) -> None:
    """Return each byte, on one connection after another."""
    listener = socket.create_server((address, RR_PORT))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while data := connection.recv(1):
                connection.send(data)


def rr_client(address: str, seconds: float) -> None:
    """Print how many bytes came back in a second."""
    connection = socket.create_connection((address, RR_PORT), timeout=5)
    connection.settimeout(None)
    # The kernel's own time limit: Python's would cost a system call each time.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    count, start = 0, time.monotonic()
    end = start + seconds
    while (now := time.monotonic()) < end:
        connection.send(b"x")
        connection.recv(1)
        count += 1
    print(count / (now - start))


def main(argv: list[str]) -> None:
    """Run one verb."""
    match argv:
        case ["flood", interface, dst_mac, src, dst, seconds]:
            flood(interface, dst_mac, src, dst, float(seconds))
        case ["sink", address]:
            sink(address)
        case ["rr-server", address]:
            rr_server(address)
        case ["rr-client", address, seconds]:
            rr_client(address, float(seconds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
