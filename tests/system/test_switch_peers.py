"""Controllers and clients that are slow, rude or broken: each is bounded, none disturbs another.

The test itself is the controller, over unix sockets, so that it can be exactly as bad as it wants to be.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.openflow.session import NEGOTIATION_S
from inband.switch.listener import MAX_OPENING
from lab import messages as of
from lab.journal import until
from lab.net import CommandError, Lab, run
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

MULTIPART_REQUEST = 18
FLOW_STATS = of.message(of.V13, MULTIPART_REQUEST, 9, struct.pack("!HH4x", 1, 0) + bytes.fromhex(
    "ff000000 ffffffff ffffffff 00000000 0000000000000000 0000000000000000 00010004 00000000".replace(" ", "")
))  # fmt: skip


class Place:
    """A unix socket where the test plays controller."""

    def __init__(self, path: Path) -> None:
        self.target = f"unix:{path}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._socket.settimeout(5.0)

    def accept(self, timeout_s: float = 5.0) -> socket.socket:
        """Wait for the switch."""
        self._socket.settimeout(timeout_s)
        made, _ = self._socket.accept()
        made.settimeout(5.0)
        return made

    def close(self) -> None:
        """Refuse from now on."""
        self._socket.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Rig]:
    with Lab("ihk") as lab:
        made = Rig(lab)
        made.start("--bridge", "br0", "--port", "p1", "--port", "p2", "--fail-mode", "secure")
        yield made


@pytest.fixture
def rig(running: Rig) -> Rig:
    """The switch without controllers and with everybody's defaults."""
    running.call("inband/del-controller", "br0")
    running.call("inband/set", "br0", "inactivity-probe=5", "max-backoff=8", "openflow-version=1.0,1.3")
    return running


@pytest.fixture
def place(rig: Rig) -> Iterator[Place]:
    path = rig.lab.folder / f"c{time.monotonic_ns()}"
    with contextlib.closing(Place(path)) as made:
        yield made


def ofctl(rig: Rig, command: str, *words: str) -> str:
    return run("ovs-ofctl", "-O", "OpenFlow13", command, f"unix:{rig.run_dir}/br0.mgmt", *words)


