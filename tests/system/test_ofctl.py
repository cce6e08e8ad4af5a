"""The real ovs-ofctl on BRIDGE.mgmt, in OpenFlow 1.3 and in its default 1.0 with Nicira's extensions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import CommandError, Lab, run
from lab.process import Process
from lab.switch import letters
from lab.topology import BridgePlan, Site

pytestmark = pytest.mark.root

BOTH = pytest.mark.parametrize("version", ["OpenFlow13", "OpenFlow10"])
TARGET = "10.9.0.2"
ARP_FRAME = "ffffffffffff0200000000010806000108000604000102000000000100000000000000000000010203040506"


class Desk:
    """A switch between two hosts, and ovs-ofctl to sit at."""

    def __init__(self, lab: Lab) -> None:
        self.box, self.host, self.other = (lab.namespace(name) for name in ("sw", "h1", "h2"))
        for number, (host, address) in enumerate(((self.host, "10.9.0.1/24"), (self.other, f"{TARGET}/24")), 1):
            lab.link(self.box, f"p{number}", host, "eth0")
            host.address("eth0", address)
        # Resolved for good: a question lost under one test's flows would otherwise cost the next one a second.
        self.host.ip(f"neigh replace {TARGET} lladdr {self.other.mac('eth0')} dev eth0")
        self.other.ip(f"neigh replace 10.9.0.1 lladdr {self.host.mac('eth0')} dev eth0")
        self.switch = InbandSwitch(lab, Site(self.box, (BridgePlan("br0", ("p1", "p2"), "10.9.0.9/24"),)))
        self.switch.start()
        self.socket = f"unix:{self.switch.run_dir}/br0.mgmt"

    def ofctl(self, version: str, command: str, *arguments: str) -> str:
        """Run ovs-ofctl; raises CommandError when it is refused."""
        return run("ovs-ofctl", "-O", version, command, self.socket, *arguments)

    def flows(self, version: str, *arguments: str) -> list[str]:
        """The lines of dump-flows."""
        return [
            line.strip() for line in self.ofctl(version, "dump-flows", *arguments).splitlines() if "cookie=" in line
        ]

    def monitor(self, version: str) -> Process:
        """An ovs-ofctl that shows what the switch sends unasked; it has said by now that it wants to hear that."""
        control = self.switch.run_dir / f"{version}.ctl"
        control.unlink(missing_ok=True)
        words = ("-O", version, f"--unixctl={control}", "monitor", self.socket, "65534")
        monitor = self.box.start("ovs-ofctl", *words, label=version)
        assert until(control.exists, 5.0)
        return monitor

    def passes(self) -> bool:
        """Whether three pings between the hosts come back."""
        return self.host.pings(TARGET) == 3

    def is_cut(self) -> bool:
        """Whether none of three pings comes back."""
        return self.host.pings(TARGET, wait_s=0.3) == 0


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with Lab("ihg") as lab:
        yield Desk(lab)


@BOTH
def test_flows_forward_are_counted_shown_changed_and_removed(desk: Desk, version: str) -> None:
    desk.ofctl(version, "del-flows")
    assert desk.is_cut()
    desk.ofctl(version, "add-flow", "cookie=0x5,priority=1,arp,actions=drop")
    desk.ofctl(version, "add-flow", f"priority=2,icmp,nw_dst={TARGET},actions=output:2")
    desk.ofctl(version, "add-flow", "priority=2,ip,in_port=2,actions=mod_nw_tos:4,output:1")

    assert desk.passes()
    (shown,) = desk.flows(version, f"icmp,nw_dst={TARGET}")
    assert f"n_packets=3, n_bytes=294, priority=2,icmp,nw_dst={TARGET} actions=output:2" in shown
    assert len(desk.flows(version)) == 3
    assert "flow_count=3" in desk.ofctl(version, "dump-aggregate")
    assert "active=3," in desk.ofctl(version, "dump-tables")

    desk.ofctl(version, "mod-flows", "icmp,actions=drop")
    assert desk.is_cut()
    desk.ofctl(version, "mod-flows", "--strict", f"priority=2,icmp,nw_dst={TARGET},actions=output:2")
    assert desk.passes()
    desk.ofctl(version, "del-flows", "ip")
    assert desk.is_cut()
    assert [line.split(", ", 2)[0] for line in desk.flows(version)] == ["cookie=0x5"]
    desk.ofctl(version, "del-flows", "cookie=0x5/-1")
    assert desk.flows(version) == []


@BOTH
def test_several_tables_can_be_used(desk: Desk, version: str) -> None:
    desk.ofctl(version, "del-flows")
    further = "goto_table:7" if version == "OpenFlow13" else "resubmit(,7)"
    desk.ofctl(version, "add-flow", f"table=0,actions={further}")
    desk.ofctl(version, "add-flow", "table=7,priority=3,actions=normal")

    assert desk.passes()
    assert [line.split("table=")[1][0] for line in desk.flows(version)] == ["0", "7"]
    assert len(desk.flows(version, "table=7")) == 1


@BOTH
def test_a_port_put_down_stops_data_and_put_up_lets_it_pass(desk: Desk, version: str) -> None:
    desk.ofctl(version, "del-flows")
    desk.ofctl(version, "add-flow", "actions=normal")

    for off, on in (("down", "up"), ("no-receive", "receive"), ("no-forward", "forward")):
        desk.ofctl(version, "mod-port", "p2", off)
        assert desk.is_cut(), off
        desk.ofctl(version, "mod-port", "p2", on)
        assert desk.passes(), on


@BOTH
def test_hidden_flows_are_never_seen_counted_or_deleted(desk: Desk, version: str) -> None:
    desk.switch.set_managers("tcp:10.9.0.1:6640")
    assert until(lambda: "d" in letters(desk.switch.hidden()), 5.0)
    before = desk.switch.hidden()

    desk.ofctl(version, "del-flows")
    desk.ofctl(version, "add-flow", "priority=65535,actions=drop")

    assert desk.switch.hidden() == before
    assert len(desk.flows(version)) == 1
    assert "flow_count=1" in desk.ofctl(version, "dump-aggregate")
    assert "active=1," in desk.ofctl(version, "dump-tables")
    desk.switch.set_managers()


@BOTH
def test_a_packet_out_leaves_by_its_port(desk: Desk, version: str) -> None:
    desk.ofctl(version, "del-flows")
    before = desk.other.counter("eth0", "rx_packets")

    desk.ofctl(version, "packet-out", f"in_port=1 packet={ARP_FRAME} actions=output:2")

    assert until(lambda: desk.other.counter("eth0", "rx_packets") > before, 2.0)


@BOTH
def test_a_packet_out_to_the_tables_takes_the_flows_way(desk: Desk, version: str) -> None:
    desk.ofctl(version, "del-flows")
    desk.ofctl(version, "add-flow", "arp,in_port=1,actions=output:2")

    desk.ofctl(version, "packet-out", f"in_port=1 packet={ARP_FRAME} actions=table")

    assert "n_packets=1" in desk.flows(version)[0]


@BOTH
def test_a_monitor_gets_packet_ins_and_flow_removals_once_it_asks(desk: Desk, version: str) -> None:
    desk.ofctl(version, "del-flows")
    monitor = desk.monitor(version)
    try:
        desk.ofctl(version, "add-flow", "send_flow_rem,icmp,actions=controller:65535")

        assert until(lambda: desk.is_cut() and "PACKET_IN" in monitor.tail(), 10.0)
        desk.ofctl(version, "del-flows", "icmp")
        assert until(lambda: "FLOW_REMOVED" in monitor.tail(), 5.0)
        assert "icmp" in monitor.tail()
        assert "reason=delete" in monitor.tail()
    finally:
        monitor.stop()


def test_a_packet_without_a_flow_goes_to_1_0_peers_and_not_to_1_3_peers(desk: Desk) -> None:
    desk.ofctl("OpenFlow13", "del-flows")
    monitors = {version: desk.monitor(version) for version in ("OpenFlow13", "OpenFlow10")}
    try:
        assert until(lambda: desk.is_cut() and "no_match" in monitors["OpenFlow10"].tail(), 10.0)
        assert "PACKET_IN" not in monitors["OpenFlow13"].tail()
    finally:
        for monitor in monitors.values():
            monitor.stop()


@BOTH
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("show", "dpid:"),
        ("dump-desc", "Manufacturer: inband"),
        ("dump-ports", "port  1: rx pkts="),
        ("dump-ports-desc", "LOCAL(br0): addr:"),
        ("queue-stats", "0 queues"),
        ("get-frags", "normal"),
        ("probe", ""),
    ],
)
def test_what_ovs_ofctl_asks_is_answered(desk: Desk, version: str, command: str, expected: str) -> None:
    assert expected in desk.ofctl(version, command)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dump-table-features", "next tables: 1-253"),
        ("dump-groups", "OFPST_GROUP_DESC reply"),
        ("dump-meters", "OFPST_METER_CONFIG reply"),
        ("dump-group-features", "OFPST_GROUP_FEATURES reply"),
        ("meter-features", "max_meter:65536"),
    ],
)
def test_what_ovs_ofctl_asks_in_1_3_is_answered(desk: Desk, command: str, expected: str) -> None:
    assert expected in desk.ofctl("OpenFlow13", command)


@pytest.mark.parametrize(
    ("command", "argument", "error"),
    [
        ("mod-group", "group_id=1,type=all,bucket=output:1", "OFPGMFC_UNKNOWN_GROUP"),
        ("add-flow", "actions=group:1", "OFPBAC_BAD_OUT_GROUP"),
        ("mod-meter", "meter=1,kbps,band=type=drop,rate=9", "OFPMMFC_UNKNOWN_METER"),
        ("add-flow", "table=254,actions=drop", "OFPFMFC_BAD_TABLE_ID"),
        ("set-frags", "reassemble", "OFPSCFC_BAD_FLAGS"),
        ("add-flow", "ip,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])", "OFPBAC_BAD"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(desk: Desk, command: str, argument: str, error: str) -> None:
    with pytest.raises(CommandError, match=error):
        desk.ofctl("OpenFlow13", command, argument)


def test_a_version_that_is_not_spoken_is_turned_away(desk: Desk) -> None:
    with pytest.raises(CommandError, match="version negotiation failed"):
        desk.ofctl("OpenFlow14", "show")


def test_a_thousand_flows_come_back_as_they_were_given(desk: Desk, tmp_path: Path) -> None:
    given = tmp_path / "flows"
    given.write_text("".join(f"priority={n},udp,nw_src=10.{n >> 8}.{n & 255}.0/24,actions=2\n" for n in range(1, 1001)))

    desk.ofctl("OpenFlow13", "replace-flows", str(given))

    assert len(desk.flows("OpenFlow13")) == 1000
    assert desk.ofctl("OpenFlow13", "diff-flows", str(given)) == ""
    desk.ofctl("OpenFlow13", "del-flows")
