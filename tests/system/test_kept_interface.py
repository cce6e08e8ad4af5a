"""The bridge's own interface stays as it is configured, whatever a person or another program does to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

ADDRESS, ADDRESS6, GATEWAY = "10.0.0.1/24", "fd00::1/64", "10.0.0.11"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("kpt") as lab:
        made = Rig(lab)
        options = ("--port", "p1", "--port", "p2", "--address", ADDRESS, "--address", ADDRESS6, "--gateway", GATEWAY)
        made.start("--bridge", "br0", *options)
        assert until(lambda: "fe80" in made.box.run("ip", "-o", "addr", "show", "dev", "br0", "-tentative"), 5.0)
        yield made


def _state(rig: Rig) -> dict[str, object]:
    addresses = rig.box.run("ip", "-o", "addr", "show", "dev", "br0", check=False)
    links = rig.box.run("ip", "-o", "link")
    return {
        "addresses": {line.split()[3] for line in addresses.splitlines()},
        "route": rig.box.run("ip", "route", "show", "default").split("proto")[0].strip(),
        "routes": [rig.box.run("ip", family, "route", "show", "dev", "br0") for family in ("-4", "-6")],
        "odd": [line for line in links.splitlines() if ": br0" in line and ("NOARP" in line or " master " in line)],
        "mac": rig.box.mac("br0") if ": br0@" in links else None,
        "mtu": [line.split("mtu ")[1].split()[0] for line in links.splitlines() if ": br0" in line],
        "up": [line.split(":")[1].split("@")[0] for line in links.splitlines() if ": br0" in line and ",UP" in line],
    }


THEFTS = {
    "addresses flushed": ("addr flush dev br0",),
    "default route removed": ("route del default",),
    "default route replaced": ("route replace default via 10.0.0.12 dev br0",),
    "another MAC address": ("link set br0 address 02:11:11:11:11:11",),
    "another MTU": ("link set br0 mtu 1300",),
    "inner end down": ("link set br0-in down",),
    "inner end's MTU": ("link set br0-in mtu 1300",),
    "renamed": ("link set br0 down", "link set br0 name mine", "link set mine up"),
    "route to its network removed": ("route del 10.0.0.0/24",),
    "route to its IPv6 network removed": ("route del fd00::/64 dev br0",),
    "all routes removed": ("route flush dev br0",),
    "asks nobody any more": ("link set br0 arp off",),
    "member of another bridge": ("link add lb type bridge", "link set br0 master lb"),
    "inner end a member of another bridge": ("link add lb type bridge", "link set br0-in master lb"),
    "inner end renamed": ("link set br0-in down", "link set br0-in name mine"),
}


@pytest.mark.parametrize("theft", THEFTS)
def test_what_is_taken_comes_back_within_a_second_and_the_log_says_so(rig: Rig, theft: str) -> None:
    before = _state(rig)

    rig.box.ip(*THEFTS[theft])

    assert until(lambda: "taken from it and put back" in rig.log() and _state(rig) == before, 1.0), _state(rig)


def test_a_program_that_insists_is_not_fought_with(rig: Rig) -> None:
    for _ in range(40):
        rig.box.ip("link set br0 mtu 1300")
        until(lambda: _state(rig)["mtu"] == ["1500", "1500"], 0.3)

    assert "too often" in rig.log()
    assert len([line for line in rig.log().splitlines() if "put back" in line]) <= 5


def test_the_mtu_is_the_smallest_of_the_ports(rig: Rig) -> None:
    rig.box.ip("link set p1 mtu 1400")
    assert until(lambda: _state(rig)["mtu"] == ["1400", "1400"], 1.0)

    rig.box.ip("link set p1 mtu 1500")

    assert until(lambda: _state(rig)["mtu"] == ["1500", "1500"], 1.0)
    assert "put back" not in rig.log()


def test_an_interface_that_is_moved_to_another_namespace_is_not_destroyed_and_may_come_back(rig: Rig) -> None:
    before = _state(rig)

    rig.box.ip(f"link set br0 netns {rig.h1.name}")
    assert until(lambda: "moved to another network namespace" in rig.log(), 1.0)
    assert ": br0@" in rig.h1.run("ip", "-o", "link")
    rig.h1.ip(f"link set br0 netns {rig.box.name}")

    assert until(lambda: _state(rig) == before, 2.0), _state(rig)
    assert rig.h1.pings("10.0.0.1") > 0


def test_an_inner_end_that_is_moved_to_another_namespace_is_made_again(rig: Rig) -> None:
    before = _state(rig)
    inner = rig.box.run("ip", "-o", "link", "show", "br0-in").split(":")[0]

    rig.box.ip(f"link set br0-in netns {rig.h2.name}")

    def is_made_again() -> bool:
        links = rig.box.run("ip", "-o", "link")
        return ": br0-in@" in links and not links.startswith(f"{inner}:") and _state(rig) == before

    assert until(is_made_again, 2.0), _state(rig)
    assert "br0-in" not in rig.h2.run("ip", "-o", "link")
    assert until(lambda: "bytes from" in rig.box.run("ping", "-c", "1", "-W", "1", "10.0.0.11", check=False), 3.0)
