"""Four switches in a row follow one cluster of three ovsdb-servers, each by a relay that is reached through the others.

The file says how a switch begins (ports, address, whom to protect); everything else comes from the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.controllers import LabController
from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab, Namespace
from lab.ovsdb import Cluster, start_relay
from lab.process import Process

pytestmark = pytest.mark.root
SWITCHES = 4
CENTRE = "10.0.0.1"


@dataclass
class Row:
    """The machines, the cluster in ``centre``, and the switches' processes."""

    centre: Namespace
    machines: list[Namespace]
    cluster: Cluster
    processes: list[Process]


def _ports(number: int) -> list[str]:
    """The interfaces of a machine: to the left, and to the right unless it is the last."""
    return [f"l{number}", *([f"r{number}"] if number < SWITCHES else [])]


def _start(machine: Namespace, number: int, relay: str, cluster: Cluster) -> Process:
    options = ["--bridge", f"br{number}", "--address", f"10.0.0.1{number}/24", "--fail-mode", "secure"]
    options += [word for port in _ports(number) for word in ("--port", port)]
    options += [word for remote in cluster.remotes for word in ("--manager", remote)]
    folder = machine.lab.folder / machine.short
    options += ["--run-dir", f"{folder}/run", "--state-dir", f"{folder}/state", "--ovsdb", f"{relay},name=s{number}"]
    folder.mkdir(exist_ok=True)
    return machine.start(COMMAND, "run", *options, label="inband")


@pytest.fixture
def row() -> Iterator[Row]:
    with Lab("ovx") as lab:
        centre = lab.namespace("centre")
        machines = [lab.namespace(f"s{number}") for number in range(1, SWITCHES + 1)]
        left, end = centre, "eth0"
        for number, machine in enumerate(machines, 1):
            lab.link(left, end, machine, f"l{number}")
            left, end = machine, f"r{number}"
        centre.address("eth0", f"{CENTRE}/24")
        cluster = Cluster(lab, centre, CENTRE)
        cluster.start()
        relays = [start_relay(machine, cluster) for machine in machines]
        starts = zip(machines, range(1, SWITCHES + 1), relays, strict=True)
        yield Row(centre, machines, cluster, [_start(*each, cluster) for each in starts])


def _configure(row: Row) -> None:
    for number in range(1, SWITCHES + 1):
        words = ["add-br", f"br{number}", "--", "set", "bridge", f"br{number}", "fail_mode=secure"]
        words += [f"other_config:inband-switch=s{number}"]
        for port in _ports(number):
            words += ["--", "add-port", f"br{number}", port]
        row.cluster.vsctl("--no-wait", *words, "--", "set-controller", f"br{number}", f"tcp:{CENTRE}:6653")


def _connected(row: Row) -> int:
    """How many controllers the database says are connected."""
    return row.cluster.vsctl("--no-wait", "--bare", "--columns=is_connected", "list", "controller").count("true")


def _words(row: Row) -> str:
    """What the switches and the database say, for a failure."""
    return "\n".join([*(each.tail(12) for each in row.processes), row.cluster.vsctl("--no-wait", "list", "controller")])


def _column(row: Row, table: str, record: str, column: str) -> str:
    return row.cluster.vsctl("--no-wait", "get", table, record, column).strip('"')


def test_a_cluster_configures_switches_that_are_reached_through_each_other_and_its_leader_may_die(row: Row) -> None:
    LabController(row.centre)
    _configure(row)
    assert until(lambda: _connected(row) == SWITCHES, 40.0), _words(row)

    leader = row.cluster.leader()
    assert leader is not None
    row.cluster.kill(leader)

    assert until(lambda: row.cluster.leader() not in (None, leader), 20.0)
    row.cluster.vsctl("--no-wait", "set", "bridge", "br4", "other_config:datapath-id=00000000000000ff", timeout_s=30)
    assert until(lambda: _column(row, "bridge", "br4", "datapath_id") == "00000000000000ff", 30.0), row.processes[
        3
    ].tail()
    assert until(lambda: _connected(row) == SWITCHES, 20.0)
    assert all(process.is_running for process in row.processes)


def test_without_the_cluster_a_switch_starts_from_what_it_last_knew(row: Row) -> None:
    LabController(row.centre)
    _configure(row)
    assert until(lambda: _connected(row) == SWITCHES, 40.0), _words(row)
    for number in range(len(row.cluster.PORTS)):
        row.cluster.kill(number)

    for number, machine in enumerate(row.machines, 1):
        row.processes[number - 1].kill9()
        row.processes[number - 1] = _start(machine, number, f"unix:{machine.lab.folder}/nowhere", row.cluster)

    show = [COMMAND, "show", "--run-dir", f"{row.machines[3].lab.folder}/s4/run"]
    assert until(lambda: "connected for" in row.machines[3].run(*show, check=False), 30.0)
    assert "not followed" in row.machines[3].run(*show)
