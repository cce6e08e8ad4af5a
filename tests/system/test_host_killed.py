"""The process is killed before or after any one of its requests to the kernel, and the next one tidies up.

Where a kill at a random instant hits is chance (``test_kills``). Here each instant between two requests is one.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from lab.net import Lab, Namespace
from lab.remains import remains

pytestmark = [pytest.mark.root, pytest.mark.slow]

ACT = """
import os, signal, socket, sys
moment, number = sys.argv[1], int(sys.argv[2])

class Counting(socket.socket):
    def send(self, data):
        global number
        number -= 1
        if number == 0 and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        sent = super().send(data)
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return sent

socket.socket = Counting
from inband.host import interfaces
from inband.vocabulary.addresses import Mac
ports = interfaces.PortOwnership()
interfaces.ensure_local("bridge", Mac(0x020000000001))
ports.own_port("port")
interfaces.set_addresses("bridge", ())
ports.release_port("port")
interfaces.remove_local("bridge")
"""


@pytest.fixture
def machine() -> Iterator[Namespace]:
    """A host whose port-to-be has addresses, as it may have been left."""
    with Lab("ihm") as lab:
        machine, other = lab.namespace("machine"), lab.namespace("other")
        lab.link(machine, "port", other, "eth0")
        machine.address("port", "10.8.0.1/24")
        machine.ip("addr add fd00::1/64 dev port nodad")
        yield machine


def act(machine: Namespace, moment: str, number: int) -> int:
    """Take a port and a bridge's own interface, and give both back; killed before or after a request. The exit code."""
    process = machine.start(sys.executable, "-c", ACT, moment, str(number), label="act")
    code = process.wait(30.0)
    assert "Error" not in process.tail(), f"{moment} {number}: {process.tail()}"
    return code


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_request_was_the_last_the_next_process_leaves_nothing(machine: Namespace, moment: str) -> None:
    before, number = _look(machine), 1

    while act(machine, moment, number) == -signal.SIGKILL:
        assert act(machine, "never", 0) == 0, f"killed {moment} request {number}"
        assert _look(machine) == before, f"killed {moment} request {number}"
        number += 1

    assert number > 15


def _look(machine: Namespace) -> frozenset[str]:
    return remains(machine, ("port",), machine.lab.folder / "none")
