"""What strangers may do to a switch: those who hold its places, those who share its machine, and those who are mute.

None of it may keep the switch from starting, lock anybody out, or pass without a word.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Iterator

import pytest

from lab import messages as of
from lab.certificates import Authority
from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab, run
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

PLAIN = ("--bridge", "br0", "--port", "p1", "--port", "p2")
NOBODY = 65534
BOUND_S = 10.0
"""Until a process of the laboratory is ready."""
TOLD_S = 15.0
"""Within what time something that does not work is to be in the log."""


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab() as lab:
        yield Rig(lab)


# --- who shares the machine -------------------------------------------------------------------------------------------

SQUAT = (
    "import socket, time; s = socket.socket(socket.AF_UNIX);"
    "s.bind('\\0inband/interface/' + '{interface}'); s.listen(); print('bound', flush=True); time.sleep(600)"
)


@pytest.mark.parametrize("interface", ["br0", "p1"])
def test_another_user_cannot_keep_a_switch_from_starting(rig: Rig, interface: str) -> None:
    user = ("setpriv", "--reuid", f"{NOBODY}", "--regid", f"{NOBODY}", "--clear-groups")
    squatter = rig.box.start(*user, sys.executable, "-c", SQUAT.format(interface=interface), label="squatter")
    assert until(lambda: "bound" in squatter.tail(), BOUND_S), squatter.tail()

    process = rig.start(*PLAIN)

    assert rig.ports() == {"p1": 1, "p2": 2}
    assert process.stop() == 0


@pytest.mark.parametrize("limit", [10, 20, 32, 64, 255])
def test_too_few_descriptors_are_explained_in_a_line_and_leave_nothing_behind(rig: Rig, limit: int) -> None:
    options = ("--run-dir", str(rig.run_dir), "--bridge", "br0", "--port", "p1")
    rig.run_dir.mkdir(mode=0o700)
    before = rig.state()

    said = rig.box.run("timeout", "3", "prlimit", f"--nofile={limit}", COMMAND, "run", *options, check=False)

    (line,) = said.splitlines()
    assert f"{limit} open files" in line
    assert rig.state() == before


def test_the_switchs_end_of_the_bridges_own_interface_is_set_up_again(rig: Rig) -> None:
    process = rig.start(*PLAIN, "--address", "10.0.0.1/24")
    assert rig.h1.pings("10.0.0.1") > 0

    rig.box.ip("link set br0-in down")

    assert until(lambda: rig.h1.pings("10.0.0.1", count=1) == 1, 5.0), rig.box.run("ip", "-o", "link")
    assert process.stop() == 0


# --- who answers DHCP -------------------------------------------------------------------------------------------------

BAD_ROUTES = ("127.0.0.0/8", "127.0.0.53/32", "224.0.0.0/4", "255.255.255.255/32", "10.0.0.11/32")
"""The machine's own addresses, no addresses of hosts at all, and the controller's, which is on the same network."""


def test_routes_of_a_lease_that_lead_the_machines_or_the_controllers_own_address_away_are_left_out(rig: Rig) -> None:
    bad = ",".join(f"{destination},10.0.0.66" for destination in BAD_ROUTES)
    rig.h1.start(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--pid-file=",
        "--dhcp-range=10.0.0.50,10.0.0.60,255.255.255.0,2m", "--dhcp-authoritative", "--no-ping", "--user=root",
        f"--dhcp-leasefile={rig.lab.folder}/leases", f"--dhcp-option=121,{bad},10.77.0.0/16,10.0.0.11",
    )  # fmt: skip
    process = rig.start(*PLAIN, "--address", "dhcp", "--controller", "tcp:10.0.0.11")

    def routes() -> list[str]:
        return rig.box.run("ip", "-4", "route", "show", "proto", "dhcp").splitlines()

    assert until(lambda: any(line.startswith("10.77.0.0/16 via 10.0.0.11") for line in routes()), 15.0), rig.log()
    assert len(routes()) == 1, routes()
    assert process.stop() == 0


# --- who calls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["ptcp:6700", "pssl:6700"])
def test_a_place_without_an_address_is_loopbacks_or_named_in_a_warning(rig: Rig, place: str) -> None:
    process = rig.start(*PLAIN, *_tls_options(rig, Authority(rig.lab.folder, "good"), place))

    heard = [line.split()[3] for line in rig.box.run("ss", "-lntH").splitlines() if ":6700" in line]
    is_private = bool(heard) and all(each.startswith(("127.0.0.1", "[::1]")) for each in heard)
    assert is_private or any("WARNING" in line and place in line for line in rig.log().splitlines()), heard
    assert process.stop() == 0


HANG_UP = """
import socket, sys
for _ in range(64):
    socket.create_connection(("127.0.0.1", 6005), timeout=3).close()
