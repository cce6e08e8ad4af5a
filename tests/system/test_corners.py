"""What flows do to packets in corners where controllers have stumbled: ours on both datapaths, beside Open vSwitch.

Frames come in by port 1, each twice, so that the second meets what the first has left in a cache. What leaves by ports
2 and 3, or goes to a controller, is compared with what is expected, on each of the three switches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from inband.testing import packets
from lab.inband import OnDatapath
from lab.journal import until
from lab.net import Lab
from lab.ovs import OvsSwitch
from lab.process import Process
from lab.switch import Switch, SwitchMaker
from lab.topology import BridgePlan, Site
from lab.wire import Wire
from tests.system.verdict_rows import V10, V13

pytestmark = pytest.mark.root

SWITCHES: dict[str, SwitchMaker] = {"userspace": OnDatapath("userspace"), "ebpf": OnDatapath("ebpf"), "ovs": OvsSwitch}
PORTS = ("p1", "p2", "p3")
QUIET_S = 0.25
"""A frame that has not come after this time does not come: a veth takes microseconds, an upcall milliseconds."""

WEB = packets.tcp(dst_port=80)
SOURCE = WEB[6:12]
ICMP = packets.icmp_echo()


def piece(word: int, whole: bytes = WEB) -> bytes:
    """A frame as a fragment, its header's checksum made right (RFC 1624)."""
    header = bytearray(whole[14:34])
    header[6:8], header[10:12] = word.to_bytes(2, "big"), bytes(2)
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return whole[:14] + bytes(header) + whole[34:]


FIRST, LATER = piece(0x2000), piece(0x0009)


@dataclass
class Desk:
    """One switch whose three ports end in our hands."""

    lab: Lab
    kind: str
    switch: Switch = field(init=False)
    wires: dict[int, Wire] = field(init=False)

    def __post_init__(self) -> None:
        box, far = self.lab.namespace(f"{self.kind[:4]}"), self.lab.namespace(f"{self.kind[:4]}far")
        far.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        for name in PORTS:
            self.lab.link(box, name, far, name)
        self.switch = SWITCHES[self.kind](self.lab, Site(box, (BridgePlan("br0", PORTS),)))
        self.switch.start(connect=False)
        self.wires = {number: self.lab.hold(Wire(far, name)) for number, name in enumerate(PORTS, 1)}

    def ofctl(self, version: str, command: str, *arguments: str) -> str:
        """Run ovs-ofctl; raises CommandError when it or the switch refuses. Packets of now on meet what it changed."""
        said = self.switch.site.namespace.run(
            "ovs-ofctl", "-O", version, command, f"unix:{self.switch.management()}", *arguments
        )
        if isinstance(self.switch, OvsSwitch):
            self.switch.wait_for_revalidators()
        return said

    def empty(self) -> None:
        """No flows, no groups, fragments as usual, nothing on its way."""
        self.ofctl(V13, "del-flows")
        self.ofctl(V13, "del-groups")
        self.ofctl(V13, "set-frags", "normal")
        for wire in self.wires.values():
            wire.take(0.0)

    def flows(self, *flows: str, version: str = V13) -> None:
        """Add flows."""
        for flow in flows:
            self.ofctl(version, "add-flow", flow)

    def out(self, frame: bytes) -> list[int]:
        """Out of which ports a frame goes; the same the second time."""
        first, second = self.once(frame), self.once(frame)
        assert first == second, "the first time and the second"
        return first

    def once(self, frame: bytes) -> list[int]:
        """Out of which ports a frame goes this time."""
        self.wires[1].send(frame)
        return [number for number in (2, 3) for _ in range(self.arrived(number))]

    def arrived(self, number: int) -> int:
        """How many of our frames have come out of a port; what the local port's host says of itself is not ours."""
        return sum(frame[6:12] == SOURCE for frame in self.wires[number].take(QUIET_S / 2))

    def monitor(self, version: str) -> Process:
        """An ovs-ofctl that shows PACKET_INs."""
        control = self.lab.folder / f"{self.kind}-{version}-{len(list(self.lab.folder.iterdir()))}.ctl"
        process = self.switch.site.namespace.start(
            "ovs-ofctl", "-O", version, f"--unixctl={control}", "monitor",
            f"unix:{self.switch.management()}", "65534", label=f"monitor {version}",
        )  # fmt: skip
        assert until(control.exists, 10.0)
        self.ofctl(version, "probe")
        return process


