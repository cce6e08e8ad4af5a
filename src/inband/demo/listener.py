"""The small controller on real sockets: asyncio outside, ``sim.controller`` inside."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from inband.sim.behaviour import Behaviour
from inband.sim.controller import Controller, ControllerSession


class Listener:
    """Serves a controller on a listening socket."""

    def __init__(self, controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
        self.controller = controller
        self.services: set[_Service] = set()
        self.loop = loop
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Accept connections from now on."""
        self._server = await self.loop.create_server(lambda: _Service(self), sock=sock)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave otherwise from now on."""
        self.controller.behave(behaviour, self.loop.time())
        for service in self.services:
            service.flush()

    def close(self) -> None:
        """Listen no more, and hang up."""
        if self._server is not None:
            self._server.close()
        for service in list(self.services):
            service.hang_up()


class _Service(asyncio.Protocol):
    """One switch's connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = listener.loop
        self._transport: asyncio.Transport | None = None
        self._session: ControllerSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._trouble: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._session = self._listener.controller.open(self._loop.time())
        self._listener.services.add(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._session is None:
            return
        self._trouble = self._session.receive(data, self._loop.time())
        if self._trouble is not None:
            self.hang_up()
            return
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.services.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._session is not None:
            reason = self._trouble or (str(error) if error else "the switch closed the connection")
            self._session.close(self._loop.time(), reason)
            self._session = None

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def flush(self) -> None:
        """Write what waits, and plan what is due."""
        if self._session is None or self._transport is None:
            return
        self._transport.write(self._session.take_output())
        if self._timer is not None:
            self._timer.cancel()
        due = self._session.next_deadline()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        if self._session is not None:
            self._session.run(self._loop.time())
            self.flush()
