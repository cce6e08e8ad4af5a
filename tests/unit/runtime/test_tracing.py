"""What ``inband trace`` says: who decided about a packet."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from inband.control import events as ev
from inband.flow.actions import ApplyActions, GotoTable, Instruction, Output
from inband.flow.flow import Flow
from inband.flow.match import ANY
from inband.flow.ports import CONTROLLER as TO_CONTROLLERS
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.runtime.tracing import explain, first_packet
from inband.table.flow_table import TableMiss
from inband.testing import packets
from tests.unit.bridge.test_groups import Stage
from tests.unit.bridge.test_kernel_tables import Scene

CONTROLLER = ev.Remote(ip_address("192.0.2.1"), 6653, ev.RemoteKind.CONTROLLER)
TO_CONTROLLER = "in_port=LOCAL,tcp,nw_dst=192.0.2.1,tp_dst=6653"


def deciders(stage: Stage, packet: str) -> list[str]:
    return [line for line in explain(stage.bridge, [packet], {}).splitlines() if line.startswith("decided by")]


def test_a_rule_that_decided_is_named_with_its_letter_and_its_remote() -> None:
    stage = Stage()
    stage.bridge.control(ev.RemotesChanged(added=[CONTROLLER]))

    assert deciders(stage, TO_CONTROLLER) == ["decided by: in-band rule (h) for 192.0.2.1:6653 (remote 192.0.2.1:6653)"]


def test_what_the_learning_switch_of_fail_mode_standalone_decided_is_no_in_band_rule() -> None:
    stage = Stage()
    stage.bridge.set_standalone(active=True)

    assert deciders(stage, "in_port=1,tcp,nw_dst=192.0.2.1,tp_dst=80") == ["decided by: fail mode standalone"]


def test_what_a_controllers_flow_decided_needs_no_such_line() -> None:
    stage = Stage()
    stage.flow()

    assert deciders(stage, "in_port=1,tcp,nw_dst=192.0.2.1,tp_dst=80") == []


def test_a_flow_of_dns_is_said_to_lack_the_payload_that_its_rules_look_at() -> None:
    stage = Stage()
    stage.bridge.set_dns(frozenset({ip_address("192.0.2.53")}), frozenset({"controller.example.net"}))

    text = explain(stage.bridge, ["in_port=1,udp,nw_dst=192.0.2.53,tp_dst=53"], {})

    assert "note: (m) and (n) depend on the payload" in text


def test_a_manager_is_named_by_the_words_of_its_target() -> None:
    stage = Stage()
    caller = ev.Remote(ip_address("192.0.2.9"), 22, ev.RemoteKind.MANAGER, calls=True)
    stage.bridge.control(ev.RemotesChanged(added=[caller]))
    stage.bridge.control(ev.NetworksChanged(frozenset({ip_network("10.0.0.0/24")})))

    call = "in_port=1,tcp,nw_src=192.0.2.9,nw_dst=10.0.0.1,tp_dst=22"
    error = explain(stage.bridge, ["in_port=1,icmp,nw_dst=10.0.0.1,icmp_type=3,icmp_code=4"], {})

    assert deciders(stage, call) == [
        "decided by: in-band rule (q) for from:tcp:192.0.2.9:22 (remote from:tcp:192.0.2.9:22)"
    ]
    assert "note: (u) depends on the payload" in error


def _first_packet(*tables: tuple[Instruction, ...], is_compiled: bool = True, miss: TableMiss = TableMiss.DROP) -> str:
    """What is said of a packet that goes through these tables."""
    scene, data = Scene(), packets.tcp()
    scene.tables[0].miss = miss
    for table_id, does in enumerate(tables):
        changes = scene.tables.add(Flow(ANY, OpenFlowPriority(1), does, table_id), scene.now)
        scene.kernel_tables.flows_changed(changes.added)
    if is_compiled:
        scene.wait(1.0)
    return first_packet(scene.kernel_tables, scene.pipeline.explain(parse(data, 1), Frame(data), scene.now).trace)


def test_of_a_first_packet_it_is_said_where_it_is_decided() -> None:
    goes_on, sends = (GotoTable(1),), (ApplyActions((Output(PortNo(2)),)),)
    asks = (ApplyActions((Output(TO_CONTROLLERS),)),)

    assert _first_packet(sends) == "is decided in the kernel by table 0, if it is data"
    assert _first_packet(goes_on, sends) == "is decided in the kernel by tables 0, 1, if it is data"
    assert _first_packet(goes_on, asks) == "comes up (the kernel does not know what a flow of table 1 does)"
    assert _first_packet(goes_on) == "is decided in the kernel by tables 0, 1, if it is data"
    assert _first_packet() == "is decided in the kernel by table 0, if it is data"
    assert _first_packet(miss=TableMiss.CONTROLLER) == "comes up (no flow of table 0 matches)"
    assert _first_packet(sends, is_compiled=False) == "comes up (flows have just changed)"
