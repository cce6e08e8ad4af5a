"""Open vSwitch's tools, unmodified, find a switch by name; Prometheus and log collectors get what they read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig, one_line

pytestmark = pytest.mark.root

PLACE = "127.0.0.1:9475"


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Lab("ion") as lab:
        made = Rig(lab)
        made.box.run("ip", "link", "set", "lo", "up")
        names = ("--ovs-run-dir", str(lab.folder / "ovs"))
        ports = ("--port", "p1", "--port", "p2", "--address", "10.0.0.1/24")
        made.start(*ports, *names, "--metrics", PLACE, "--log-format", "json")
        made.h1.run("ping", "-c", "2", "-W", "2", "10.0.0.12")
        yield made


def tool(rig: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    """One of Open vSwitch's tools, which looks where it is told that Open vSwitch runs."""
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False, env=environment(rig))


def environment(rig: Rig) -> dict[str, str]:
    """Where the tools look for switches."""
    return {**os.environ, "OVS_RUNDIR": str(rig.lab.folder / "ovs")}


@pytest.mark.parametrize("target", [(), ("-t", "inband"), ("-t", "ovs-vswitchd")])
def test_appctl_asks_the_switch_by_its_name_or_by_none(rig: Rig, target: tuple[str, ...]) -> None:
    assert tool(rig, "ovs-appctl", *target, "ofproto/list").stdout == "br0\n"


def test_ofctl_finds_a_bridge_by_name_as_long_as_it_is_there(rig: Rig) -> None:
    assert tool(rig, "ovs-ofctl", "show", "br0").stdout.startswith("OFPT_FEATURES_REPLY")

    rig.call("inband/add-bridge", "br1")
    assert tool(rig, "ovs-ofctl", "show", "br1").returncode == 0
    rig.call("inband/del-bridge", "br1")
    assert not (rig.lab.folder / "ovs/br1.mgmt").is_symlink()


def test_a_refusal_is_a_line_of_its_own(rig: Rig) -> None:
    done = tool(rig, "ovs-appctl", "fdb/show", "br9")

    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("no such bridge")
    assert done.stderr.splitlines()[1].endswith("server returned an error")


def test_dpctl_top_reads_the_flows_of_the_datapath(rig: Rig) -> None:
    ping = rig.h1.start("ping", "-i", "0.1", "10.0.0.12", label="ping")
    assert until(lambda: "eth_type(0x0800)" in tool(rig, "ovs-appctl", "dpctl/dump-flows").stdout, 5.0)
    flows = rig.lab.folder / "flows"
    flows.write_text(tool(rig, "ovs-appctl", "dpctl/dump-flows").stdout)
    ping.stop()

    done = tool(rig, "ovs-dpctl-top", "-s", "-f", str(flows))

    assert "errors: 0" in done.stdout, done.stdout + done.stderr
    assert "in_port(1)" in done.stdout
    assert "eth_type(0x0800)" in done.stdout


def test_snoop_shows_what_a_controller_and_the_switch_say(rig: Rig) -> None:
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.11:6653")
    words = ("ovs-ofctl", "-O", "OpenFlow13", "snoop", "br0")
    snoop = rig.box.start(*words, label="snoop", env=environment(rig))
    LabController(rig.h1)

    assert until(lambda: "OFPT_FEATURES_REPLY (OF1.3)" in snoop.log.read_text(), 10.0), snoop.log.read_text()
    assert "OFPT_FEATURES_REQUEST (OF1.3)" in snoop.log.read_text()

    snoop.stop()
    rig.call("inband/del-controller", "br0")


def test_prometheus_gets_what_goes_through_the_ports(rig: Rig) -> None:
    fetch = f"import urllib.request as u; print(u.urlopen('http://{PLACE}/metrics', timeout=5).read().decode())"

    text = rig.box.run("python3", "-c", fetch)

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    received = {s.labels["port"]: s.value for s in samples if s.name == "inband_port_rx_packets_total"}
    assert received["p1"] >= 2
    assert received["p2"] >= 2


def test_each_line_of_the_log_is_a_document(rig: Rig) -> None:
    lines = [json.loads(line) for line in rig.log().splitlines()]

    assert any("started with the" in line["message"] and line["level"] == "info" for line in lines)


@pytest.mark.parametrize("place", ["9475", "localhost:1", "127.0.0.1:0", "127.0.0.1:99999", "[::1"])
def test_a_place_for_metrics_that_is_none_is_wrong_usage(rig: Rig, place: str) -> None:
    assert "is not ADDRESS:PORT" in one_line(rig.inband("run", "--metrics", place))


def test_nothing_is_left_in_open_vswitchs_directory(rig: Rig) -> None:
    assert rig.process is not None
    rig.process.stop()

    assert until(lambda: list((rig.lab.folder / "ovs").iterdir()) == [], 5.0)


def test_a_place_for_metrics_that_is_taken_is_no_reason_to_have_no_network(rig: Rig) -> None:
    host, port = PLACE.split(":")
    listen = f"import socket, time; s = socket.create_server(({host!r}, {port})); time.sleep(60)"
    taken = rig.box.start("python3", "-c", listen, label="taken")
    assert until(lambda: PLACE in rig.box.run("ss", "-Hltn"), 5.0)

    rig.start("--port", "p1", "--port", "p2", "--metrics", PLACE)

    assert "there are no metrics: listen at 127.0.0.1:9475 for metrics: " in rig.log()
    rig.h1.run("ping", "-c", "1", "-W", "2", "10.0.0.12")
    taken.stop()