"""
SPEAK_RUBBISH = """
import contextlib, socket
for _ in range(200):
    with socket.create_connection(("127.0.0.1", 6005), timeout=3) as s, contextlib.suppress(OSError):
        s.sendall(b"rubbish" * 10)
        s.recv(100)
"""


@pytest.mark.parametrize("strangers", [HANG_UP, SPEAK_RUBBISH])
def test_handshakes_that_fail_give_their_places_back(rig: Rig, strangers: str) -> None:
    authority = Authority(rig.lab.folder, "good")
    rig.start(*PLAIN, *_tls_options(rig, authority, "pssl:6005:127.0.0.1"))
    client = authority.issue("client")
    files = ("-p", str(client.key), "-c", str(client.certificate), "-C", str(authority.ca))

    rig.box.run(sys.executable, "-c", strangers)

    command = ("timeout", "5", "ovs-ofctl", *files, "-O", "OpenFlow13", "show", "ssl:127.0.0.1:6005")
    assert until(lambda: "p1" in rig.box.run(*command, check=False), 8.0)


def test_handshakes_that_fail_are_told_with_who_it_was_and_not_each_of_them(rig: Rig) -> None:
    rig.start(*PLAIN, *_tls_options(rig, Authority(rig.lab.folder, "good"), "pssl:6005:127.0.0.1"))
    before = len(rig.log().splitlines())

    rig.box.run(sys.executable, "-c", SPEAK_RUBBISH)

    def told() -> list[str]:
        return rig.log().splitlines()[before:]

    assert until(lambda: any("6005" in line and "127.0.0.1:" in line and "TLS" in line for line in told()), 3.0), told()
    assert len(told()) < 20


def _tls_options(rig: Rig, authority: Authority, place: str) -> tuple[str, str]:
    """The options for a place to listen at, with TLS files in a configuration file."""
    own = authority.issue("switch")
    text = (
        f'[[bridge]]\nname = "br0"\ncontroller = "{place}"\n'
        f'private-key = "{own.key}"\ncertificate = "{own.certificate}"\nca-cert = "{authority.ca}"\n'
    )
    return "--config", rig.config(text)


SLOW = {
    "a HELLO byte by byte": (b"", struct.pack("!BBH", of.V13, of.HELLO, 0xFFFF) + bytes(100)),
    "a message byte by byte after HELLO": (of.hello(of.V13), of.message(of.V13, of.FLOW_MOD, 3, bytes(60_000))),
}
"""Said at once, then a byte at a time."""


@pytest.mark.parametrize("how", SLOW)
def test_slow_senders_do_not_hold_their_places(rig: Rig, how: str) -> None:
    at_once, slowly = SLOW[how]
    rig.start(*PLAIN)
    rig.call("inband/set", "br0", "inactivity-probe=1")
    management = f"{rig.run_dir}/br0.mgmt"
    with contextlib.ExitStack() as crowd:
        senders = [crowd.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(64)]
        for each in senders:
            each.connect(management)
            each.sendall(at_once)

        end = time.monotonic() + 6.0
        for byte in slowly:
            for each in senders:
                with contextlib.suppress(OSError):
                    each.send(bytes((byte,)))
            time.sleep(0.3)
            if time.monotonic() > end:
                break

        assert "p1" in run("ovs-ofctl", "-O", "OpenFlow13", "show", f"unix:{management}", check=False)


# --- who is mute ------------------------------------------------------------------------------------------------------

ACCEPT = (
    "import socket, time; s = socket.create_server(('10.0.0.11', 6653)); print('bound', flush=True); time.sleep(99)"
)


@pytest.mark.parametrize("how", ["nobody has the address", "SYNs vanish", "nothing listens", "HELLO never comes"])
def test_a_controller_that_is_not_reached_is_told_with_the_reason_and_not_each_time(rig: Rig, how: str) -> None:
    process = rig.start(*PLAIN, "--address", "10.0.0.1/24")
    before = len(rig.log().splitlines())
    address = "10.0.0.11"
    if how == "nobody has the address":
        address = "10.0.0.77"
    elif how == "SYNs vanish":
        address = "10.0.0.66"
        rig.box.ip(f"neigh replace {address} lladdr 02:00:00:00:00:66 dev br0 nud permanent")
    elif how == "HELLO never comes":
        server = rig.h1.start(sys.executable, "-c", ACCEPT, label="mute")
        assert until(lambda: "bound" in server.tail(), BOUND_S)

    rig.call("inband/set-controller", "br0", f"tcp:{address}:6653")

    def told() -> list[str]:
        return [line for line in rig.log().splitlines()[before:] if f"tcp:{address}:6653" in line]

    assert until(lambda: bool(told()), TOLD_S), rig.controller()
    assert len(told()) < 10
    assert process.stop() == 0
