"""Ends and new beginnings: an orderly end leaves nothing, a crash leaves what the next start takes up again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from lab.certificates import Authority
from lab.controllers import LabController, wait_listening
from lab.journal import until
from lab.net import Lab
from lab.process import Process
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

FILE = """
[[bridge]]
name = "br0"
port = ["p1", "p2"]
address = "10.0.0.1/24"
[[bridge]]
name = "br1"
controller = ["punix:{punix}", "ptcp:7778:127.0.0.1", "tcp:10.0.0.99"]
fail-mode = "secure"
"""


WITH_PEERS = """
[[bridge]]
name = "br0"
port = ["p1", "p2"]
address = "10.0.0.1/24"
datapath = "{datapath}"
fail-mode = "secure"
controller = ["tcp:10.0.0.11:6651", "tcp:10.0.0.12:6652", "tls:10.0.0.11:6653", "ptcp:6654:127.0.0.1"]
private-key = "{own.key}"
certificate = "{own.certificate}"
ca-cert = "{authority.ca}"
"""
NEW_FLOWS = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # no ARP goes before it
    while True:
        for port in range(1, 65536):
            sender.sendto(b"data", ("10.0.0.255", port))
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("ihk") as lab:
        made = Rig(lab)
        made.run_dir.mkdir(mode=0o700)
        yield made


def _terminate(rig: Rig, process: Process) -> None:
    os.kill(process.pid, signal.SIGTERM)


def _interrupt(rig: Rig, process: Process) -> None:
    os.kill(process.pid, signal.SIGINT)


def _tell(rig: Rig, process: Process) -> None:
    rig.call("exit")


@pytest.mark.parametrize("end", [_terminate, _interrupt, _tell])
def test_an_orderly_end_leaves_nothing(rig: Rig, end: Callable[[Rig, Process], None]) -> None:
    rig.box.ip("addr replace 2001:db8::7/64 dev p1 nodad")
    punix = rig.lab.folder / "of.sock"
    before = rig.state()
    process = rig.start("--force", "--config", rig.config(FILE.format(punix=punix)))  # p1 carries an address
    assert rig.state() != before
    assert rig.h1.pings("10.0.0.1") == 3

    end(rig, process)

    assert process.wait(3.0) == 0
    assert rig.state() == before
    assert not punix.exists()
    assert "Traceback" not in rig.log()


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_whoever_is_connected_and_whatever_passes_it_ends_without_a_complaint(rig: Rig, datapath: str) -> None:
    before = rig.state()
    authority = Authority(rig.lab.folder, "authority")
    _start_controllers(rig, authority)
    config = WITH_PEERS.format(datapath=datapath, own=authority.issue("switch"), authority=authority)
    process = rig.start("--config", rig.config(config))
    for target in (f"unix:{rig.run_dir}/br0.mgmt", "tcp:127.0.0.1:6654"):
        for version in ("OpenFlow10", "OpenFlow13"):
            rig.box.start(
                "ovs-ofctl", "-O", version, "monitor", target, env={**os.environ, "OVS_RUNDIR": str(rig.lab.folder)}
            )
    rig.h1.start(sys.executable, "-c", NEW_FLOWS, label="new-flows")
    assert until(lambda: _connected(rig) == 3, 10.0), rig.show()["controllers"]
    assert until(lambda: rig.counter("to_controller") > 100, 10.0), rig.call("coverage/show")

    assert process.stop() == 0

    assert "Traceback" not in rig.log()
    assert rig.state() == before


def _start_controllers(rig: Rig, authority: Authority) -> None:
    """One of each version, which ask for every packet, and a silent one that speaks TLS."""
    LabController(rig.h1, "to-controller", version=1, port=6651)
    LabController(rig.h2, "to-controller", version=4, port=6652)
    own = authority.issue("controller")
    files = (str(own.key), str(own.certificate), str(authority.ca))
    wait_listening(
        rig.h1, rig.h1.start(sys.executable, "-m", "tests.system.switch_peer", "6653", *files, label="tls"), 6653
    )


def _connected(rig: Rig) -> int:
    dialled = [each for each in rig.show()["controllers"] if not each["target"].startswith("p")]
    return sum(bool(each["connected"]) for each in dialled)


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_after_a_crash_the_same_configuration_is_taken_up_again(rig: Rig, datapath: str) -> None:
    before = rig.state()
    options = ("--bridge", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.1/24", "--datapath", datapath)
    rig.start(*options).kill9()

    process = rig.start(*options)

    assert rig.ports() == {"p1": 1, "p2": 2}
    assert rig.h1.pings("10.0.0.1") == 3
    assert rig.h1.pings("10.0.0.12") == 3
    assert process.stop() == 0
    assert rig.state() == before


def test_after_a_crash_a_port_that_is_not_configured_any_more_is_given_back(rig: Rig) -> None:
    rig.start("--bridge", "br0", "--port", "p1", "--port", "p2").kill9()

    process = rig.start("--bridge", "br0", "--port", "p1")

    rig.box.address("p2", "10.0.0.2/24")
    assert rig.h2.pings("10.0.0.2") == 3
    assert "p2" in rig.log()
    assert process.stop() == 0
    rig.box.ip("addr flush dev p2")


def test_after_a_crash_a_bridge_that_is_not_configured_any_more_is_named_and_left(rig: Rig) -> None:
    before = rig.state()
    rig.start("--bridge", "old", "--port", "p1", "--address", "10.0.0.1/24", "--datapath", "userspace").kill9()

    process = rig.start("--bridge", "br0", "--port", "p1", "--port", "p2")

    assert "ip link del old" in rig.log()
    assert process.stop() == 0
    assert any(line.startswith("old ") for line in rig.state())
    rig.box.ip("link del old")
    assert rig.state() == before


def test_after_a_crash_the_files_of_dhcp_clients_go_with_the_next_start(rig: Rig) -> None:
    before = rig.state()
    temporary = rig.lab.folder / "tmp"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary)}
    options = ("--bridge", "br0", "--port", "p1", "--datapath", "userspace")
    rig.start(*options, "--address", "dhcp", env=environment).kill9()
    assert "file inband-dhcp" in rig.state()

    process = rig.start(*options, env=environment)

    assert "file inband-dhcp" not in rig.state()
    assert process.stop() == 0
    assert rig.state() == before
    assert list(temporary.iterdir()) == []


def test_an_orderly_end_leaves_no_file_of_a_dhcp_client(rig: Rig) -> None:
    before = rig.state()
    process = rig.start("--bridge", "br0", "--port", "p1", "--address", "dhcp")
    assert "file inband-dhcp" in rig.state()

    assert process.stop() == 0

    assert rig.state() == before


def test_what_another_live_switch_has_is_no_left_over(rig: Rig) -> None:
    first = rig.start("--bridge", "br0", "--port", "p1", "--address", "10.0.0.1/24")
    command = first.argv[4:6]

    kept = ("--state-dir", str(rig.lab.folder / "second-state"))
    second = rig.box.start(
        *command, "--run-dir", str(rig.lab.folder / "second"), *kept, "--bridge", "br1", label="second"
    )

    assert until(lambda: "inband runs" in second.tail(), 20.0)
    assert "br0" not in second.tail()
    assert rig.h1.pings("10.0.0.1") == 3
    assert second.stop() == 0
    assert rig.h1.pings("10.0.0.1") == 3
    assert first.stop() == 0


def test_in_development_mode_nothing_is_left_open_and_no_task_fails_unheard(rig: Rig) -> None:
    punix = rig.lab.folder / "of.sock"
    environment = {"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "0"}
    process = rig.start("--config", rig.config(FILE.format(punix=punix)), env=environment)
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.11:7", "unix:/nowhere/s", "tcp:10.0.0.99")
    rig.h1.pings("10.0.0.12")
    rig.call("inband/del-bridge", "br1")

    assert process.stop() == 0

    for word in ("Traceback", "Warning:", "never retrieved", "was never awaited", "was destroyed"):
        assert word not in rig.log()


def test_a_hang_up_signal_does_not_end_the_switch(rig: Rig) -> None:
    path = rig.config('[[bridge]]\nname = "br0"\nport = "p1"')
    process = rig.start("--config", path)
    rig.config('[[bridge]]\nname = "br0"\nport = ["p1", "p2"]')

    os.kill(process.pid, signal.SIGHUP)

    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 3.0)
    rig.config("rubbish")
    os.kill(process.pid, signal.SIGHUP)
    assert until(lambda: "TOML" in rig.log(), 3.0)
    assert rig.ports() == {"p1": 1, "p2": 2}
    assert process.stop() == 0
