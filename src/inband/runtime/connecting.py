"""TCP connections to a remote that may have several addresses: which first, and when the next (RFC 8305).

The address that worked last comes first, then the families take turns. The next address is tried when one has failed or
has been silent for STAGGER_S, and whoever answers first is taken. So an address that leads nowhere costs a tenth of a
second, and an answer with one wrong address among right ones costs nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address

from inband.runtime.channel import mark_as_control
from inband.vocabulary.addresses import IpAddress

# The least that RFC 8305, 5 allows: the paths are short, and a whole attempt has half a second at first.
STAGGER_S = 0.1

# Fits packets of 1280 bytes, which every link that carries IPv6 must take (RFC 8200, 5): 40 of IPv6 and 20 of TCP less.
# Who sends larger ones depends on being told by ICMP where they do not fit, and what a controller lets through is its
# own affair. It holds for both directions, and IPv4's tunnels are as narrow.
SEGMENT_BYTES = 1220

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class UnreachableError(OSError):
    """No address could be connected to; ``failures`` says why of each, and the error itself is that of the first."""

    def __init__(self, failures: dict[IpAddress, OSError]) -> None:
        first = next(iter(failures.values()))
        super().__init__(first.errno, first.strerror)
        self.failures = failures


def in_dialling_order(addresses: Iterable[IpAddress], last_good: IpAddress | None) -> tuple[IpAddress, ...]:
    """The addresses, the one that worked last in front, the families of the others by turns."""
    given = list(dict.fromkeys(addresses))
    front = [address for address in given if address == last_good]
    rest = [address for address in given if address != last_good]
    families = ([a for a in rest if a.version == version] for version in dict.fromkeys(a.version for a in rest))
    turns = itertools.zip_longest(*families)
    return (*front, *(address for turn in turns for address in turn if address is not None))


async def connect_first(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[IpAddress], port: int
) -> tuple[IpAddress, socket.socket]:
    """Connect to whichever of one or more addresses answers first. Raises UnreachableError."""
    waiting = list(addresses)
    attempts: dict[asyncio.Task[socket.socket], IpAddress] = {}
    failures: dict[IpAddress, OSError] = {}
    try:
        while waiting or attempts:
            if waiting:
                address = waiting.pop(0)
                attempts[loop.create_task(connect(loop, address, port))] = address
            done, _ = await asyncio.wait(
                attempts, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                address, error = attempts[attempt], attempt.exception()
                if error is None:
                    del attempts[attempt]
                    return address, attempt.result()
                if not isinstance(error, OSError):
                    raise error
                del attempts[attempt]
                failures[address] = error
        raise UnreachableError(failures)
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close_result)


def _close_result(attempt: asyncio.Task[socket.socket]) -> None:
    """An attempt that is not wanted any more may have succeeded all the same."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


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
