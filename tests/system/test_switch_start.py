"""A switch that cannot start says why in one line and leaves nothing behind; one that can, waits for what is late."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab
from lab.process import limited
from tests.system.switch_rig import Rig, one_line

pytestmark = pytest.mark.root

PLAIN = ("--bridge", "br0", "--port", "p1")
REFUSED_OPTIONS = {
    "an address without length": ("10.0.0.1/24", (*PLAIN, "--address", "10.0.0.1")),
    "a target that is no address": ("1.2.3", (*PLAIN, "--controller", "tcp:1.2.3")),
    "a gateway in no network": ("gateway", (*PLAIN, "--address", "10.0.0.1/24", "--gateway", "10.9.9.9")),
    "an interface in a Linux bridge": ("nomaster", (*PLAIN, "--port", "enslaved")),
    "the loopback interface": ("loopback", (*PLAIN, "--port", "lo")),
    "the name of a foreign interface": ("ip link del foreign", ("--bridge", "foreign", "--port", "p1")),
    "tls without files": ("private-key", (*PLAIN, "--controller", "tls:10.0.0.9")),
    "an address that is not ours": ("ptcp:6653:10.9.9.9", (*PLAIN, "--controller", "ptcp:6653:10.9.9.9")),
    "a port that is taken": ("already in use", (*PLAIN, "--controller", "ptcp:7777:127.0.0.1")),
    "a pid file that cannot be written": ("/nowhere/pid", (*PLAIN, "--pidfile", "/nowhere/pid")),
}
"""Options by what is wrong with them, and the word that the refusal must have."""
REFUSED_FILES = {
    "an unknown key": (":3:", '[[bridge]]\nname = "br0"\nprot = ["p1"]'),
    "a wrong type": (":3:", '[[bridge]]\nname = "br0"\nqueue = true'),
    "a bad address": (":3:", '[[bridge]]\nname = "br0"\naddress = "10.0.0.300/24"'),
    "no TOML": ("line 1", "bridge br0 {"),
    "an interface in two bridges": ("p1", '[[bridge]]\nname = "a"\nport = "p1"\n[[bridge]]\nname = "b"\nport = "p1"'),
}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Lab("ihk") as lab:
        made = Rig(lab)
        made.box.ip(
            "link add enslaved type veth peer name other",
            "link add foreign type bridge",
            "link set enslaved master foreign",
            "link set p2 down",
        )
        made.box.start("python3", "-c", LISTEN, label="taken")
        assert until(lambda: ":7777" in made.box.run("ss", "-lntH"), 10.0)
        yield made


@pytest.fixture(autouse=True)
def _fresh(rig: Rig) -> None:
    rig.forget()  # the tests share a machine, and ports keep their numbers


LISTEN = (
    "import socket, time; s = socket.socket(); s.setsockopt(1, 2, 1);"
    "s.bind(('127.0.0.1', 7777)); s.listen(); time.sleep(600)"
)


@pytest.mark.parametrize("name", REFUSED_OPTIONS)
def test_refused_options_are_explained_in_a_line_and_leave_nothing_behind(rig: Rig, name: str) -> None:
    about, options = REFUSED_OPTIONS[name]
    rig.run_dir.mkdir(mode=0o700, exist_ok=True)
    before = rig.state()

    done = rig.inband("run", "--run-dir", str(rig.run_dir), *options)

    assert about in one_line(done)
    assert rig.state() == before


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_a_refused_file_is_explained_with_its_line(rig: Rig, name: str) -> None:
    about, text = REFUSED_FILES[name]

    done = rig.inband("run", "--run-dir", str(rig.run_dir), "--config", rig.config(text))

    assert "inband.toml" in one_line(done)
    assert about in one_line(done)


@pytest.mark.parametrize("capabilities", ["-net_admin", "-all"])
def test_without_the_right_to_change_the_network_it_says_so_and_leaves_nothing_behind(
    rig: Rig, capabilities: str
) -> None:
    before = rig.state()

    done = rig.box.run(*limited(capabilities), *_command(rig), *PLAIN, check=False)

    assert "CAP_NET_ADMIN" in done
    assert len(done.strip().splitlines()) == 1
    assert "Traceback" not in done
    assert rig.state() == before


def test_an_interface_or_a_bridge_name_of_another_live_switch_is_refused_and_that_one_goes_on(rig: Rig) -> None:
    first = rig.start(*PLAIN, "--port", "p2")
    other = str(rig.lab.folder / "other")

    for options, about in ((("--bridge", "br9", "--port", "p1"), "p1"), (("--bridge", "br0"), "br0")):
        line = one_line(rig.inband("run", "--run-dir", other, *options))
        assert f"{about} is in use by a live switch (pid {first.pid})" in line

    assert rig.h1.pings("10.0.0.12") == 3
    assert first.stop() == 0


def test_a_port_is_opened_when_its_interface_appears_and_again_when_it_comes_back(rig: Rig) -> None:
    process = rig.start("--bridge", "br0", "--port", "p1", "--port", "late")
    assert rig.ports() == {"p1": 1}
    assert "late" in rig.log()

    other = rig.lab.namespace("h3")
    for _ in range(2):
        rig.lab.link(rig.box, "late", other, "eth0")
        other.address("eth0", "10.0.0.13/24")
        assert until(lambda: rig.ports() == {"p1": 1, "late": 2}, 3.0)
        rig.h1.ip("neigh flush all")
        assert rig.h1.pings("10.0.0.13", count=3) > 0
        rig.box.ip("link del late")
        assert until(lambda: rig.ports() == {"p1": 1}, 3.0)

    assert process.stop() == 0


def test_an_interface_that_is_renamed_stays_the_port_that_it_is(rig: Rig) -> None:
    process = rig.start("--bridge", "br0", "--port", "p1", "--port", "p2")

    rig.box.ip("link set p2 down", "link set p2 name q2")
    assert until(lambda: rig.ports() == {"p1": 1, "q2": 2}, 3.0)
    rig.box.ip("link set q2 name p2")

    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 3.0)
    assert process.stop() == 0


def test_an_interface_that_appears_in_a_bridge_is_opened_once_it_is_free(rig: Rig) -> None:
    process = rig.start("--bridge", "br0", "--port", "p1", "--port", "busy")

    rig.box.ip("link add x type veth peer name x1", "link set x master foreign", "link set x name busy")
    assert until(lambda: "belongs to foreign" in rig.log(), 3.0)
    rig.box.ip("link set busy nomaster")

    assert until(lambda: "busy" in rig.ports(), 3.0)
    rig.box.ip("link del busy")
    assert process.stop() == 0


def test_the_service_manager_is_told_what_the_switch_does_and_the_pid_file_is_there_while_it_runs(rig: Rig) -> None:
    pid_file, notify = rig.lab.folder / "pid", rig.lab.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(5.0)

        file = rig.config('[[bridge]]\nname = "br0"\nport = "p1"')
        process = rig.start("--config", file, "--pidfile", str(pid_file), env={"NOTIFY_SOCKET": str(notify)})

        assert manager.recv(100) == b"READY=1"
        assert int(pid_file.read_text()) == process.pid
        assert rig.inband("reload").returncode == 0
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(100) == b"READY=1"
        assert process.stop() == 0
        assert manager.recv(100) == b"STOPPING=1"
        assert not pid_file.exists()


def test_a_version_is_printed_without_a_switch(rig: Rig) -> None:
    done = rig.inband("version")

    assert done.returncode == 0
    assert done.stdout.startswith("inband ")


def test_a_command_without_a_switch_says_where_it_looked(rig: Rig) -> None:
    done = rig.inband("show")

    assert str(rig.run_dir) in one_line(done)


def _command(rig: Rig) -> tuple[str, ...]:
    return (COMMAND, "run", "--run-dir", str(rig.run_dir), "--state-dir", str(rig.state_dir))
