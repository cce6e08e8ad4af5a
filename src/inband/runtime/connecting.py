"""TCP sockets to remotes: marked as control traffic, with segments that fit every path."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from ipaddress import IPv6Address

from inband.vocabulary.addresses import IpAddress

# Fits packets of 1280 bytes, which every link that carries IPv6 must take (RFC 8200, 5): 40 of IPv6 and 20 of TCP less.
# Who sends larger ones depends on being told by ICMP where they do not fit, and what a controller lets through is its
# own affair. It holds for both directions, and IPv4's tunnels are as narrow.
SEGMENT_BYTES = 1220

# DSCP CS6, network control (RFC 4594, 3.2), as Open vSwitch marks its control traffic.
CONTROL_TOS = 0xC0

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


async def connect(loop: asyncio.AbstractEventLoop, address: IpAddress, port: int) -> socket.socket:
    """A connected socket whose packets are marked as control from the SYN on. Raises OSError."""
    sock = socket.socket(family_of(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        mark_as_control(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        await loop.sock_connect(sock, socket_address(address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def connect_unix(loop: asyncio.AbstractEventLoop, path: str) -> socket.socket:
    """A socket connected to a unix stream socket. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        await loop.sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


def mark_as_control(sock: socket.socket) -> None:
    """Mark a connection's packets as network control; a kernel that will not is no reason to go without."""
    try:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, CONTROL_TOS)
        elif sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, CONTROL_TOS)
    except OSError:
        return


def send_at_once(sock: socket.socket) -> None:
    """Let no short message wait for the answer to the one before it (RFC 1122, 4.2.3.4: Nagle's algorithm).

    One that is lost is found by what comes after it. Without that TCP knows of a loss by its timer alone, after 0.2 s.
    asyncio asks for it only where a socket was made with the protocol's number.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # it was reset a moment ago, which is told as every end is
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def family_of(address: IpAddress) -> socket.AddressFamily:
    """The address family of sockets to this address."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def socket_address(address: IpAddress, port: int) -> SocketAddress:
    """An address as sockets take it, a link-local one with its interface. Raises OSError when there is none such."""
    if not isinstance(address, IPv6Address):
        return (str(address), port)
    index = socket.if_nametoindex(address.scope_id) if address.scope_id else 0
    return (str(IPv6Address(int(address))), port, 0, index)


def kernel_words(error: OSError) -> str:
    """An error in the words people search for: asyncio puts a sentence of its own in strerror."""
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
