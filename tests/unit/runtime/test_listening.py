"""A place to listen at: what is there already is left alone, and whoever comes and goes gives its place back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from inband.errors import HostError
from inband.runtime.listening import ListeningSocket
from inband.runtime.memory import spare_memory
from inband.runtime.streams import SocketStream
from inband.runtime.tls import server_context
from inband.runtime.tls_clock import TlsClock
from inband.switch.channel import Channel
from inband.switch.config import BridgeConfig
from inband.switch.listener import MAX_OPENING
from inband.switch.targets import Scheme, Target, parse_target
from lab.certificates import Authority, Identity
from tests.unit.switch.bench import Bench
from tests.unit.switch.fakes import HELLO

Then = Callable[[Bench], Awaitable[None]]


async def nothing(_: Bench) -> None:
    """Only start and stop."""


def listen(target: Target, then: Then = nothing, tls: ssl.SSLContext | None = None) -> None:
    """Listen there while ``then`` runs."""

    async def live() -> None:
        bench = Bench()
        place = ListeningSocket(asyncio.get_running_loop(), bench.managed.connections, target, TlsClock(), tls)
        try:
            place.start()
            await then(bench)
        finally:
            place.stop()
            await asyncio.sleep(0.02)

    asyncio.run(live())


def at(path: Path) -> Target:
    return Target(Scheme.PUNIX, None, 0, str(path))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def context_with(own: Identity, authority: Authority) -> ssl.SSLContext:
    """TLS of a switch."""
    return server_context(BridgeConfig("br0", private_key=own.key, certificate=own.certificate, ca_cert=authority.ca))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; fail if it does not become so."""
    async with asyncio.timeout(5.0):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_file_at_the_sockets_place_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")

    with pytest.raises(HostError, match="not a socket"):
        listen(at(path))

    assert path.read_text() == "data"


def test_a_socket_that_another_process_listens_on_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "live"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        with pytest.raises(HostError, match="in use"):
            listen(at(path))

        assert path.is_socket()


def test_a_dead_socket_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    listen(at(path))

    assert not path.exists()


