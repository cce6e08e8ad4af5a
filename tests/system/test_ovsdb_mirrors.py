"""Mirrors of a real database on both datapaths: a third host sees what two say to each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.controllers import LabController
from lab.frames import arp_request
from lab.journal import until
from lab.wire import Wire
from tests.system.ovsdb_rig import OvsdbRig, with_database

pytestmark = pytest.mark.root

MIRROR = ("--", "--id=@m", "create", "mirror", "name=m0")


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with with_database() as rig:
        yield rig


@pytest.fixture
def watcher(rig: OvsdbRig) -> Wire:
    """A third host, behind p3, and the switch follows."""
    third = rig.lab.namespace("watcher")
    third.sysctl(net__ipv6__conf__default__disable_ipv6=1)
    rig.lab.link(rig.box, "p3", third, "eth0")
    rig.follow()
    return rig.lab.hold(Wire(third, "eth0"))


def bridge(rig: OvsdbRig, kind: str) -> None:
    ports = (word for number in (1, 2, 3) for word in ("--", "add-port", "br0", f"p{number}"))
    rig.vsctl("add-br", "br0", "--", "set", "bridge", "br0", f"datapath_type={kind}", *ports)
    assert until(lambda: rig.h1.pings("10.0.0.12", count=1) == 1, 5.0)


def mirror(rig: OvsdbRig, *columns: str, selecting: str = "select_all=true") -> None:
    rig.vsctl(
        "--", "--id=@out", "get", "port", "p3", "--", "--id=@p1", "get", "port", "p1",
        *MIRROR, "output_port=@out", *([selecting] if selecting else []), *columns,
        "--", "set", "bridge", "br0", "mirrors=@m",
    )  # fmt: skip


def pings_seen(rig: OvsdbRig, watcher: Wire) -> tuple[int, int]:
    """How many requests and answers of three pings the watcher gets."""
    watcher.take(0.2)
    assert rig.h1.pings("10.0.0.12", count=3) == 3
    frames = [frame for frame in watcher.take(0.5) if frame[12:14] == b"\x08\x00" and frame[23] == 1]
    return sum(frame[34] == 8 for frame in frames), sum(frame[34] == 0 for frame in frames)


@pytest.mark.parametrize("kind", ["system", "netdev"])
def test_what_is_selected_is_copied_once_while_the_mirror_is_there(rig: OvsdbRig, watcher: Wire, kind: str) -> None:
    bridge(rig, kind)
    assert pings_seen(rig, watcher) == (0, 0)

    mirror(rig)
    assert pings_seen(rig, watcher) == (3, 3)
    assert pings_seen(rig, watcher) == (3, 3), "from the cache too"
    rig.vsctl("--", "--id=@p1", "get", "port", "p1", "--", "set", "mirror", "m0", "select_all=false",
              "select_src_port=@p1")  # fmt: skip
    assert pings_seen(rig, watcher) == (3, 0)
    rig.vsctl("--", "--id=@p1", "get", "port", "p1", "--", "set", "mirror", "m0", "select_src_port=[]",
              "select_dst_port=@p1")  # fmt: skip
    assert pings_seen(rig, watcher) == (0, 3)

    rig.vsctl("clear", "bridge", "br0", "mirrors")
    assert pings_seen(rig, watcher) == (0, 0)


def test_its_statistics_are_written_and_its_port_takes_nothing(rig: OvsdbRig, watcher: Wire) -> None:
    bridge(rig, "system")
    mirror(rig)
    assert pings_seen(rig, watcher) == (3, 3)

    rig.vsctl("wait-until", "mirror", "m0", "statistics:tx_packets>=6", timeout_s=15)
    assert int(rig.vsctl("--no-wait", "get", "mirror", "m0", "statistics:tx_bytes")) >= 6 * 98
    hears = rig.lab.hold(Wire(rig.h2, "eth0"))
    question = arp_request("02:5f:00:00:00:01", "10.0.0.77", "10.0.0.12")
    watcher.send(question)
    assert question not in hears.take(0.5)


def test_in_band_control_is_copied_and_stays_connected(rig: OvsdbRig, watcher: Wire) -> None:
    LabController(rig.h1, port=6653)
    bridge(rig, "system")
    rig.vsctl("set-fail-mode", "br0", "secure", "--", "set-controller", "br0", "tcp:10.0.0.11:6653")
    rig.vsctl("set", "controller", "br0", "local_ip=10.0.0.2")
    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)
    since = rig.controller()["since"]

    mirror(rig)

    watcher.take(0.2)
    is_copied = until(lambda: any(b"\x19\xfd" in frame[34:38] for frame in watcher.take(0.5)), 10.0)
    assert is_copied, "echo requests go by every five seconds"
    assert rig.controller()["since"] == pytest.approx(since, abs=0.1)


def test_a_mirror_that_cannot_be_had_says_so(rig: OvsdbRig, watcher: Wire) -> None:
    bridge(rig, "system")

    rig.vsctl(*MIRROR, "output_vlan=30", "select_all=true", "--", "set", "bridge", "br0", "mirrors=@m")

    assert "mirror m0: output_vlan is not supported" in rig.column("bridge", "br0", "status:error")
    assert pings_seen(rig, watcher) == (0, 0)
