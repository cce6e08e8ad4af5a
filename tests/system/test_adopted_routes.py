"""Routes that are not the usual ones, on an interface that is adopted and released: none is lost, none is made up."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

ADDRESS = "addr add 10.0.0.1/24 dev p1"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("adr") as lab:
        yield Rig(lab)


def _routes(rig: Rig) -> set[str]:
    shown = rig.box.run("ip", "-4", "route", "show", "table", "all") + rig.box.run("ip", "-6", "route", "show")
    lines = (line.split("pref ")[0].strip() for line in shown.replace("\n\t", " ").splitlines())
    return {line for line in lines if "local" not in line and "fe80" not in line}


ROUTES = {
    "several next hops": (
        ADDRESS,
        "route add default nexthop via 10.0.0.11 dev p1 weight 2 nexthop via 10.0.0.12 dev p1 weight 1",
    ),
    "several next hops, IPv6": (
        "addr add fd00::1/64 dev p1 nodad",
        "route add fd09::/64 nexthop via fd00::11 dev p1 weight 2 nexthop via fd00::12 dev p1 weight 1",
    ),
    "another table": (ADDRESS, "route add default via 10.0.0.11 table 100", "rule add from 10.0.0.1 lookup 100"),
    "a metric to its own network": (
        "addr add 10.0.0.1/24 dev p1 noprefixroute",
        "route add 10.0.0.0/24 dev p1 metric 100",
    ),
}


@pytest.mark.parametrize("which", ROUTES)
def test_routes_lead_by_the_bridge_and_then_by_the_interface_again(rig: Rig, which: str) -> None:
    rig.box.ip(*ROUTES[which])
    before = _routes(rig)
    rig.start("--bridge", "br0")

    rig.call("inband/adopt", "br0", "p1")
    time.sleep(0.3)  # longer than what is missing stays away
    adopted = _routes(rig)
    rig.call("inband/release", "br0", "p1")
    time.sleep(0.3)

    assert adopted == {line.replace(" dev p1", " dev br0") for line in before}
    assert _routes(rig) == before
    assert "put back" not in rig.log()


def test_a_route_through_a_nexthop_object_is_said_and_nothing_changes(rig: Rig) -> None:
    rig.box.ip(ADDRESS, "nexthop add id 7 via 10.0.0.11 dev p1", "route add default nhid 7")
    before = _routes(rig)
    rig.start("--bridge", "br0")

    assert "nexthop objects" in rig.refusal("inband/adopt", "br0", "p1")
    assert _routes(rig) == before
