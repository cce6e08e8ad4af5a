"""``ovs-ofctl snoop BRIDGE``: a copy of what a bridge and its controllers say, at the socket BRIDGE.snoop.

A client says HELLO and gets messages of the version that it agreed on, both directions in their order; what it says
besides is not read. Messages are copied only while a client listens.

Invariants: at most MAX_CLIENTS listen, and each holds at most MAX_UNREAD_BYTES: what it leaves unread beyond that it
does not get, message by message, and the switch never waits for it.
Source: ovs-ofctl(8), snoop; OpenFlow 1.3.5, 6.3.1 (HELLO).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from inband.errors import HostError, WireError
from inband.openflow.codec import HEADER, decode, encode
from inband.openflow.messages import Envelope, Hello
from inband.switch.connections import ConnectionManager
from inband.vocabulary.openflow import VERSIONS

MAX_CLIENTS = 8
MAX_UNREAD_BYTES = 4 << 20
# For a client to say HELLO.
PATIENCE_S = 5.0


class SnoopSocket:
    """One bridge's: ``await start()``, later ``stop()``."""

    def __init__(self, path: Path, connections: ConnectionManager) -> None:
        self._path = path
        self._connections = connections
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: dict[asyncio.StreamWriter, int] = {}

    async def start(self) -> None:
        """Listen. Raises HostError."""
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=HEADER.size << 10)
        except OSError as error:
            raise HostError(f"listen at {self._path}", error.strerror or str(error), errno=error.errno or 0) from None

    def stop(self) -> None:
        """Hang up on all. May be called twice."""
        self._connections.set_mirror(None)
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) <= MAX_CLIENTS:
                await self._listen(reader, writer)
        except (OSError, TimeoutError, WireError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # it went away, said something else than HELLO, or the switch stops
        finally:
            self._tasks.discard(task)
            self._listening.pop(writer, None)
            if not self._listening:
                self._connections.set_mirror(None)
            with contextlib.suppress(OSError):
                writer.transport.abort()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(Envelope(max(VERSIONS), 0, Hello(frozenset(VERSIONS)))))
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readexactly(HEADER.size)
            rest = await reader.readexactly(max(0, HEADER.unpack(head)[2] - HEADER.size))
        said = decode(head + rest)
        if not isinstance(said.message, Hello):
            raise WireError("snoop: the first message was no HELLO")
        theirs = said.message.versions or frozenset(version for version in VERSIONS if version <= said.version)
        self._listening[writer] = max(frozenset(VERSIONS) & theirs, default=0)
        self._connections.set_mirror(self._copy)
        while await reader.read(HEADER.size << 10):
            pass

    def _copy(self, messages: Sequence[bytes]) -> None:
        for writer, version in self._listening.items():
            for message in messages:
                if message[0] == version and writer.transport.get_write_buffer_size() < MAX_UNREAD_BYTES:
                    writer.write(message)
