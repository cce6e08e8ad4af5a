"""Dialling by sockets: what is reported, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from ipaddress import ip_address
from typing import cast

import pytest

from inband.runtime.connecting import socket_address
from inband.runtime.streams import SocketNetwork, SocketStream
from inband.runtime.tls_clock import TlsClock
from inband.switch.targets import parse_target
from inband.switch.transport import TcpProgress, Transport
from inband.vocabulary.addresses import IpAddress

HERE = ip_address("127.0.0.1")


class User:
    """Notes what is reported of a connection, and then of its stream."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.happened = asyncio.Event()
        self.transport: Transport | None = None

    def _note(self, text: str) -> None:
        self.log.append(text)
        self.happened.set()

    def connected(self, address: IpAddress | None) -> None:
        self._note(f"connected {address}")

    def failed(self, address: IpAddress | None, reason: str) -> None:
        self._note(f"failed {address}: {reason}")

    def opened(self, transport: Transport) -> None:
        self.transport = transport
        self._note("opened")

    def received(self, data: bytes) -> None:
        self._note(f"received {data!r}")

    def set_writable(self, is_writable: bool) -> None:
        self._note(f"writable {is_writable}")

    def closed(self, reason: str) -> None:
        self._note(f"closed: {reason}")

    async def next(self) -> str:
        """What is reported next."""
        async with asyncio.timeout(5.0):
            await self.happened.wait()
        self.happened.clear()
        return self.log[-1]


def test_a_link_local_address_is_dialled_through_its_interface() -> None:
    assert socket_address(HERE, 1) == ("127.0.0.1", 1)
    assert socket_address(ip_address("2001:db8::1"), 1) == ("2001:db8::1", 1, 0, 0)
    assert socket_address(ip_address("fe80::1%lo"), 1) == ("fe80::1", 1, 0, socket.if_nametoindex("lo"))
    with pytest.raises(OSError, match=r"No such device|no interface"):
        socket_address(ip_address("fe80::1%nosuch0"), 1)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_is_short_does_not_wait_for_the_answer_to_what_was_before(family: socket.AddressFamily) -> None:
    async def live() -> int:
        here, place = ("127.0.0.1", "127.0.0.1") if family is socket.AF_INET else ("::1", "[::1]")
        with socket.create_server((here, 0), family=family) as server:
            target = parse_target(f"tcp:{place}:{server.getsockname()[1]}")
            network, user = SocketNetwork(asyncio.get_running_loop(), TlsClock()), User()
            connecting = network.connect(target, ip_address(here), user)
            await user.next()
            peer, _ = server.accept()
            assert connecting.sock is not None
            kept = connecting.sock.dup()
            network.open(connecting, target, user)
            await user.next()
            with kept, peer:
                return kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert asyncio.run(live()), "a message that is lost is found by the next one, and not by TCP's timer"


class Tcp:
    """What the kernel says of a connection: unacked, retransmits, total_retrans and bytes_acked of struct tcp_info."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.said = (0, 0, 0, 0)

    def getsockopt(self, *_: int) -> bytes:
        unacked, retransmits, total, acked = self.said
        words = [0, 0, 0, 0, unacked, *[0] * 18, total]
        return bytes((1, 0, retransmits, *[0] * 5)) + struct.pack("=24I", *words) + struct.pack("=3Q", 0, 0, acked)


class Owner:
    """asyncio's transport, as far as it is asked for its socket."""

    def __init__(self, tcp: Tcp) -> None:
        self.tcp = tcp

    def get_extra_info(self, name: str) -> Tcp | None:
        return self.tcp if name == "socket" else None


def test_a_probe_for_losses_counts_while_nothing_is_acknowledged() -> None:
    tcp, stream = Tcp(), SocketStream(User(), TlsClock())
    stream._transport = cast(asyncio.Transport, Owner(tcp))
    found = []

    for tcp.said in ((1, 0, 5, 100), (1, 0, 5, 100), (1, 0, 6, 100), (1, 0, 6, 100), (1, 1, 7, 100), (1, 0, 8, 200)):
        progress = stream.progress()
        assert progress is not None
        found.append(progress.is_stuck)

    assert found == [False, False, True, False, True, False]


def test_a_stream_carries_bytes_both_ways_and_its_end_is_reported_once() -> None:
    async def live() -> list[str]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            target = parse_target(f"tcp:127.0.0.1:{server.getsockname()[1]}")
            network, user = SocketNetwork(asyncio.get_running_loop(), TlsClock()), User()
            connecting = network.connect(target, HERE, user)
            await user.next()
            peer, _ = server.accept()
            network.open(connecting, target, user)
            await user.next()
            assert user.transport is not None
            assert user.transport.peer == str(target).removeprefix("tcp:")
            user.transport.write(b"ping")
            assert peer.recv(4) == b"ping"
            assert user.transport.progress() == TcpProgress(0, 0)
            peer.sendall(b"pong")
            await user.next()
            peer.close()
            await user.next()
            return user.log

    assert asyncio.run(live()) == [
        "connected 127.0.0.1",
        "opened",
        "received b'pong'",
        "closed: the peer closed the connection",
    ]


def test_a_peer_that_resets_while_its_user_goes_on_writing_is_one_end_and_no_defect() -> None:
    """The user writes as soon as there is room, which the transport says in the middle of a write of its own."""

    class Writer(User):
        def set_writable(self, is_writable: bool) -> None:
            if is_writable and self.transport is not None:
                (peer,) = peers
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
                for _ in range(3):
                    self.transport.write(bytes(1 << 20))

    peers: list[socket.socket] = []

    async def live() -> list[dict[str, object]]:
        wrong: list[dict[str, object]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: wrong.append(context))
        with socket.create_server(("127.0.0.1", 0)) as server:
            target = parse_target(f"tcp:127.0.0.1:{server.getsockname()[1]}")
            network, user = SocketNetwork(loop, TlsClock()), Writer()
            connecting = network.connect(target, HERE, user)
            await user.next()
            peer, _ = server.accept()
            peers.append(peer)
            network.open(connecting, target, user)
            await user.next()
            assert user.transport is not None
            user.transport.write(bytes(left := 8 << 20))
            peer.setblocking(False)
            while left and not user.log[-1].startswith("closed"):
                try:
                    left -= len(peer.recv(1 << 20))
                except OSError:
                    await asyncio.sleep(0.001)
            await user.next()
        assert [entry for entry in user.log if entry.startswith("closed")]
        return wrong

    assert asyncio.run(live()) == []


def test_a_refusal_says_why() -> None:
    async def live() -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:
            target = parse_target(f"tcp:127.0.0.1:{server.getsockname()[1]}")
        user = User()
        SocketNetwork(asyncio.get_running_loop(), TlsClock()).connect(target, HERE, user)
        return await user.next()

    assert asyncio.run(live()) == "failed 127.0.0.1: Connection refused"


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_connection_that_is_given_up_is_closed_and_never_reported_again(turns: int) -> None:
    async def live() -> list[str]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            target = parse_target(f"tcp:127.0.0.1:{server.getsockname()[1]}")
            user = User()
            connecting = SocketNetwork(asyncio.get_running_loop(), TlsClock()).connect(target, HERE, user)
            for _ in range(turns):
                await asyncio.sleep(0.001)
            connecting.cancel()
            seen = list(user.log)
            await asyncio.sleep(0.02)
            assert user.log == seen
        return user.log

    asyncio.run(live())
    gc.collect()  # a socket that was left open would be a warning, and warnings are errors
