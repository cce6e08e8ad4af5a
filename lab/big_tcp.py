"""BIG TCP on an interface: `python -m lab.big_tcp IF ...` lets it carry TCP frames of up to 400 kB that wait to be cut.

By default Linux cuts what is longer than 64 kB. ip(8) of Debian 12 does not know the settings for IPv4, hence the
netlink message by hand.
"""

from __future__ import annotations

import socket
import struct
import sys

SIZE = 400_000

_RTM_NEWLINK, _REQUEST_AND_ACK = 16, 1 | 4
# linux/if_link.h
_GSO_MAX_SIZE, _GRO_MAX_SIZE, _GSO_IPV4_MAX_SIZE, _GRO_IPV4_MAX_SIZE = 41, 58, 63, 64
_HEADER, _LINK, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("=HHI")


def allow_big_tcp(interface: str) -> None:
    """Raise OSError when the kernel refuses (IPv4: before Linux 6.3)."""
    body = _LINK.pack(0, 0, socket.if_nametoindex(interface), 0, 0)
    for kind in (_GSO_MAX_SIZE, _GRO_MAX_SIZE, _GSO_IPV4_MAX_SIZE, _GRO_IPV4_MAX_SIZE):
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size, kind, SIZE)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.send(_HEADER.pack(_HEADER.size + len(body), _RTM_NEWLINK, _REQUEST_AND_ACK, 1, 0) + body)
        (error,) = struct.unpack_from("=i", asking.recv(4096), _HEADER.size)
    if error:
        raise OSError(-error, f"set the greatest size of frames on {interface}")


if __name__ == "__main__":
    for _interface in sys.argv[1:]:
        allow_big_tcp(_interface)
