"""``ovs-ofctl snoop``: copies for those who listen, and no harm by them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from inband.errors import HostError
from inband.openflow.codec import decode, encode
from inband.openflow.messages import BarrierRequest, EchoRequest, Envelope, Hello, Message
from inband.openflow.session import Mirror
from inband.runtime.snooping import MAX_CLIENTS, MAX_UNREAD_BYTES, SnoopSocket
from inband.switch.connections import ConnectionManager
from inband.vocabulary.openflow import OFP10, OFP13


class Connections:
    """Notes the mirror that is set."""

    def __init__(self) -> None:
        self.mirror: Mirror | None = None
        self.set = asyncio.Event()

    def set_mirror(self, mirror: Mirror | None) -> None:
        self.mirror = mirror
        self.set.set()


def wire(message: Message, version: int = OFP13) -> bytes:
    return encode(Envelope(version, 7, message))


def play(path: Path, scenario: Callable[[Connections], Awaitable[None]]) -> Connections:
    """Run a scenario against a socket at ``path``."""

    async def run() -> Connections:
        connections = Connections()
        snooping = SnoopSocket(path, cast(ConnectionManager, connections))
        await snooping.start()
        try:
            async with asyncio.timeout(10):
                await scenario(connections)
        finally:
            snooping.stop()
        return connections

    return asyncio.run(run())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "br0.snoop"


@pytest.mark.parametrize(("hello", "version"), [(Hello(frozenset({OFP10, OFP13})), OFP13), (Hello(None), OFP10)])
def test_a_client_gets_messages_of_the_version_that_it_agreed_on(path: Path, hello: Hello, version: int) -> None:
    async def scenario(connections: Connections) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(wire(hello, version))
        await connections.set.wait()
        assert connections.mirror is not None
        connections.mirror([wire(BarrierRequest(), OFP10), wire(EchoRequest(b"x"), OFP13)])
        said = await reader.readexactly(16)
        assert decode(said).message == Hello(frozenset({OFP10, OFP13}))
        found = decode(await reader.readexactly(8 if version == OFP10 else 9))
        assert found.version == version
        writer.close()

    play(path, scenario)


@pytest.mark.parametrize("said", [wire(BarrierRequest()), b"\xff" * 8, b"\x04\x00\x00\x04\0\0\0\0", b"GET "])
def test_who_says_no_hello_is_hung_up_on_and_copies_nothing(path: Path, said: bytes) -> None:
    async def scenario(connections: Connections) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(said)
        writer.write_eof()
        await reader.read()
        writer.close()
        await connections.set.wait()

    assert play(path, scenario).mirror is None


def test_copies_end_with_the_last_who_listens(path: Path) -> None:
    async def scenario(connections: Connections) -> None:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(wire(Hello(frozenset({OFP13}))))
        await connections.set.wait()
        assert connections.mirror is not None
        connections.set.clear()
        writer.close()
        await connections.set.wait()
        assert connections.mirror is None

    play(path, scenario)
    assert not path.exists()


def test_who_does_not_read_holds_a_bounded_part_of_memory_and_delays_nobody(path: Path) -> None:
    async def scenario(connections: Connections) -> None:
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 16)
        writer.write(wire(Hello(frozenset({OFP13}))))
        await connections.set.wait()
        message = wire(EchoRequest(bytes(60_000)))
        assert connections.mirror is not None
        for _ in range(2 * MAX_UNREAD_BYTES // len(message)):
            connections.mirror([message])
        received = len(await reader.readexactly(16))
        writer.close()
        while data := await reader.read(1 << 20):
            received += len(data)
        assert received < MAX_UNREAD_BYTES + 2 * len(message)

    play(path, scenario)


def test_no_more_listen_than_may(path: Path) -> None:
    async def scenario(_connections: Connections) -> None:
        there = [await asyncio.open_unix_connection(path) for _ in range(MAX_CLIENTS)]
        for reader, _ in there:
            await reader.readexactly(16)
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        for _, each in [*there, (reader, writer)]:
            each.close()

    play(path, scenario)


def test_a_place_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        await SnoopSocket(tmp_path / "missing/br0.snoop", cast(ConnectionManager, Connections())).start()

    with pytest.raises(HostError, match="listen at"):
        asyncio.run(run())
