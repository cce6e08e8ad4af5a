"""Pings between the data hosts, ten a second: ICMP echo requests on a raw socket, answered by the other's kernel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct

from inband.demo.story import Pings
from inband.packet.encode import icmpv4
from inband.packet.headers import ipv4_header_size
from inband.sim.kernel import ECHO
from inband.vocabulary.numbers import IP_ICMP

INTERVAL_S = 0.1
_REQUEST, _REPLY = ECHO[IP_ICMP]


class Pinger:
    """Counts into ``pings``. ``sock`` is a raw ICMP socket that does not block, in the pinging host's namespace."""

    def __init__(self, sock: socket.socket, destination: str, pings: Pings, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = sock
        self._destination = destination
        self._pings = pings
        self._loop = loop
        self._identifier = os.getpid() & 0xFFFF
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send from now on."""
        self._loop.add_reader(self._socket, self._read)
        self._send()

    def close(self) -> None:
        """Send no more."""
        self._loop.remove_reader(self._socket)
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()

    def _send(self) -> None:
        self._pings.sent += 1
        body = struct.pack("!HH", self._identifier, self._pings.sent & 0xFFFF) + bytes(56)
        with contextlib.suppress(OSError):  # no neighbour, no buffer: a ping that is not answered
            self._socket.sendto(icmpv4(_REQUEST, 0, body), (self._destination, 0))
        self._timer = self._loop.call_later(INTERVAL_S, self._send)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            packet = self._socket.recv(2048)
            message = packet[ipv4_header_size(packet, 0) :]
            if message[:1] == bytes((_REPLY,)) and message[4:6] == self._identifier.to_bytes(2, "big"):
                self._pings.answered += 1
