"""Dialling several addresses: in which order, when the next, and what is left behind (nothing)."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from inband.runtime.connecting import UnreachableError, connect_first, in_dialling_order, socket_address
from inband.vocabulary.addresses import IpAddress

V4 = [ip_address(f"127.0.0.{number}") for number in (1, 2, 3)]
V6 = [ip_address("2001:db8::1"), ip_address("2001:db8::2")]


def test_families_take_turns_and_the_last_good_address_comes_first() -> None:
    assert in_dialling_order([*V6, *V4], None) == (V6[0], V4[0], V6[1], V4[1], V4[2])
    assert in_dialling_order([*V6, *V4], V4[2]) == (V4[2], V6[0], V4[0], V6[1], V4[1])
    assert in_dialling_order([*V4, *V4], ip_address("192.0.2.9")) == tuple(V4)
    assert in_dialling_order([], None) == ()


def test_a_link_local_address_is_dialled_through_its_interface() -> None:
    assert socket_address(V4[0], 1) == ("127.0.0.1", 1)
    assert socket_address(V6[0], 1) == ("2001:db8::1", 1, 0, 0)
    assert socket_address(ip_address("fe80::1%lo"), 1) == ("fe80::1", 1, 0, socket.if_nametoindex("lo"))
    with pytest.raises(OSError, match=r"No such device|no interface"):
        socket_address(ip_address("fe80::1%nosuch0"), 1)


def listen(address: IpAddress, port: int = 0) -> socket.socket:
    """A listening socket on loopback."""
    listener = socket.socket()
    listener.bind((str(address), port))
    listener.listen()
    return listener


def dial(addresses: Sequence[IpAddress], port: int) -> IpAddress:
    """Connect, hang up, and tell where."""

    async def run() -> IpAddress:
        address, sock = await connect_first(asyncio.get_running_loop(), addresses, port)
        sock.close()
        await asyncio.sleep(0)
        return address

    return asyncio.run(run())


def test_the_first_address_that_answers_is_taken() -> None:
    with listen(V4[1]) as listener:
        port = listener.getsockname()[1]

        assert dial(V4, port) == V4[1]
        with listen(V4[0], port):
            assert dial(V4, port) == V4[0]
    gc.collect()  # a socket that was left open would be a warning, and warnings are errors


def test_when_none_answers_the_error_says_why_of_each() -> None:
    with listen(V4[0]) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(UnreachableError) as caught:
        dial(V4[:2], port)

    assert caught.value.errno == errno.ECONNREFUSED
    assert set(caught.value.failures) == set(V4[:2])
