"""A listener never removes what is not a dead switch's socket."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from inband.errors import HostError
from inband.runtime.channel import Channel
from inband.runtime.dialler import Dialler, Listener
from inband.runtime.targets import Scheme, Target


def no_channel(_owner: Dialler | Listener) -> Channel:
    raise AssertionError("nobody connects here")


def start_and_stop(path: Path) -> None:
    async def live() -> None:
        listener = Listener(Target(Scheme.PUNIX, None, 0, str(path)), no_channel)
        try:
            await listener.start(asyncio.get_running_loop())
        finally:
            listener.stop()

    asyncio.run(live())


def test_a_file_at_the_sockets_place_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")

    with pytest.raises(HostError, match="not a socket"):
        start_and_stop(path)

    assert path.read_text() == "data"


def test_a_socket_that_somebody_listens_on_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "live"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        with pytest.raises(HostError, match="in use"):
            start_and_stop(path)

        assert path.is_socket()


def test_a_dead_socket_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    start_and_stop(path)

    assert not path.exists()
