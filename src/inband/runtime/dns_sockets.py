"""Questions to DNS servers on sockets: each with a socket of its own, so that each has a port that cannot be guessed.

A connected UDP socket only hears from the server it asked, and hears at once when the port is closed. TCP is for
what UDP cannot carry; a question there has TCP_TIMEOUT_S from the first SYN to the last byte of the answer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from inband.control.name_events import Ask, Transport
from inband.runtime.connecting import connect, family_of, kernel_words, mark_as_control, socket_address
from inband.vocabulary.numbers import DNS_PORT

# Longer than any pause between two questions for an unknown name.
TCP_TIMEOUT_S = 5.0
# What one wake-up reads from a socket: a flood of forged answers has its turn like all others.
MESSAGES_AT_ONCE = 16
MAX_MESSAGE = 65_535

_LENGTH = struct.Struct("!H")


class AnswerUser(Protocol):
    """Who hears what becomes of questions: ``switch.names.NameService``."""

    def answered(self, ticket: int, data: bytes) -> None:
        """A message came from the server that a question went to."""

    def failed(self, ticket: int, reason: str) -> None:
        """A question could not be sent, or the server hung up."""


class DnsSockets:
    """Questions under way by ticket (``switch.names.DnsClient``). Set ``user`` before the first one."""

    user: AnswerUser

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sockets: dict[int, socket.socket] = {}
        self._streams: dict[int, asyncio.Task[None]] = {}

    def ask(self, ask: Ask) -> None:
        """Send a question; a failure is reported later, never from within this call."""
        if ask.transport is Transport.TCP:
            self._streams[ask.ticket] = self._loop.create_task(self._ask_by_tcp(ask))
            return
        try:
            self._ask_by_udp(ask)
        except OSError as error:
            self._forget_socket(ask.ticket)
            self._loop.call_soon(self.user.failed, ask.ticket, kernel_words(error))

    def forget(self, ticket: int) -> None:
        """Do not listen for an answer any more."""
        self._forget_socket(ticket)
        task = self._streams.pop(ticket, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Forget all questions."""
        for ticket in [*self._sockets, *self._streams]:
            self.forget(ticket)

    # --- UDP ----------------------------------------------------------------------------------------------------

    def _ask_by_udp(self, ask: Ask) -> None:
        sock = socket.socket(family_of(ask.server), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._sockets[ask.ticket] = sock
        mark_as_control(sock)
        sock.connect(socket_address(ask.server, DNS_PORT))
        sock.send(ask.message)
        self._loop.add_reader(sock, self._readable, ask.ticket, sock)

    def _readable(self, ticket: int, sock: socket.socket) -> None:
        for _ in range(MESSAGES_AT_ONCE):
            if self._sockets.get(ticket) is not sock:
                return
            try:
                data = sock.recv(MAX_MESSAGE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._forget_socket(ticket)
                self.user.failed(ticket, kernel_words(error))
                return
            self.user.answered(ticket, data)

    def _forget_socket(self, ticket: int) -> None:
        sock = self._sockets.pop(ticket, None)
        if sock is not None:
            self._loop.remove_reader(sock)
            sock.close()

    # --- TCP ----------------------------------------------------------------------------------------------------

    async def _ask_by_tcp(self, ask: Ask) -> None:
        try:
            async with asyncio.timeout(TCP_TIMEOUT_S):
                data = await self._exchange(ask)
        except TimeoutError:
            self._report_failure(ask.ticket, f"no answer by TCP in {TCP_TIMEOUT_S:.0f} s")
        except OSError as error:
            self._report_failure(ask.ticket, kernel_words(error))
        except asyncio.IncompleteReadError:
            self._report_failure(ask.ticket, "the server hung up before it had answered by TCP")
        else:
            self._streams.pop(ask.ticket, None)
            self.user.answered(ask.ticket, data)

    async def _exchange(self, ask: Ask) -> bytes:
        sock = await connect(self._loop, ask.server, DNS_PORT)
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            writer.write(_LENGTH.pack(len(ask.message)) + ask.message)
            (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            return await reader.readexactly(size)
        finally:
            writer.close()

    def _report_failure(self, ticket: int, reason: str) -> None:
        self._streams.pop(ticket, None)
        self.user.failed(ticket, reason)
