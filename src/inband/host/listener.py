"""A netlink socket that an event loop hears.

Invariants: nothing that arrives raises into the loop. A bounded number of datagrams is taken at once, then other work
of the loop has its turn.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

from inband.errors import WireError
from inband.host import codec
from inband.host.codec import Message
from inband.host.netlink_socket import Trouble, open_socket, receive

READS_PER_TURN = 64


@dataclass(slots=True, eq=False)
class Listener:
    """Hears from ``open`` to ``close``, on the loop's thread.

    ``heard`` takes each message and may raise WireError. ``missed`` is told when the kernel could not deliver (OSError,
    with ENOBUFS) or something could not be read (WireError, which is counted already). ``turn_ended`` is called when
    what waited, or ``reads_per_turn`` datagrams of it, were taken. All three may close the listener, and open it again.
    """

    loop: asyncio.AbstractEventLoop
    trouble: Trouble
    heard: Callable[[Message], None]
    missed: Callable[[OSError | WireError], None]
    turn_ended: Callable[[], None]
    reads_per_turn: int = READS_PER_TURN
    _socket: socket.socket | None = None

    def open(self, groups: tuple[int, ...], receive_buffer: int) -> None:
        """Hear the multicast ``groups`` (RTNLGRP_*), and answers to what is sent; raises HostError."""
        self._socket = open_socket(groups, receive_buffer)
        self.loop.add_reader(self._socket, self.read)

    def close(self) -> None:
        """Hear nothing any more. May be called twice."""
        if self._socket is not None:
            self.loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    @property
    def is_open(self) -> bool:
        """Whether it hears."""
        return self._socket is not None

    def send(self, requests: bytes) -> None:
        """Send one datagram; nothing happens when it is closed. Raises OSError."""
        if self._socket is not None:
            self._socket.send(requests)

    def wait(self, timeout_s: float) -> None:
        """Block until there is something to read, and read it: for start-up, before the loop runs."""
        if self._socket is not None:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            poll.poll(timeout_s * 1000)
            self.read()

    def read(self) -> None:
        """Take what waits, a bounded part of it."""
        for _ in range(self.reads_per_turn):
            if self._socket is None:
                return
            try:
                datagram = receive(self._socket)
            except OSError as error:
                self.missed(error)
                continue
            if datagram is None:
                break
            self.take(datagram)
        self.turn_ended()

    def take(self, datagram: bytes) -> None:
        """Hear every message in a datagram that can be read."""
        try:
            for message in codec.split(datagram):
                self._take_message(message)
        except WireError as error:
            self.trouble.malformed_datagram(datagram, error)
            self.missed(error)

    def _take_message(self, message: Message) -> None:
        try:
            self.heard(message)
        except WireError as error:
            self.trouble.malformed(message.kind, message.body, error)
            self.missed(error)
