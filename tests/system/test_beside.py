"""Hosts that share a gateway with the switch: their ARP for it passes, and the controller sees it as well."""

from __future__ import annotations

import time

import pytest

from inband.pipeline.storm import WINDOW_S
from lab import topology
from lab.inband import OnDatapath
from lab.journal import until
from lab.net import Lab
from lab.scene import scene
from lab.wire import Wire

pytestmark = pytest.mark.root

GATEWAY = "10.0.0.254"
ARP, REQUEST, REPLY = b"\x08\x06", b"\0\1", b"\0\2"


def lay(lab: Lab) -> topology.Topology:
    """T2 with two hosts that use the switch's gateway."""
    return topology.with_hosts(topology.behind_gateway(lab), 2)


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_a_controller_that_wants_arp_gets_it_and_the_host_gets_its_answer_once(datapath: str) -> None:
    with scene(OnDatapath(datapath), lay) as stage:
        stage.connect()
        assert stage.all_up(10.0)
        host, _ = stage.topology.hosts["h1"]
        stage.switch.ofctl("add-flow", "priority=1,arp,actions=CONTROLLER")
        wire = stage.lab.hold(Wire(host, "eth0"))

        host.pings(GATEWAY, count=1, wait_s=0.5)

        neighbour = host.run("ip", "neigh", "show", GATEWAY)
        assert stage.topology.gateways[0].mac("eth1") in neighbour
        journal = stage.controller.journal
        assert until(lambda: journal.count("packet_in") >= 2, 3.0), "the question and its answer"
        answers = [frame for frame in wire.take(0.2) if frame[12:14] == ARP and frame[20:22] == REPLY]
        assert len(answers) == 1


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_under_a_learning_policy_a_broadcast_question_arrives_once(datapath: str) -> None:
    with scene(OnDatapath(datapath), lay) as stage:
        stage.connect()
        assert stage.all_up(10.0)
        (host, _), (other, _) = (stage.topology.hosts[name] for name in ("h1", "h2"))
        stage.switch.ofctl("add-flow", "priority=1,actions=NORMAL")
        host.pings(GATEWAY, count=1)
        time.sleep(2 * WINDOW_S)  # the same frame again would be taken for one that circles
        host.ip("neigh flush dev eth0")
        wire = stage.lab.hold(Wire(other, "eth0"))

        answered = host.pings(GATEWAY, count=1)

        assert answered == 1
        questions = [frame for frame in wire.take(0.2) if frame[12:14] == ARP and frame[20:22] == REQUEST]
        assert len(questions) == 1