@pytest.fixture(scope="module", params=list(SWITCHES))
def running(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with Lab("ihv") as lab:
        yield Desk(lab, request.param)


@pytest.fixture
def desk(running: Desk) -> Desk:
    running.empty()
    return running


@pytest.mark.parametrize(
    ("handling", "whole", "first", "later"),
    [("normal", [2], [3], [3]), ("nx-match", [2], [2], [3]), ("drop", [2], [], [])],
)
def test_fragments_are_matched_as_configured(
    desk: Desk, handling: str, whole: list[int], first: list[int], later: list[int]
) -> None:
    desk.flows("priority=2,tcp,tp_dst=80,actions=output:2", "priority=1,tcp,actions=output:3")
    if handling == "nx-match":
        desk.ofctl(V10, "set-frags", handling)
    else:
        desk.ofctl(V13, "set-frags", handling)

    assert handling in desk.ofctl(V13, "get-frags")
    assert [desk.out(frame) for frame in (WEB, FIRST, LATER, WEB)] == [whole, first, later, whole]


def test_ports_and_icmp_types_of_fragments_are_0_in_normal_mode(desk: Desk) -> None:
    desk.flows(
        "priority=3,tcp,tp_dst=0,actions=output:2", "priority=2,tcp,tp_dst=80,actions=output:3",
        "priority=3,icmp,icmp_type=8,actions=output:2", "priority=2,icmp,actions=output:3",
    )  # fmt: skip

    assert [desk.out(frame) for frame in (WEB, FIRST, LATER)] == [[3], [2], [2]]
    assert [desk.out(frame) for frame in (ICMP, piece(0x2000, ICMP), piece(9, ICMP))] == [[2], [3], [3]]


def test_a_ttl_that_ends_in_a_resubmit_ends_the_inner_list_only(desk: Desk) -> None:
    desk.flows("table=0,ip,actions=resubmit(,1),output:3", "table=1,ip,actions=dec_ttl,output:2,goto_table:2")
    desk.flows("table=2,actions=output:2")

    assert desk.out(packets.tcp(ttl=1)) == [3]
    assert desk.out(packets.tcp(ttl=9)) == [2, 2, 3]


def test_a_ttl_that_ends_leaves_what_was_written_before(desk: Desk) -> None:
    desk.flows("table=0,ip,actions=write_actions(output:3),goto_table:1", "table=1,ip,actions=dec_ttl,output:2")

    assert desk.out(packets.tcp(ttl=1)) == [3]
    assert desk.out(packets.tcp(ttl=9)) == [2, 3]


def test_a_flow_may_output_to_table(desk: Desk) -> None:
    desk.flows("table=0,actions=goto_table:1", "table=1,actions=set_field:7->metadata,output:TABLE,output:3")
    desk.flows("table=0,priority=40000,metadata=7,actions=output:2")

    assert desk.out(WEB) == [2, 3]


def test_metadata_can_be_set_by_an_action(desk: Desk) -> None:
    desk.flows("table=0,actions=set_field:5->metadata,goto_table:1", "table=1,metadata=5,actions=output:2")

    assert desk.out(WEB) == [2]


def test_a_bucket_that_watches_controller_is_used_while_one_is_connected(desk: Desk) -> None:
    desk.switch.set_controllers("tcp:127.0.0.1:6653")  # Open vSwitch empties its tables when it gets the first one
    desk.ofctl(
        V13, "add-group", "group_id=1,type=ff,bucket=watch_port:CONTROLLER,output:2,bucket=watch_port:3,output:3"
    )
    desk.flows("tcp,in_port=1,actions=group:1")
    assert desk.out(WEB) == [3]

    command = ("ovs-testcontroller", "--unixctl=none", "--noflow", "ptcp:6653:127.0.0.1")
    controller = desk.switch.site.namespace.start(*command)
    try:
        assert until(lambda: desk.once(WEB) == [2], 20.0)
        assert desk.out(WEB) == [2]
        controller.kill9()
        assert until(lambda: desk.once(WEB) == [3], 20.0)
        assert desk.out(WEB) == [3]
    finally:
        controller.stop()
        desk.switch.set_controllers()


@pytest.mark.parametrize("port", ["0", "CONTROLLER", "77"])
def test_a_packet_out_may_come_from_no_port_of_ours(desk: Desk, port: str) -> None:
    desk.ofctl(V13, "packet-out", f"in_port={port} packet={WEB.hex()} actions=output:2,output:3")

    assert [desk.arrived(number) for number in (2, 3)] == [1, 1]


@pytest.mark.parametrize(("version", "reason"), [(V10, "action"), (V13, "no_match")])
def test_a_packet_in_by_a_flow_for_everything_of_priority_0_is_an_action_in_1_0(
    desk: Desk, version: str, reason: str
) -> None:
    desk.flows("priority=0,actions=controller:128", version=version)
    monitor = desk.monitor(version)
    try:
        desk.out(WEB)

        assert until(lambda: "PACKET_IN" in monitor.tail(), 5.0)
        assert set(re.findall(r"\(via (\w+)\)", monitor.tail())) == {reason}
    finally:
        monitor.stop()


def test_a_flow_of_1_0_without_wildcards_is_above_all_others_for_every_command(desk: Desk) -> None:
    exact = "in_port=1,dl_src={},dl_dst={},dl_vlan=0xffff,tcp,nw_src={},nw_dst={},nw_tos=0,tp_src={},tp_dst=80"
    match = exact.format(packets.MAC_A, packets.MAC_B, packets.IP_A, packets.IP_B, int.from_bytes(WEB[34:36], "big"))
    plain = partial(desk.ofctl, "OpenFlow10")
    desk.flows("priority=65534,actions=output:3", version=V10)

    plain("add-flow", "-F", "OpenFlow10-table_id", f"priority=5,{match},actions=output:2")
    assert "priority=65535" in plain("dump-flows", "-F", "OpenFlow10-table_id", f"{match}")
    assert desk.out(WEB) == [2]
    plain("mod-flows", "-F", "OpenFlow10-table_id", "--strict", f"priority=9,{match},actions=drop")
    assert desk.out(WEB) == []
    plain("del-flows", "-F", "OpenFlow10-table_id", "--strict", f"priority=1,{match}")
    assert desk.out(WEB) == [3]
