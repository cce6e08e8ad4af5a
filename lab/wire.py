"""An interface of a namespace, past every stack: frames are put on its wire, and taken from it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.net import Namespace

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 263, 8, 23
_SO_ATTACH_FILTER = 26
_AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata
_TP_STATUS_VLAN_VALID = 0x10
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_IFREQ_FLAGS = struct.Struct("=16sH14x")  # struct ifreq (netdevice(7))


class Wire:
    """One end of a link; what this end sends is not heard here."""

    def __init__(self, namespace: Namespace, interface: str, only: Sequence[tuple[int, int, int, int]] = ()) -> None:
        """``only``: a program of classic BPF that says which frames are taken (linux/filter.h); none: all."""
        with _inside(namespace.name):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.bind((interface, _ETH_P_ALL))
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        if only:
            program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in only))
            head = struct.pack("@HP", len(only), ctypes.addressof(program))  # struct sock_fprog
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._socket.send(frame)

    def take(self, wait_s: float) -> list[bytes]:
        """What arrives within this time, or has arrived since the last call."""
        frames = []
        deadline = time.monotonic() + wait_s
        while select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data, ancillary, _, _ = self._socket.recvmsg(65535, socket.CMSG_SPACE(_AUXDATA.size))
            frames.append(_with_tag(data, ancillary[0][2]))
        return frames


def _with_tag(data: bytes, auxdata: bytes) -> bytes:
    """The frame as it was on the wire: the kernel takes a VLAN tag out, and tells of it beside (packet(7))."""
    status, *_, tci, tpid = _AUXDATA.unpack(auxdata)
    if not status & _TP_STATUS_VLAN_VALID:
        return data
    return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]


def set_link(namespace: Namespace, interface: str, *, up: bool) -> None:
    """Set an interface up or down by one system call.

    A cable that is pulled takes no processor's time, while to start `ip` takes some milliseconds of one that the
    switches share, just when what they do is measured.
    """
    with _inside(namespace.name):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        known = fcntl.ioctl(asking, _SIOCGIFFLAGS, _IFREQ_FLAGS.pack(interface.encode(), 0))
        flags = _IFREQ_FLAGS.unpack(known)[1]
        flags = flags | _IFF_UP if up else flags & ~_IFF_UP
        fcntl.ioctl(asking, _SIOCSIFFLAGS, _IFREQ_FLAGS.pack(interface.encode(), flags))


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """This thread's sockets are made in a namespace; Python 3.11 has no setns of its own."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(Path("/run/netns") / name, os.O_RDONLY)
    try:
        _set_namespace(there)
        yield
    finally:
        _set_namespace(here)
        os.close(here)
        os.close(there)


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
