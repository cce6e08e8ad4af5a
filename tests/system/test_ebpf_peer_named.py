"""Flows and buckets that name a port skip it too, where the frame is for a host behind it.

A host that listens to what is for others goes on hearing that it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from inband.flow.actions import DatapathAction, Output, PopVlan, SetField, SetQueue
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.fdb import FdbKey
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.vocabulary.addresses import BROADCAST, Mac
from lab.journal import until
from lab.net import Lab
from lab.process import limited
from tests.packets.columns import PATIENCE_S
from tests.system.peer_rig import (
    NOWHERE,
    P1,
    P2,
    SHORT,
    Row,
    flow,
    inside,
    learned,
    ofctl,
    pings,
    rig_of,
    row_of,
    say,
    ways,
)
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root


# A whole switch


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rig_of() as standing:
        yield standing


GROUPS = {
    "select": "group_id=1,type=select,bucket=output:2,bucket=output:2",
    "fast failover": "group_id=1,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:1,output:in_port",
}


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_a_bucket_that_names_the_port_of_the_host_skips_it(rig: Rig, group: str) -> None:
    ofctl(rig, "add-group", group)
    flow(rig, "priority=10,in_port=1,actions=group:1")

    assert pings(rig) == SHORT


@pytest.mark.parametrize(
    "actions", ["output:2", "meter:1,output:2", "push_vlan:0x8100,set_field:4101->vlan_vid,pop_vlan,output:2"]
)
def test_a_flow_that_names_the_port_of_the_host_skips_it(rig: Rig, actions: str) -> None:
    ofctl(rig, "add-meter", "meter=1,kbps,band=type=drop,rate=1000000")
    flow(rig, f"priority=10,in_port=1,actions={actions}")

    assert pings(rig) == SHORT


def test_a_flow_that_copies_or_names_a_queue_does_not(rig: Rig) -> None:
    for actions in ("output:2,output:2", "set_queue:1,output:2", "output:in_port,output:2"):
        flow(rig, f"priority=10,in_port=1,actions={actions}")

        count, through_the_port = ways(rig, lambda: rig.h1.pings("10.0.0.12", count=5, wait_s=0.1))

        assert count == through_the_port >= 5, actions


def test_a_port_is_skipped_on_the_way_to_an_address_that_was_learned_there_until_it_moves(rig: Rig) -> None:
    rig.h1.ip(f"neigh replace 10.0.0.99 lladdr {NOWHERE} dev eth0 nud permanent")
    flow(rig, "priority=10,ip,in_port=1,actions=output:2")

    def send() -> None:
        rig.h1.pings("10.0.0.99", count=5, wait_s=0.1)

    assert ways(rig, send) == (5, 5)
    say(rig.h2, "eth0", NOWHERE)
    assert until(lambda: learned(rig, NOWHERE, 2), PATIENCE_S)
    assert ways(rig, send) == (5, 0)
    say(rig.h1, "eth0", NOWHERE)
    assert until(lambda: learned(rig, NOWHERE, 1), PATIENCE_S)
    assert ways(rig, send) == (5, 5)


def test_no_port_is_skipped_on_the_way_to_an_address_that_the_host_had_before(rig: Rig) -> None:
    flow(rig, "priority=10,in_port=1,actions=output:2")
    flow(rig, "priority=10,in_port=2,actions=output:1")
    rig.call("fdb/flush", "br0")  # and NORMAL learns nothing any more
    assert pings(rig) == SHORT

    rig.h2.ip("link set eth0 down", f"link set eth0 address {NOWHERE}", "link set eth0 up")

    def goes_through_the_port() -> bool:
        return ways(rig, lambda: rig.h1.pings("10.0.0.12", count=5, wait_s=0.1)) == (5, 5)

    assert until(goes_through_the_port, PATIENCE_S)


# The datapath by itself


HOST, OTHER = Mac.parse("02:00:00:00:00:77"), Mac.parse("02:00:00:00:00:78")


def to(address: Mac, vlan: int | None = None) -> Frame:
    data = packets.ethernet(0x88B5, bytes(60), dst=str(address))
    return Frame(data if vlan is None else packets.vlan(data, vlan))


@pytest.fixture
def named() -> Iterator[Row]:
    """A switch with one flow that names port 2, behind which is HOST; NORMAL knows nothing."""
    with row_of(1) as row:
        with inside(row.switches[0]):
            row.host.ip(f"link set p1 address {HOST}")
            row.datapaths[0].look_at_interface(None)
        decide(row, Output(P2))
        yield row


def decide(row: Row, *actions: DatapathAction) -> None:
    """What becomes of frames from port 1."""
    install(row.datapaths[0], megaflow_of(Match.of(in_port=1), actions))


def skips(row: Row, frame: Frame) -> bool:
    """Whether a frame skips port 2; it is for the host then."""
    before = row.through_ports()[0]
    row.send(frame)
    is_for_host = row.taken()[1]
    passed = row.through_ports()[0] - before
    assert passed or is_for_host
    return not passed


TO_HOST, TO_OTHER = SetField("eth_dst", int(HOST)), SetField("eth_dst", int(OTHER))
WRITTEN: dict[str, tuple[tuple[DatapathAction, ...], Frame, bool]] = {
    "as it came": ((), to(HOST), True),
    "for another": ((), to(OTHER), False),
    "for all": ((), to(BROADCAST), False),
    "for nobody": ((), to(Mac(0)), False),
    "written": ((TO_HOST,), to(OTHER), True),
    "written over": ((TO_OTHER,), to(HOST), False),
    "in a VLAN": ((), to(HOST, 5), True),
    "out of a VLAN": ((PopVlan(),), to(HOST, 5), True),
    "with a queue": ((SetQueue(1),), to(HOST), False),
    "with a queue, written": ((TO_HOST, SetQueue(1)), to(OTHER), False),
    "a copy": ((Output(P2),), to(HOST), False),
    "a copy to a port that is not there": ((Output(PortNo(9)),), to(HOST), False),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_frame_for_the_host_at_the_other_end_skips_a_port_that_a_flow_names(named: Row, name: str) -> None:
    before, frame, expected = WRITTEN[name]
    decide(named, *before, Output(P2))

    assert skips(named, frame) == expected


PLACES = {
    "there": ((0, P2), to(OTHER), True),
    "elsewhere": ((0, P1), to(OTHER), False),
    "nowhere": ((0, None), to(OTHER), False),
    "in another VLAN": ((5, P2), to(OTHER), False),
    "in its VLAN": ((5, P2), to(OTHER, 5), True),
    "in no VLAN": ((0, P2), to(OTHER, 5), False),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_frame_for_an_address_that_was_learned_at_the_port_skips_it_too(named: Row, name: str) -> None:
    (vlan, port), frame, expected = PLACES[name]
    named.datapaths[0].rules.stations.put({FdbKey(vlan, OTHER): P2}, ())

    named.datapaths[0].rules.stations.put({FdbKey(0, OTHER): None, FdbKey(vlan, OTHER): port}, ())

    assert skips(named, frame) == expected


def test_a_listener_at_the_port_is_told_that_frames_are_for_others(named: Row) -> None:
    named.send(to(OTHER))

    assert named.taken() == (to(OTHER), False)


def test_what_a_flow_names_skips_no_port_that_may_not_be_skipped(named: Row) -> None:
    with inside(named.switches[0]):
        named.datapaths[0].set_peer_redirect(allowed=False)

    assert not skips(named, to(HOST))


def test_what_skipped_a_port_does_not_skip_one_that_a_flow_names() -> None:
    with row_of(2) as row:
        row.host.ip(f"link set p1 address {HOST}")
        with inside(row.switches[1]):
            row.datapaths[1].look_at_interface(None)
        install(row.datapaths[1], megaflow_of(Match.of(in_port=1), (Output(P2),)))

        for _ in range(3):
            row.send(to(HOST))
            assert row.taken()[0] == to(HOST)

        assert row.through_ports() == [0, 3]


# Who may not ask for everything


@pytest.mark.parametrize(("capabilities", "told"), [("+net_admin", HOST), ("-net_admin", BROADCAST)])
def test_a_peer_that_may_not_be_asked_for_has_no_address(capabilities: str, told: Mac) -> None:
    asking = "import socket; from inband.datapath.ebpf.peer import peer_to_skip_to as ask"
    with Lab("ih") as lab:
        switch, host = lab.namespace("s0"), lab.namespace("right")
        lab.link(switch, "p2", host, "p1")
        host.ip(f"link set p1 address {HOST}")

        command = [
            *limited(capabilities),
            sys.executable,
            "-c",
            f"{asking}; print(ask('p2', socket.if_nametoindex('p2')))",
        ]

        assert switch.run(*command).strip() == str(told)
