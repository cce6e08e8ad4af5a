"""InterfaceLocks: one live switch per interface, and none after a kill."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.errors import UsageError
from inband.runtime.interface_locks import BACKLOG, InterfaceLocks

NAME = f"ihh{os.getpid()}"[:15]

HOLDER = """
import asyncio, sys
from inband.runtime.interface_locks import BACKLOG, InterfaceLocks

async def hold():
    InterfaceLocks(asyncio.get_running_loop()).take(sys.argv[1])
    print("taken", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""

SQUATTER = """
import os, socket, sys, time
os.setuid(65534)
held = []
for name in sys.argv[1:]:
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].bind("\\0" + name)
    held[-1].listen(0)
    for _ in range(3):  # a full queue tells nobody who we are
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].setblocking(False)
        try:
            held[-1].connect("\\0" + name)
        except BlockingIOError:
            pass
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def locks(loop: asyncio.AbstractEventLoop) -> Iterator[InterfaceLocks]:
    mine = InterfaceLocks(loop)
    yield mine
    mine.close()


def test_an_interface_of_another_live_process_is_refused_until_that_is_killed(locks: InterfaceLocks) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, NAME], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"

        for _ in range(BACKLOG + 100):  # asking who it is must never block
            with pytest.raises(
                UsageError, match=rf"interface {NAME} is in use by (a live switch \(pid {holder.pid}\)|an)"
            ):
                locks.take(NAME)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close() if holder.stdout else None

    locks.take(NAME)


def test_one_process_may_claim_again_what_it_has_and_give_it_back(
    locks: InterfaceLocks, loop: asyncio.AbstractEventLoop
) -> None:
    locks.take(NAME)
    locks.take(NAME)
    with pytest.raises(UsageError, match="in this process"):
        InterfaceLocks(loop).take(NAME)

    locks.release(NAME)
    locks.release(NAME)

    other = InterfaceLocks(loop)
    other.take(NAME)
    other.close()


@pytest.mark.root
def test_another_user_cannot_claim_an_interface_however_the_socket_is_called(locks: InterfaceLocks) -> None:
    names = [f"inband/interface/{NAME}", f"inband/interface/{NAME}/0", f"inband/interface/{NAME}/f/f"]
    squatter = subprocess.Popen([sys.executable, "-c", SQUATTER, *names], stdout=subprocess.PIPE, text=True)
    try:
        assert squatter.stdout is not None
        assert squatter.stdout.readline() == "taken\n"

        locks.take(NAME)
    finally:
        squatter.kill()
        squatter.wait()
        squatter.stdout.close() if squatter.stdout else None


def test_interfaces_whose_names_begin_alike_are_different_ones(
    locks: InterfaceLocks, loop: asyncio.AbstractEventLoop
) -> None:
    other = InterfaceLocks(loop)
    other.take(f"{NAME[:13]}1")

    locks.take(NAME[:13])

    other.close()


def test_of_several_those_that_another_has_are_refused_and_the_others_locked(
    locks: InterfaceLocks, loop: asyncio.AbstractEventLoop
) -> None:
    other = InterfaceLocks(loop)
    taken, free = f"{NAME[:13]}t", f"{NAME[:13]}f"
    other.take(taken)

    refused = locks.take_together([taken, free])

    assert list(refused) == [taken]
    assert "in use by a live switch" in str(refused[taken])
    assert (taken in locks, free in locks) == (False, True)
    other.close()


def test_names_there_are_are_looked_at_once_for_many_interfaces(
    locks: InterfaceLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    real = Path.read_text

    def look(path: Path, errors: str) -> str:
        looks.append(path)
        return real(path, errors=errors)

    monkeypatch.setattr(Path, "read_text", look)

    locks.take_together([f"{NAME[:12]}{number}" for number in range(20)])

    assert looks == [Path("/proc/net/unix")]