def test_a_tcp_port_that_is_taken_is_refused_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(HostError, match="choose another place"):
            listen(parse_target(f"ptcp:{port}:127.0.0.1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_without_an_address_both_families_of_loopback_are_listened_on(host: str) -> None:
    port = free_port()

    async def call(bench: Bench) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        assert (await reader.readexactly(8))[1] == 0  # HELLO
        writer.close()
        await until(lambda: len(bench.managed.connections) == 1)  # that of the controller, which is dialled

    listen(parse_target(f"ptcp:{port}"), call)


def test_bytes_reach_the_session_and_its_answer_the_peer(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def call(bench: Bench) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        await reader.readexactly(16)
        writer.write(HELLO + bytes([4, 2, 0, 9, 0, 0, 0, 7, 33]))
        await until(lambda: bool(bench.turns_wanted))
        bench.turns.run()
        assert await reader.readexactly(9) == bytes([4, 3, 0, 9, 0, 0, 0, 7, 33])
        writer.close()

    listen(at(path), call)


def test_peers_that_hang_up_before_tls_is_through_give_their_places_back(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    own, controller = authority.issue("switch"), authority.issue("controller")
    tls = context_with(own, authority)
    port = free_port()

    async def call(bench: Bench) -> None:
        before = len(bench.managed.connections)
        for _ in range(2 * MAX_OPENING):
            socket.create_connection(("127.0.0.1", port)).close()
            await asyncio.sleep(0)
        await until(lambda: len(bench.managed.connections) == before)
        context = ssl.create_default_context(cafile=authority.ca)
        context.check_hostname = False
        context.load_cert_chain(controller.certificate, controller.key)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert (await reader.readexactly(8))[1] == 0
        writer.close()

    listen(parse_target(f"pssl:{port}:127.0.0.1"), call, tls)


def test_who_has_called_is_hung_up_on_when_listening_ends(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    ends: list[bytes] = []

    async def live() -> None:
        bench = Bench()
        place = ListeningSocket(asyncio.get_running_loop(), bench.managed.connections, at(path), TlsClock())
        place.start()
        reader, writer = await asyncio.open_unix_connection(str(path))
        await reader.readexactly(16)
        place.stop()
        ends.append(await reader.read())
        writer.close()

    asyncio.run(live())

    assert ends == [b""]


@pytest.mark.parametrize(
    ("listens", "host"), [("0.0.0.0", "127.0.0.2"), ("[::]", "127.0.0.2"), ("[::]", "::1"), ("127.0.0.1", "127.0.0.1")]
)
def test_an_address_says_where_is_listened(listens: str, host: str) -> None:
    port = free_port()

    async def call(bench: Bench) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        assert (await reader.readexactly(8))[1] == 0
        writer.close()

    listen(parse_target(f"ptcp:{port}:{listens}"), call)


def test_without_an_address_other_addresses_are_not_listened_on() -> None:
    port = free_port()

    async def call(bench: Bench) -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)

    listen(parse_target(f"ptcp:{port}"), call)


def test_who_may_not_call_is_hung_up_on() -> None:
    port = free_port()

    async def call(bench: Bench) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        assert [type(report).__name__ for report in bench.reports][-1] == "NotAllowed"

    listen(parse_target(f"ptcp:{port}:0.0.0.0,allow=192.0.2.0/24"), call)


@pytest.mark.parametrize(("wanted", "is_taken"), [("controller", True), ("switch", False)])
def test_a_certificate_of_our_authority_but_for_another_name_is_refused(
    tmp_path: Path, wanted: str, is_taken: bool
) -> None:
    authority = Authority(tmp_path, "ca")
    own, controller = authority.issue("switch"), authority.issue("controller")
    tls = context_with(own, authority)
    port = free_port()

    async def call(bench: Bench) -> None:
        context = ssl.create_default_context(cafile=authority.ca)
        context.check_hostname = False
        context.load_cert_chain(controller.certificate, controller.key)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        with contextlib.suppress(ConnectionError):
            assert bool(await reader.read(8)) is is_taken
        writer.close()
        if not is_taken:
            await until(lambda: bool(bench.reports))
            assert "not for the peer-name switch" in str(bench.reports[0])

    listen(parse_target(f"pssl:{port}:127.0.0.1,peer-name={wanted}"), call, tls)


@pytest.mark.parametrize("said", [b"", b"rubbish" * 10], ids=["nothing", "rubbish"])
@pytest.mark.parametrize("scheme", [Scheme.PTCP, Scheme.PSSL])
def test_what_a_caller_leaves_behind_is_freed_without_a_search_for_cycles(
    tmp_path: Path, scheme: Scheme, said: bytes
) -> None:
    """A search in all objects would be a pause that grows with the flows, so there is one in an hour."""
    spare_memory()
    port = free_port()
    authority = Authority(tmp_path, "ca")
    tls = context_with(authority.issue("switch"), authority) if scheme is Scheme.PSSL else None
    of_a_caller = (Channel, SocketStream, asyncio.BufferedProtocol, asyncio.Transport)

    def left() -> list[object]:
        # By type: isinstance would ask weak references whose objects are gone.
        return [each for each in gc.get_objects() if issubclass(type(each), of_a_caller)]

    async def call(bench: Bench) -> None:
        def is_reported(number: int) -> bool:
            return len(bench.reports) == number

        for number in range(1, 4):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(said)
            await until(partial(is_reported, number))
        await asyncio.sleep(0.02)
        bench.pass_time(20.0)
        assert left() == before

    gc.collect()
    before = left()
    gc.disable()
    try:
        listen(Target(scheme, ip_address("127.0.0.1"), port), call, tls)
    finally:
        gc.enable()


def test_a_handshake_that_does_not_end_holds_little_memory(tmp_path: Path) -> None:
    spare_memory()
    port, callers = free_port(), 20
    authority = Authority(tmp_path, "ca")

    async def call(bench: Bench) -> None:
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.ExitStack() as open_ones:
            for _ in range(callers):
                sock = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
                sock.sendall(b"\x16\x03\x01")
            await until(lambda: len(list(bench.managed.connections.listeners[0])) == callers)
            await asyncio.sleep(0.05)
            assert (tracemalloc.get_traced_memory()[0] - before) / callers < 100_000

    tracemalloc.start()
    try:
        listen(Target(Scheme.PSSL, ip_address("127.0.0.1"), port), call, context_with(authority.issue("s"), authority))
    finally:
        tracemalloc.stop()