def sockets(rig: Rig) -> int:
    """How many sockets the process has open; maps of the kernel and files do not count."""
    assert rig.process is not None
    found = 0
    for each in Path(f"/proc/{rig.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in between
            found += os.readlink(each).startswith("socket:")
    return found


def told(connection: socket.socket) -> list[tuple[int, bytes]]:
    """Everything until the switch hangs up: (type, body) of each message."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65536):
            data += more
    found = []
    while len(data) >= 8:
        _, kind, length, _ = struct.unpack_from("!BBHI", data)
        found.append((kind, data[8:length]))
        data = data[length:]
    return found


def test_a_controller_is_shown_and_management_clients_come_and_go_beside_it(rig: Rig, place: Place) -> None:
    rig.call("inband/set-controller", "br0", place.target)
    with place.accept() as connection:
        connection.sendall(of.hello(of.V13))
        assert until(lambda: bool(rig.controller()["connected"]), 3.0)
        shown = rig.controller()
        assert (shown["version"], shown["role"], shown["last_error"]) == ("1.3", "equal", None)

        ofctl(rig, "add-flow", "priority=7,arp,actions=drop")

        assert "priority=7,arp actions=drop" in ofctl(rig, "dump-flows")
        assert "priority=180" not in ofctl(rig, "dump-flows")
        assert rig.show()["forwarding"] == "controller"
        assert rig.controller()["connected"]
    ofctl(rig, "del-flows")
    assert until(lambda: rig.show()["forwarding"] == "secure", 3.0)


REFUSED_GREETINGS = {
    "a web server": (b"HTTP/1.1 400 Bad Request\r\n\r\n", ""),
    "a version that nobody speaks": (of.message(9, 0, 1, struct.pack("!HHI", 1, 8, 1 << 9)), "version"),
    "something before HELLO": (of.message(of.V13, 2, 1), "HELLO"),
    "a length that cannot be": (struct.pack("!BBHI", 4, 0, 3, 1), "claims 3 bytes"),
}


@pytest.mark.parametrize("name", REFUSED_GREETINGS)
def test_a_peer_that_greets_wrongly_is_told_and_hung_up_on(rig: Rig, place: Place, name: str) -> None:
    data, about = REFUSED_GREETINGS[name]
    rig.call("inband/set-controller", "br0", place.target)
    with place.accept() as connection:
        connection.settimeout(2 * NEGOTIATION_S)  # what could still become a message is waited for
        connection.sendall(data)

        kinds = [kind for kind, _ in told(connection)]

    assert kinds[0] == of.HELLO
    assert until(lambda: about in (rig.controller()["last_error"] or ""), 2.0), str(rig.controller())
    assert not rig.controller()["connected"]


@pytest.mark.parametrize(
    ("half", "limit_s"),
    [
        (b"", NEGOTIATION_S),
        (of.hello(4)[:5], NEGOTIATION_S),
        (of.hello(4) + of.message(4, of.FLOW_MOD, 3, bytes(48))[:30], 0.3),
    ],
)
def test_a_peer_that_stops_in_the_middle_is_given_up_after_its_time(
    rig: Rig, place: Place, half: bytes, limit_s: float
) -> None:
    """To agree on a version takes a fixed time at most, whatever the probe is; later the probe decides."""
    rig.call("inband/set", "br0", "inactivity-probe=300ms")
    rig.call("inband/set-controller", "br0", place.target)
    start = time.monotonic()
    with place.accept() as connection:
        connection.settimeout(2 * NEGOTIATION_S)
        connection.sendall(half)

        told(connection)

    assert 0.6 * limit_s < time.monotonic() - start < limit_s + 1.7
    place.accept().close()  # and is dialled again


def test_a_peer_that_hangs_up_at_once_is_not_dialled_in_a_loop_nor_fills_the_log(rig: Rig, place: Place) -> None:
    for greeting in (b"", of.hello(of.V13)):
        rig.call("inband/del-controller", "br0")
        lines = len(rig.log().splitlines())
        rig.call("inband/set-controller", "br0", place.target)

        count, end = 0, time.monotonic() + 1.5
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError, BrokenPipeError), place.accept(left) as connection:
                connection.sendall(greeting)
                count += 1

        assert 2 <= count <= 8  # 0, 0.1, 0.3, 0.7, 1.5 s ...
        assert len(rig.log().splitlines()) - lines < 10


def test_a_peer_that_never_reads_costs_bounded_memory_and_delays_nobody(rig: Rig, place: Place) -> None:
    flows = "".join(f"priority=5,ip,nw_dst=10.1.{n >> 8}.{n & 255},actions=drop\n" for n in range(3000))
    path = rig.lab.folder / "flows"
    path.write_text(flows)
    ofctl(rig, "add-flows", str(path))
    rig.call("inband/set", "br0", "inactivity-probe=1")
    rig.call("inband/set-controller", "br0", place.target)
    before = _most_resident_kb(rig)
    with place.accept() as connection:
        connection.sendall(of.hello(of.V13))
        assert until(lambda: bool(rig.controller()["connected"]), 3.0)
        connection.setblocking(False)

        worst, end = 0.0, time.monotonic() + 2.5
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                connection.send(FLOW_STATS * 500)
            start = time.monotonic()
            rig.call("version")
            worst = max(worst, time.monotonic() - start)

        assert worst < 0.4
        assert until(lambda: "probe" in (rig.controller()["last_error"] or ""), 6.0), str(rig.controller())
        assert _most_resident_kb(rig) - before < 48 << 10
    ofctl(rig, "del-flows")


def _most_resident_kb(rig: Rig) -> int:
    assert rig.process is not None
    with open(f"/proc/{rig.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def test_a_long_flow_dump_arrives_whole_while_others_are_served(rig: Rig) -> None:
    flows = "".join(f"priority=5,ip,nw_dst=10.1.{n >> 8}.{n & 255},actions=drop\n" for n in range(6000))
    path = rig.lab.folder / "flows"
    path.write_text(flows)
    ofctl(rig, "add-flows", str(path))

    found = ofctl(rig, "dump-flows")

    assert found.count("actions=drop") == 6000
    ofctl(rig, "del-flows")


def test_a_burst_of_changes_delays_nobody_and_is_carried_out_completely(rig: Rig, place: Place) -> None:
    rig.call("inband/set-controller", "br0", place.target)
    with place.accept() as connection:
        connection.sendall(of.hello(of.V13))
        assert until(lambda: bool(rig.controller()["connected"]), 3.0)
        burst = b"".join(of.filler(of.V13, n, n) for n in range(8000))
        connection.setblocking(False)

        worst = 0.0
        while burst:
            with contextlib.suppress(BlockingIOError):
                burst = burst[connection.send(burst) :]
            start = time.monotonic()
            rig.call("version")
            worst = max(worst, time.monotonic() - start)

        assert worst < 0.3
        assert until(lambda: "flow_count=8000" in ofctl(rig, "dump-aggregate"), 5.0)
    ofctl(rig, "del-flows")


def test_messages_before_the_end_of_a_connection_are_carried_out(rig: Rig) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{rig.run_dir}/br0.mgmt")
        client.recv(100)  # its HELLO, which would find nobody if we were gone already
        client.sendall(of.hello(of.V13) + b"".join(of.filler(of.V13, n, n) for n in range(500)))

    assert until(lambda: "flow_count=500" in ofctl(rig, "dump-aggregate"), 3.0)
    ofctl(rig, "del-flows")


def test_settings_of_connections_hold_for_those_that_stand(rig: Rig, place: Place) -> None:
    rig.call("inband/set-controller", "br0", place.target)
    with place.accept() as connection:
        connection.sendall(of.hello(of.V13))
        assert until(lambda: bool(rig.controller()["connected"]), 3.0)
        connection.recv(4096)

        rig.call("inband/set", "br0", "inactivity-probe=200ms")

        assert connection.recv(8)[1] == of.ECHO_REQUEST
        connection.sendall(of.message(of.V13, of.ECHO_REPLY, 1))
        rig.call("inband/set", "br0", "inactivity-probe=5", "openflow-version=1.0")
        assert told(connection)[-1:] in ([], [(of.ECHO_REQUEST, b"")])
    with place.accept() as connection:
        assert connection.recv(1) == b"\x01"
        connection.sendall(of.hello(of.V10))
        assert until(lambda: rig.controller()["version"] == "1.0", 3.0)

        rig.call("inband/set", "br0", "datapath-id=0x77")

        told(connection)
    with place.accept() as connection:
        connection.sendall(of.hello(of.V10) + of.message(of.V10, of.FEATURES_REQUEST, 2))
        assert until(lambda: bool(rig.controller()["connected"]), 3.0)
    rig.call("inband/set", "br0", "datapath-id=none")


def test_passive_listeners_serve_clients_that_are_no_controllers(rig: Rig) -> None:
    path = rig.lab.folder / "of.sock"
    rig.call("inband/set-controller", "br0", f"punix:{path}", "ptcp:6700:127.0.0.1")

    over_unix = run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", f"unix:{path}")
    over_tcp = rig.box.run("ovs-ofctl", "-O", "OpenFlow13", "show", "tcp:127.0.0.1:6700")

    assert "cookie" not in over_unix
    assert "p1" in over_tcp
    assert rig.show()["forwarding"] == "secure"
    assert [each["connected"] for each in rig.show()["controllers"]] == [False, False]
    rig.call("inband/del-controller", "br0")
    assert not path.exists()
    with pytest.raises(CommandError):
        rig.box.run("ovs-ofctl", "-O", "OpenFlow13", "show", "tcp:127.0.0.1:6700")


def test_a_crowd_of_clients_is_bounded_and_the_controller_still_gets_through(rig: Rig, place: Place) -> None:
    before = sockets(rig)
    with contextlib.ExitStack() as crowd:
        for _ in range(100):
            client = crowd.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(f"{rig.run_dir}/br0.mgmt")

        rig.call("inband/set-controller", "br0", place.target)

        with place.accept() as connection:
            connection.sendall(of.hello(of.V13))
            assert until(lambda: bool(rig.controller()["connected"]), 3.0)
        # Those that have not said HELLO, the controller, and one that is about to be turned away.
        assert sockets(rig) - before <= MAX_OPENING + 2
        assert until(lambda: rig.counter("connections turned away") > 0, 3.0)  # one turn after another
    assert until(lambda: "p1" in run("ovs-ofctl", "-O", "OpenFlow13", "show", f"unix:{rig.run_dir}/br0.mgmt"), 3.0)
