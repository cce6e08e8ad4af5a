"""systemd is told what it asked for, as long as the event loop turns, and its absence is no error."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from inband.runtime.service_manager import ServiceManager


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def heard(self) -> list[str]:
        """What has come since the last call."""
        texts = []
        while True:
            try:
                texts.append(self._socket.recv(1000).decode())
            except BlockingIOError:
                return texts

    def close(self) -> None:
        self._socket.close()


class HandTurnedLoop:
    """Its timers run when ``turn`` says so."""

    def __init__(self) -> None:
        self.timers: list[HandTurnedTimer] = []

    def call_later(self, delay: float, callback: Callable[[], object], /) -> HandTurnedTimer:
        timer = HandTurnedTimer(delay, callback, self.timers)
        self.timers.append(timer)
        return timer

    def turn(self) -> float:
        """Run the only timer that there is; returns the delay it had."""
        (timer,) = self.timers
        timer.cancel()
        timer.callback()
        return timer.delay_s


@dataclass(eq=False)
class HandTurnedTimer:
    delay_s: float
    callback: Callable[[], object]
    among: list[HandTurnedTimer]

    def cancel(self) -> None:
        self.among.remove(self)


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory(prefix="ihh") as folder:
        made = Manager(f"@ihh-{os.getpid()}" if request.param == "abstract" else str(Path(folder) / "notify"))
        yield made
        made.close()


def told_by(manager: Manager, **others: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": manager.name, **others})


def test_it_hears_of_start_and_end(manager: Manager) -> None:
    us, loop = told_by(manager), HandTurnedLoop()

    us.ready(loop)
    us.stopping()

    assert manager.heard() == ["READY=1", "STOPPING=1"]
    assert loop.timers == []


def test_it_hears_that_the_configuration_is_read_again_and_when_that_is_done(manager: Manager) -> None:
    us = told_by(manager)

    with us.reloading():
        (begun,) = manager.heard()

    name, clock = begun.split("\n")
    assert name == "RELOADING=1"
    assert clock.startswith("MONOTONIC_USEC=")
    assert clock.partition("=")[2].isdigit()
    assert manager.heard() == ["READY=1"]


def test_a_refused_configuration_is_no_reload_without_end(manager: Manager) -> None:
    with pytest.raises(ValueError, match="refused"), told_by(manager).reloading():
        raise ValueError("refused")

    assert manager.heard()[-1] == "READY=1"


def test_the_watchdog_hears_from_each_turn_of_the_loop_twice_in_its_time_and_from_no_other(manager: Manager) -> None:
    us, loop = told_by(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())), HandTurnedLoop()

    us.ready(loop)

    assert manager.heard() == ["READY=1", "WATCHDOG=1"]
    assert manager.heard() == []
    assert loop.turn() == 15.0
    assert manager.heard() == ["WATCHDOG=1"]
    assert loop.turn() == 15.0
    assert manager.heard() == ["WATCHDOG=1"]


def test_behind_the_end_the_watchdog_hears_nothing(manager: Manager) -> None:
    us, loop = told_by(manager, WATCHDOG_USEC="30000000"), HandTurnedLoop()
    us.ready(loop)

    us.stopping()

    assert loop.timers == []


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "²"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "me"},
    ],
)
def test_a_watchdog_that_is_off_broken_or_another_process_hears_nothing(
    manager: Manager, environment: Mapping[str, str]
) -> None:
    loop = HandTurnedLoop()

    told_by(manager, **environment).ready(loop)

    assert manager.heard() == ["READY=1"]
    assert loop.timers == []


@pytest.mark.parametrize("name", [None, "", "nonsense", "/nowhere/notify", "/" + "x" * 200])
def test_a_service_manager_that_does_not_listen_is_no_error(name: str | None) -> None:
    us, loop = (
        ServiceManager({} if name is None else {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"}),
        HandTurnedLoop(),
    )

    us.ready(loop)
    with us.reloading():
        pass
    us.stopping()

    assert loop.timers == []


def test_a_service_manager_that_reads_nothing_is_not_waited_for(manager: Manager) -> None:
    us = told_by(manager)

    for _ in range(2_000):  # the kernel keeps a few hundred
        us.stopping()

    assert len(manager.heard()) < 2_000
