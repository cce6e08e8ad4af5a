"""Changes that can cut an operator off: refused, undone unless confirmed, or made without cutting."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.journal import until
from lab.net import Lab
from lab.process import Process
from lab.topology import dhcp_server
from tests.system.switch_rig import Rig, one_line

pytestmark = pytest.mark.root

FILE = '[[bridge]]\nname = "br0"\nport = ["p1", "p2"]\naddress = "10.0.0.1/24"\n'


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("kpt") as lab:
        yield Rig(lab)


def _addresses(rig: Rig, interface: str) -> set[str]:
    return {line.split()[3] for line in rig.box.run("ip", "-o", "-4", "addr", "show", interface).splitlines()}


def test_a_reload_that_is_not_confirmed_is_undone(rig: Rig) -> None:
    path = rig.config(FILE)
    rig.start("--config", path)
    rig.config(FILE.replace('"p1", "p2"', '"p2"').replace("10.0.0.1", "10.9.9.9"))

    rig.call("inband/reload", "--confirm=1")
    assert rig.ports() == {"p2": 2}

    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 3.0)
    assert _addresses(rig, "br0") == {"10.0.0.1/24"}
    assert "too late" in rig.refusal("inband/confirm")


def test_a_crash_undoes_what_is_not_confirmed_and_the_file_is_not_followed(rig: Rig) -> None:
    path = rig.config(FILE)
    process = rig.start("--config", path)
    rig.config(FILE.replace('"p1", "p2"', '"p2"'))
    rig.call("inband/reload", "--confirm=60")

    process.kill9()
    rig.start("--config", path)
    assert rig.ports() == {"p1": 1, "p2": 2}
    assert "not confirmed" in rig.log()
    rig.process.stop() if rig.process else None
    rig.start("--config", path)
    assert rig.ports() == {"p1": 1, "p2": 2}

    rig.call("inband/reload")
    assert rig.ports() == {"p2": 2}


def test_a_confirmed_change_stays_and_a_second_confirmation_is_refused(rig: Rig) -> None:
    rig.start("--bridge", "br0", "--port", "p1")

    rig.call("inband/add-port", "--confirm=1", "br0", "p2")
    assert "not confirmed yet" in rig.refusal("inband/set", "br0", "queue=1")
    rig.call("inband/confirm")

    assert not until(lambda: rig.ports() != {"p1": 1, "p2": 2}, 1.5)
    assert "already" in rig.refusal("inband/confirm")


def test_a_change_that_is_refused_leaves_nothing_to_confirm(rig: Rig) -> None:
    rig.start("--bridge", "br0", "--port", "p1")

    rig.refusal("inband/add-port", "--confirm=5", "br0", "lo")

    assert "no change waits" in rig.refusal("inband/confirm")


def test_a_change_that_would_cut_its_own_session_is_refused(rig: Rig) -> None:
    rig.start("--bridge", "br0", "--port", "p1", "--address", "10.0.0.1/24")
    session = "--session=10.0.0.11 5000 10.0.0.1 22"

    assert "10.0.0.1" in rig.refusal("inband/set", session, "br0", "address=10.0.0.2/24")
    assert "br0" in rig.refusal("inband/del-bridge", session, "br0")
    rig.call("inband/set", session, "br0", "queue=1")
    rig.call("inband/set", "--force", session, "br0", "address=10.0.0.2/24")


def test_an_interface_with_an_address_is_no_port_unless_adopted_or_forced(rig: Rig) -> None:
    rig.box.ip("addr add 10.0.0.1/24 dev p1")
    done = rig.inband("run", "--run-dir", str(rig.run_dir), "--bridge", "br0", "--port", "p1")
    assert "inband adopt br0 p1" in one_line(done)
    rig.start("--bridge", "br0", "--port", "p2")

    assert "--force" in rig.refusal("inband/add-port", "br0", "p1")
    rig.call("inband/add-port", "--force", "br0", "p1")

    assert rig.ports() == {"p2": 1, "p1": 2}


def test_addresses_and_routes_are_adopted_without_loss_and_come_back(rig: Rig) -> None:
    rig.box.ip("addr add 10.0.0.1/24 dev p1", "route add default via 10.0.0.11", "route add 10.9.0.0/16 via 10.0.0.11")
    process = rig.start("--bridge", "br0")
    ping = rig.h1.start("ping", "-i", "0.01", "-c", "200", "10.0.0.1", label="ping")

    rig.call("inband/adopt", "br0", "p1")
    assert _addresses(rig, "br0") == {"10.0.0.1/24"}
    assert _addresses(rig, "p1") == set()
    assert rig.box.run("ip", "route").count("dev br0") == 3
    rig.call("inband/release", "br0", "p1")
    assert _addresses(rig, "p1") == {"10.0.0.1/24"}
    rig.call("inband/adopt", "br0", "p1")

    assert until(lambda: not ping.is_running, 5.0)
    lost = 200 - int(ping.log.read_text().split(" received")[0].split()[-1])
    assert lost <= 20  # 0.2 s
    assert process.stop() == 0
    assert _addresses(rig, "p1") == {"10.0.0.1/24"}
    assert "via 10.0.0.11 dev p1" in rig.box.run("ip", "route", "show", "default")


def _lease(rig: Rig, lifetime: str) -> tuple[Process, Process]:
    """Have the system get a lease for p1 from h1, with a default route; returns server and client."""
    server = dhcp_server(rig.h1, "eth0", "10.0.0.50,10.0.0.50", "10.0.0.11")
    script = rig.lab.folder / "script"
    commands = f"ip addr replace $ip/24 dev $interface {lifetime}; ip route replace default via 10.0.0.11 metric 100"
    script.write_text(f'#!/bin/sh\n[ "$1" != bound ] || {{ {commands}; }}\n')
    script.chmod(0o755)
    client = rig.box.start("udhcpc", "-f", "-i", "p1", "-s", str(script), label="client")
    assert until(lambda: "via 10.0.0.11" in rig.box.run("ip", "route"), 10.0), client.tail()
    return server, client


LIFETIMES = pytest.mark.parametrize("lifetime", ["valid_lft 120 preferred_lft 120", ""], ids=["lifetime", "for ever"])


@LIFETIMES
def test_a_lease_is_adopted_with_its_address_and_its_sessions_and_the_bridge_renews_it(rig: Rig, lifetime: str) -> None:
    _, client = _lease(rig, lifetime)
    rig.start("--bridge", "br0", "--fail-mode", "standalone")
    session = Session(rig, "10.0.0.50")

    rig.call("inband/adopt", "br0", "p1")

    assert session.longest_s() < 1.0
    assert until(lambda: not client.is_running, 2.0)
    assert _addresses(rig, "br0") == {"10.0.0.50/24"}
    assert _addresses(rig, "p1") == set()
    assert until(lambda: "valid_lft forever" not in rig.box.run("ip", "-4", "addr", "show", "br0"), 10.0)
    rig.call("inband/release", "br0", "p1")
    assert _addresses(rig, "p1") == {"10.0.0.50/24"}


@LIFETIMES
def test_a_lease_that_the_file_has_adopted_is_renewed_also_after_a_crash_and_a_restart(rig: Rig, lifetime: str) -> None:
    server, client = _lease(rig, lifetime)
    path = rig.config('[[bridge]]\nname = "br0"\nport = "p1"\nadopt = "p1"\nfail-mode = "standalone"\n')

    def is_renewed_by_the_next_start() -> bool:
        before = server.tail(5000).count("DHCPACK")
        rig.start("--config", path)
        is_given = until(lambda: server.tail(5000).count("DHCPACK") > before, 10.0)
        return is_given and until(lambda: "dynamic" in rig.box.run("ip", "addr", "show", "br0"), 5.0)

    assert is_renewed_by_the_next_start()
    assert until(lambda: not client.is_running, 2.0)
    assert rig.process is not None
    rig.process.kill9()
    assert is_renewed_by_the_next_start()
    rig.process.stop()
    assert is_renewed_by_the_next_start()
    assert _addresses(rig, "br0") == {"10.0.0.50/24"}
    assert rig.box.run("ip", "route", "show", "default").count("via") == 1


@pytest.mark.parametrize("metric", ["", "metric 100"])
def test_an_adopted_default_route_stays_one_whatever_its_metric(rig: Rig, metric: str) -> None:
    def defaults() -> list[str]:
        return [
            line.split(" dev ")[1].split()[0] for line in rig.box.run("ip", "route", "show", "default").splitlines()
        ]

    rig.box.ip("addr add 10.0.0.1/24 dev p1", f"route add default via 10.0.0.11 {metric}")
    process = rig.start("--bridge", "br0", "--fail-mode", "standalone")
    rig.call("inband/adopt", "br0", "p1")
    rig.call("inband/set", "br0", "queue=1")

    assert not until(lambda: defaults() != ["br0"], 0.5)
    assert process.stop() == 0
    assert defaults() == ["p1"]
    path = rig.config(
        '[[bridge]]\nname = "br0"\nport = "p1"\nadopt = "p1"\naddress = "10.0.0.1/24"\ngateway = "10.0.0.11"\n'
    )
    rig.start("--config", path)
    assert not until(lambda: defaults() != ["br0"], 0.5)


def test_an_ipv6_session_over_an_adopted_interface_lives_on(rig: Rig) -> None:
    for place, interface, address in ((rig.box, "p1", "fd00:a::1"), (rig.h1, "eth0", "fd00:a::11")):
        place.ip(f"addr add {address}/64 dev {interface} nodad")
    rig.box.ip("route add default via fd00:a::11")
    rig.start("--bridge", "br0", "--fail-mode", "standalone")
    session = Session(rig, "fd00:a::1")

    rig.call("inband/adopt", "br0", "p1")
    rig.call("inband/release", "br0", "p1")
    rig.call("inband/adopt", "br0", "p1")

    assert session.longest_s() < 1.0
    assert "fd00:a::1/64" in rig.box.run("ip", "-6", "addr", "show", "br0")
    assert "via fd00:a::11 dev br0" in rig.box.run("ip", "-6", "route", "show", "default")


class Session:
    """A TCP session from h1 into the box, a thousand messages a second for three seconds."""

    def __init__(self, rig: Rig, address: str) -> None:
        words = (sys.executable, "-m", "lab.messages_per_ms")
        rig.box.start(*words, "serve", address, "7000", label="serve")
        assert until(lambda: ":7000" in rig.box.run("ss", "-lntH"), 20.0)
        self._calling = rig.h1.start(*words, "call", address, "7000", "3", label="call")
        assert until(lambda: ":7000" in rig.h1.run("ss", "-ntH"), 20.0)

    def longest_s(self) -> float:
        """How long the slowest answer took; all have come."""
        self._calling.wait(15.0)
        sent, answered, longest = self._calling.log.read_text().split()
        assert sent == answered
        return float(longest)


@pytest.mark.parametrize("how", ["renamed", "given later", "unplugged and back"])
def test_a_port_that_appears_late_with_an_address_is_said_once_with_the_way_on(rig: Rig, how: str) -> None:
    path = rig.config('[[bridge]]\nname = "br0"\nport = ["p1", "late"]\n')
    if how == "given later":
        rig.box.ip("link set p2 down", "link set p2 name late")
    rig.start("--config", path)

    if how == "unplugged and back":
        rig.box.ip("link del p2")
        rig.lab.link(rig.box, "late", rig.lab.namespace("h3"), "eth0")
    elif how == "renamed":
        rig.box.ip("addr add 10.5.0.1/24 dev p2", "link set p2 down", "link set p2 name late")
    if how != "renamed":
        assert until(lambda: "late" in rig.ports(), 2.0)
        rig.box.ip("addr add 10.5.0.1/24 dev late")

    assert until(lambda: "port late has 10.5.0.1" in rig.log(), 2.0)
    assert rig.log().count("inband adopt br0 late") == 1


def test_a_card_that_is_adopted_and_appears_late_with_an_address_is_taken_over(rig: Rig) -> None:
    rig.start("--config", rig.config('[[bridge]]\nname = "br0"\nport = ["p1", "late"]\nadopt = "late"\n'))

    rig.box.ip("addr add 10.5.0.1/24 dev p2", "link set p2 down", "link set p2 name late")

    assert until(lambda: _addresses(rig, "br0") == {"10.5.0.1/24"}, 2.0)
    assert "has no effect" not in rig.log()


def test_what_the_system_gives_an_adopted_interface_later_is_taken_over_too(rig: Rig) -> None:
    path = rig.config('[[bridge]]\nname = "br0"\nport = "p1"\nadopt = "p1"\n')
    rig.start("--config", path)

    rig.box.ip("addr add 10.0.0.1/24 dev p1")

    assert until(lambda: _addresses(rig, "br0") == {"10.0.0.1/24"}, 2.0)
    assert _addresses(rig, "p1") == set()
    assert rig.h1.pings("10.0.0.1") == 3


def test_an_adoption_that_is_not_configured_is_given_back_after_a_crash(rig: Rig) -> None:
    rig.box.ip("addr add 10.0.0.1/24 dev p1", "route add default via 10.0.0.11")
    process = rig.start("--bridge", "br0")
    rig.call("inband/adopt", "br0", "p1")

    process.kill9()
    rig.start("--bridge", "br0")

    assert _addresses(rig, "p1") == {"10.0.0.1/24"}
    assert rig.h1.pings("10.0.0.1") == 3


NOT_ADOPTED = {
    "a port": ("already", ("br0", "p2")),
    "no address": ("no address", ("br0", "p1")),
    "no interface": ("no interface", ("br0", "none")),
    "no bridge": ("br9", ("br9", "p1")),
}


@pytest.mark.parametrize("what", NOT_ADOPTED)
def test_what_cannot_be_adopted_is_refused_and_nothing_changes(rig: Rig, what: str) -> None:
    words, arguments = NOT_ADOPTED[what]
    rig.start("--bridge", "br0", "--port", "p2")
    before = rig.settled_state()

    assert words in rig.refusal("inband/adopt", *arguments)

    assert rig.settled_state() == before


def test_check_says_what_would_be_and_does_nothing(rig: Rig) -> None:
    rig.box.ip("addr add 10.0.0.1/24 dev p1")
    path = rig.config('[[bridge]]\nname = "br0"\nport = ["p1", "nowhere"]\n')

    done = rig.inband("check", path)

    assert done.returncode == 1
    assert "10.0.0.1/24" in done.stdout
    assert "nowhere" in done.stdout
    assert "br0" not in json.dumps(rig.box.run("ip", "-o", "link"))


def test_health_has_an_exit_code_for_monitoring(rig: Rig) -> None:
    def health() -> subprocess.CompletedProcess[str]:
        return rig.inband("health")

    assert health().returncode == 2
    rig.start("--bridge", "br0", "--port", "p1")
    assert health().returncode == 0
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.99")
    assert health().returncode == 2
