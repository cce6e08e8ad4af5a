"""The spanning tree joined to a bridge: what its ports do, who is told, and what becomes of BPDUs."""

from __future__ import annotations

import pytest

from inband.bridge.tree import BPDU_BURST, TreeConfig
from inband.flow.actions import ApplyActions, Output
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.openflow.messages import PortStatus
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.stp.bpdu import Bpdu, Flag, Kind, encode, is_bpdu
from inband.stp.settings import PortTreeSettings, TreeSettings
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortState
from inband.vocabulary.spanning_tree import StpRole, StpState
from tests.unit.bridge.test_groups import P1, P2, P3, US, WEB, Stage
from tests.unit.bridge.test_own_questions import Clock

BETTER = BridgeId(0, Mac(9))


def bpdu(port: int = 0x8001, root: BridgeId = BETTER) -> bytes:
    """A better root's proposal."""
    return encode(Bpdu(Kind.RST, PriorityVector(root, 0, root, port), Times(), Flag.PROPOSAL), Mac(9)).data


def receive(stage: Stage, data: bytes, port: PortNo) -> None:
    """A frame comes in."""
    stage.bridge.upcall(port, Frame(data), parse(data, port))


class TimedStage(Stage):
    """A bridge whose clock the test moves."""

    def __init__(self) -> None:
        clock = Clock()
        super().__init__(clock)
        self.clock = clock

    def sent(self, frame: Frame = WEB) -> list[PortNo]:
        """Where a frame that arrives at port 1 goes; BPDUs that left before are looked at no more."""
        self.datapath.take_sent()
        return super().sent(frame)


@pytest.fixture
def stage() -> TimedStage:
    """A learning switch with three ports."""
    stage = TimedStage()
    stage.flow(ApplyActions((Output(NORMAL),)))
    stage.bridge.take(1)
    return stage


def wait(stage: TimedStage, seconds: float) -> None:
    """Let the bridge do what is due until then."""
    end = stage.clock.now + seconds
    while (due := stage.bridge.next_deadline()) is not None and due <= end:
        stage.clock.now = max(stage.clock.now, due)
        stage.bridge.run()
    stage.clock.now = end


def test_no_port_carries_data_at_first_and_edges_do_after_a_while(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())
    at_first = stage.sent()
    wait(stage, 3.5)

    assert at_first == []
    assert stage.sent() == [P2, P3, LOCAL]


def test_without_a_tree_all_carry_data_again(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())

    stage.bridge.configure_tree(None)

    assert stage.sent() == [P2, P3, LOCAL]
    assert stage.bridge.next_deadline() is None or stage.bridge.tree.status() is None


def test_of_two_ways_to_the_root_one_is_closed(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())

    receive(stage, bpdu(0x8001), P1)
    receive(stage, bpdu(0x8002), P2)
    wait(stage, 3.5)

    status = stage.bridge.tree.status()
    assert status is not None
    assert [port.role for port in status.ports] == [StpRole.ROOT, StpRole.ALTERNATE, StpRole.DESIGNATED]
    assert stage.sent() == [P3, LOCAL]


def test_bpdus_leave_by_every_port_but_local_and_past_flows(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())
    stage.datapath.take_sent()

    wait(stage, 2.1)

    assert {port for port, frame, _ in stage.datapath.take_sent() if is_bpdu(frame.data)} == {P1, P2, P3}


def test_a_bpdu_is_no_packet_for_flows_while_there_is_a_tree(stage: TimedStage) -> None:
    stage.flow(ApplyActions((Output(P2),)))
    receive(stage, bpdu(), P1)
    without = [port for port, _, _ in stage.datapath.take_sent()]
    stage.bridge.configure_tree(TreeConfig())
    stage.datapath.take_sent()

    receive(stage, bpdu(), P1)

    assert without == [P2]
    assert {frame.data[6:12] for _, frame, _ in stage.datapath.take_sent()} == {Mac.parse(US).packed}


def test_controllers_hear_of_states(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())
    wait(stage, 3.5)

    said = [each.message for each in stage.bridge.take(1) if isinstance(each.message, PortStatus)]
    of_one = [each.port.state for each in said if each.port.port == P1]
    assert of_one == [
        PortState.BLOCKED | PortState.STP_BLOCK,
        PortState.LIVE | PortState.STP_FORWARD,
    ]


def test_a_port_that_comes_later_carries_no_data_before_the_tree_says_so(stage: TimedStage) -> None:
    later = PortNo(4)
    stage.bridge.configure_tree(TreeConfig())
    wait(stage, 3.5)

    stage.datapath.add_port(later, "p4")
    stage.bridge.add_port(later, "p4", Mac.parse(US))
    at_first = stage.sent()
    wait(stage, 3.5)

    assert later not in at_first
    assert later in stage.sent()


def test_an_edge_is_configured_by_port(stage: TimedStage) -> None:
    stage.bridge.configure_tree(
        TreeConfig(ports={P1: PortTreeSettings(is_edge=True), P2: PortTreeSettings(is_edge=True)})
    )

    assert stage.sent() == [P2, LOCAL]


def test_another_priority_takes_effect_while_it_runs(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())
    receive(stage, bpdu(root=BridgeId(4096, Mac(9))), P1)

    stage.bridge.configure_tree(TreeConfig(TreeSettings(priority=0)))

    status = stage.bridge.tree.status()
    assert status is not None
    assert status.is_root


def test_hosts_behind_ports_of_a_changed_tree_are_forgotten(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())
    receive(stage, bpdu(0x8001), P1)
    receive(stage, bpdu(0x8002), P2)
    wait(stage, 3.5)
    stage.sent()
    assert len(stage.bridge.fdb.entries()) == 1

    stage.bridge.link_changed(P1, link_up=False, mac=Mac.parse(US))

    assert stage.bridge.fdb.entries() == []
    status = stage.bridge.tree.status()
    assert status is not None
    assert status.root_port == P2
    port = stage.bridge.ports.get(P2)
    assert port is not None
    assert port.tree is StpState.FORWARDING


def test_rubbish_and_too_many_bpdus_are_counted_and_change_nothing(stage: TimedStage) -> None:
    stage.bridge.configure_tree(TreeConfig())

    receive(stage, bpdu()[:30], P1)
    for _ in range(BPDU_BURST + 10):
        receive(stage, bpdu(), P1)

    counters = stage.bridge.counters.values
    assert counters["bpdus_refused"] == 1
    assert counters["bpdus_over_rate"] >= 10


def test_a_port_outside_the_tree_forwards_and_comes_in_closed(stage: TimedStage) -> None:
    outside = {P2: PortTreeSettings(is_in_tree=False)}
    stage.bridge.configure_tree(TreeConfig(ports=outside))
    wait(stage, 10)
    receive(stage, bpdu(), P2)
    assert [stage.bridge.ports.get(port).tree for port in (P2, P3)] == [StpState.FORWARDING] * 2  # type: ignore[union-attr]
    assert {port.number for port in stage.bridge.tree.status().ports} == {P1, P3}  # type: ignore[union-attr]

    stage.bridge.configure_tree(TreeConfig())
    assert P2 not in stage.sent(), "it may close a circle, so it begins closed"
    wait(stage, 10)
    assert P2 in stage.sent()

    receive(stage, bpdu(), P1)
    receive(stage, bpdu(0x8002), P2)
    assert P2 not in stage.sent()
    stage.bridge.configure_tree(TreeConfig(ports=outside))
    assert P2 in stage.sent()
