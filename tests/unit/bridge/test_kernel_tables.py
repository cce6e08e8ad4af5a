"""When a datapath decides by the flow tables, and when it is not to."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from inband.bridge.kernel_tables import MAX_FLOWS, QUIET_S, SLICE_S, KernelTables
from inband.datapath.rules import BucketRule, MissRule, PortRoles, Rule, StationTable, Tally, Told
from inband.errors import HostError
from inband.flow.actions import ApplyActions, Instruction, Meter, Output
from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.meters import MeterBand
from inband.flow.ports import CONTROLLER, LOCAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.packet.frame import Frame
from inband.pipeline.fdb import Fdb, FdbKey
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.rulings import ASK, Decider
from inband.pipeline.translate import Pipeline
from inband.pipeline.visits import Visit
from inband.sim import topologies
from inband.table.flow_table import TableMiss
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import MeterBandType, MeterFlags, PortConfig

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
NEVER = float("-inf")


@dataclass
class FakeStations:
    there: dict[FdbKey, PortNo] = field(default_factory=dict)
    used: dict[FdbKey, float] = field(default_factory=dict)
    roles: PortRoles | None = None

    def clear(self) -> None:
        self.there.clear()

    def put(self, stations: Mapping[FdbKey, PortNo | None], pinned: Container[FdbKey]) -> None:
        for key, port in stations.items():
            self.there.pop(key, None)
            if port is not None:
                self.there[key] = port

    def take_left(self, port: PortNo) -> list[tuple[FdbKey, float]]:
        return []

    def used_at(self, key: FdbKey) -> float:
        return self.used.get(key, NEVER)

    def set_roles(self, roles: PortRoles) -> None:
        self.roles = roles


def _hears_nothing(in_port: PortNo, frame: Frame, key: FlowKey) -> None:
    """These rules decide about no packet."""


class FakeRules:
    """A datapath's rules: those that are there, and refusals on demand."""

    def __init__(self, stations: FakeStations) -> None:
        self.stations: StationTable = stations
        self.told: Told = _hears_nothing
        self.is_valid = self.refuses = self.refuses_groups = False
        self.rules: list[Rule] = []
        self.groups: dict[int, tuple[BucketRule, ...]] = {}
        self.most_buckets = 3
        self.misses: list[MissRule] = []

    def clear(self) -> None:
        self.is_valid = False
        self.rules.clear()

    def suspend(self) -> None:
        self.is_valid = False

    def resume(self) -> None:
        if self.refuses:
            raise HostError("write a map", "no")
        self.is_valid = True

    def put(self, rule: Rule) -> None:
        assert not self.is_valid
        self.rules.append(rule)

    def remove(self, rule: Rule) -> None:
        assert not self.is_valid
        self.rules.remove(rule)

    def put_group(self, group_id: int, buckets: Sequence[BucketRule]) -> bool:
        assert not self.is_valid
        if self.refuses_groups:
            raise HostError("write a map", "no")
        self.groups[group_id] = tuple(buckets)
        if len(buckets) > self.most_buckets:
            del self.groups[group_id]
        return group_id in self.groups

    def remove_group(self, group_id: int) -> None:
        assert not self.is_valid
        self.groups.pop(group_id, None)

    def set_misses(self, misses: Sequence[MissRule]) -> None:
        assert not self.is_valid
        self.misses = list(misses)

    def all_of(self, table_id: int) -> bool:
        return table_id < 64

    def asks(self, rule: Rule) -> bool:
        return rule.ruling == ASK

    def read(self, rule: Rule) -> None:
        assert rule in self.rules

    def write(self) -> None:
        pass

    def count(self) -> Iterator[list[Tally]]:
        yield [*self.rules, *(bucket for group in self.groups.values() for bucket in group), *self.misses]

    def matches(self) -> list[Match]:
        return [rule.flow.match for rule in self.rules]


class Scene:
    """Ports 1 and 2; time passes by ``wait``."""

    def __init__(self, max_flows: int = MAX_FLOWS) -> None:
        self.now = 100.0
        ports = PortTable()
        for number in (P1, P2, LOCAL):
            ports.put(SwitchPort(number, f"p{number}", Mac(number & 0xFF)))
        self.tables = TableSet(2)
        self.pipeline = Pipeline(self.tables, ports, Fdb())
        self.stations = FakeStations()
        self.rules = FakeRules(self.stations)
        self.kernel_tables = KernelTables(self.rules, self.pipeline, max_flows)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.kernel_tables.next_deadline(self.now)) is not None and due <= end:
            self.now = max(self.now, due)
            self.kernel_tables.run(lambda: self.now)
        self.now = end

    def add(
        self, number: int, port: PortNo = P2, priority: int = 1, table_id: int = 0, meter: int | None = None
    ) -> Flow:
        does: tuple[Instruction, ...] = (ApplyActions((Output(port),)),)
        does = does if meter is None else (Meter(meter), *does)
        flow = Flow(Match.of(eth_dst=number), OpenFlowPriority(priority), does, table_id)
        changes = self.tables.add(flow, self.now)
        self.kernel_tables.flows_changed((*changes.added, *changes.removed))
        return flow


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.wait(1.0)
    return made


def test_a_change_suspends_the_rules_until_changes_have_paused(scene: Scene) -> None:
    assert scene.rules.is_valid

    scene.add(1)

    assert not scene.rules.is_valid
    assert not scene.kernel_tables.is_valid
    scene.wait(QUIET_S / 2)
    scene.add(2)
    scene.wait(QUIET_S / 2)
    assert not scene.rules.is_valid
    scene.wait(QUIET_S)
    assert scene.rules.is_valid
    assert scene.kernel_tables.is_valid
    assert scene.rules.matches() == [Match.of(eth_dst=1), Match.of(eth_dst=2)]


def test_a_flow_that_takes_the_place_of_another_takes_that_of_its_rule(scene: Scene) -> None:
    scene.add(1)
    scene.wait(1.0)

    flow = scene.add(1, P1)
    scene.wait(1.0)

    assert [rule.flow for rule in scene.rules.rules] == [flow]
    assert scene.rules.rules[0].ruling.actions == (Output(P1),)


def test_a_flow_that_is_gone_has_its_last_counts_at_once_and_no_rule_soon(scene: Scene) -> None:
    flow = scene.add(1)
    scene.wait(1.0)
    scene.rules.rules[0].packets, scene.rules.rules[0].bytes = 3, 300

    scene.kernel_tables.flows_changed(scene.tables.delete(0, flow.match).removed)

    assert (flow.packets, flow.bytes) == (3, 300)
    scene.wait(1.0)
    assert not scene.rules.rules


def test_when_everything_changed_counts_may_be_to_come(scene: Scene) -> None:
    scene.add(1)
    scene.wait(1.0)
    assert not scene.kernel_tables.owes_counts

    scene.kernel_tables.everything_changed()

    assert scene.kernel_tables.owes_counts
    scene.wait(1.0)
    assert not scene.kernel_tables.owes_counts


def test_what_rules_count_is_credited_once_to_flow_and_table(scene: Scene) -> None:
    flow = scene.add(1)
    scene.wait(1.0)
    scene.rules.rules[0].packets, scene.rules.rules[0].bytes, scene.rules.rules[0].used = 2, 120, 150.0

    for _ in range(2):
        for _ in scene.kernel_tables.count():
            pass

    assert (flow.packets, flow.bytes, flow.used) == (2, 120, 150.0)
    assert (scene.tables.first.lookups, scene.tables.first.matched) == (2, 2)


def test_it_says_of_which_flows_the_switch_is_asked(scene: Scene) -> None:
    decides, asks = scene.add(1), scene.add(2, CONTROLLER)

    assert scene.kernel_tables.asks(decides)  # not compiled yet
    scene.wait(1.0)

    assert [scene.kernel_tables.asks(flow) for flow in (decides, asks)] == [False, True]


def test_flows_of_later_tables_have_rules_that_count_there(scene: Scene) -> None:
    flow = scene.add(1, table_id=1)
    scene.wait(1.0)
    scene.rules.rules[0].packets = 3

    for _ in scene.kernel_tables.count():
        pass

    assert flow.packets == 3
    assert [scene.tables[table_id].matched for table_id in (0, 1)] == [0, 3]
    assert scene.kernel_tables.deciders() == {Decider.TABLES: 1}


def test_packets_without_a_flow_count_to_their_table(scene: Scene) -> None:
    assert [miss.table_id for miss in scene.rules.misses] == [0, 1]
    scene.rules.misses[1].packets = 2

    for _ in range(2):
        for _ in scene.kernel_tables.count():
            pass

    counted = [(table.lookups, table.matched) for table in (scene.tables[0], scene.tables[1])]
    assert counted == [(0, 0), (2, 0)]


def test_a_table_that_hands_up_what_it_does_not_match_drops_nothing(scene: Scene) -> None:
    last = scene.rules.misses[0]
    last.packets = 3

    scene.tables[0].miss = TableMiss.CONTROLLER
    scene.kernel_tables.everything_changed()
    scene.wait(1.0)

    assert [miss.table_id for miss in scene.rules.misses] == [1]
    assert scene.tables.first.lookups == 3
    assert [scene.kernel_tables.drops_missed(table_id) for table_id in (0, 1)] == [False, True]


def test_flows_of_all_tables_are_compiled_anew_when_everything_changed(scene: Scene) -> None:
    scene.add(1)
    scene.add(1, table_id=1)
    scene.wait(1.0)

    scene.pipeline.ports.configure(P2, PortConfig.NO_FWD, PortConfig.NO_FWD)
    scene.kernel_tables.everything_changed()
    scene.wait(1.0)

    assert [rule.ruling.visit for rule in scene.rules.rules] == [None, Visit()]


def test_a_flow_whose_meter_changes_is_compiled_anew(scene: Scene) -> None:
    drops = (MeterBand(MeterBandType.DROP, 1),)
    scene.tables.meters.add(1, MeterFlags.KBPS, drops, 0.0)
    flow, _ = scene.add(1, meter=1), scene.add(2)
    scene.wait(1.0)
    before = {rule.flow: rule for rule in scene.rules.rules}

    scene.kernel_tables.meter_changed([flow])

    assert not scene.rules.is_valid
    scene.wait(1.0)
    after = {rule.flow: rule for rule in scene.rules.rules}
    assert [after[each] is before[each] for each in (flow, *(set(after) - {flow}))] == [False, True]


def test_a_change_of_everything_leaves_the_rules_that_are_right(scene: Scene) -> None:
    scene.add(1, P2)
    scene.add(2, P1)
    scene.wait(1.0)
    before = list(scene.rules.rules)

    scene.pipeline.ports.configure(P1, PortConfig.NO_FWD, PortConfig.NO_FWD)
    scene.kernel_tables.everything_changed()
    scene.wait(1.0)

    assert scene.rules.rules[0] is before[0]
    assert [rule.ruling.actions for rule in scene.rules.rules] == [(Output(P2),), ()]
    assert scene.stations.roles is not None
    assert scene.stations.roles.sends == {P2, LOCAL}
    assert scene.stations.roles.floods == (P2, LOCAL)


def test_ports_with_settings_and_in_loops_take_no_packets_by_rules(scene: Scene) -> None:
    scene.pipeline.ports.configure(P1, PortConfig.NO_RECV, PortConfig.NO_RECV)
    scene.pipeline.loops.refill([P2])
    scene.kernel_tables.everything_changed()
    scene.wait(1.0)

    assert scene.stations.roles is not None
    assert scene.stations.roles.takes == {LOCAL}


def test_stations_follow_what_is_learned_and_forgotten(scene: Scene) -> None:
    fdb, key = scene.pipeline.fdb, FdbKey(0, Mac(7))

    fdb.learn(key, P1, scene.now)
    scene.kernel_tables.follow_fdb()
    assert scene.stations.there == {key: P1}
    fdb.learn(key, P2, scene.now)
    scene.kernel_tables.follow_fdb()
    assert scene.stations.there == {key: P2}
    fdb.flush_port(P2)
    scene.kernel_tables.follow_fdb()
    assert not scene.stations.there


def test_a_station_that_rules_forward_for_does_not_age(scene: Scene) -> None:
    fdb, key = scene.pipeline.fdb, FdbKey(0, Mac(7))
    fdb.learn(key, P1, scene.now)
    scene.stations.used[key] = scene.now + 200.0

    fdb.expire(scene.now + 400.0)
    assert fdb.lookup(key, scene.now + 400.0) == P1
    fdb.expire(scene.now + 501.0)

    assert fdb.lookup(key, scene.now + 501.0) is None


def test_what_the_kernel_refuses_is_tried_again_and_packets_go_up_until_then(scene: Scene) -> None:
    scene.rules.refuses = True
    scene.add(1)
    scene.wait(1.0)

    assert "no" in scene.kernel_tables.trouble
    assert not scene.rules.is_valid
    scene.rules.refuses = False
    scene.wait(20.0)
    assert scene.rules.is_valid


def test_much_is_compiled_in_slices(scene: Scene) -> None:
    ticks = iter(range(10**6))

    for number in range(200):
        scene.add(number)
    scene.now += QUIET_S
    scene.kernel_tables.next_deadline(scene.now - QUIET_S)
    scene.kernel_tables.run(lambda: scene.now + next(ticks) * SLICE_S / 2)

    assert 0 < len(scene.rules.rules) < 200
    assert not scene.rules.is_valid


def test_while_there_are_too_many_flows_packets_go_up() -> None:
    scene = Scene(max_flows=2)
    flows = [scene.add(number) for number in range(3)]
    scene.wait(1.0)
    assert not scene.rules.is_valid
    assert "more than 2 flows" in scene.kernel_tables.trouble

    scene.kernel_tables.flows_changed(scene.tables.delete(0, flows[0].match).removed)
    scene.wait(1.0)

    assert scene.rules.is_valid
    assert scene.rules.matches() == [flows[1].match, flows[2].match]


def test_while_there_are_too_many_flows_there_are_no_rules_that_take_memory() -> None:
    scene = Scene(max_flows=2)
    flow = scene.add(1)
    scene.wait(1.0)
    scene.rules.rules[0].packets = 3

    scene.add(2)
    scene.add(3)
    scene.wait(1.0)

    assert not scene.rules.rules
    assert flow.packets == 3
    assert not scene.kernel_tables.is_valid


@pytest.mark.parametrize(
    ("row", "remote", "letters"),
    [(topologies.row, "10.0.0.100", "opstu"), (partial(topologies.row, on=topologies.IPV6), "[fd00:a::64]", "aopstu")],
)
def test_of_in_band_control_only_what_headers_do_not_show_has_rules(
    row: Callable[[int], topologies.Topology], remote: str, letters: str
) -> None:
    """ICMP, listeners' reports, and fragments without ports; all others go up before rules are asked (bpf/upcall.h)."""
    made = row(2)
    switch = made.switches[0]
    switch.set_managers(f"from:tcp:{remote}:22", f"udp:{remote}:514", f"tcp:{remote}:6640")
    made.net.start()
    made.net.run(2.0)
    scene, flows = Scene(), switch.only.hidden_flows

    for flow in flows:
        scene.kernel_tables.flows_changed(scene.tables.install_hidden(flow, scene.now).added)
    scene.wait(1.0)

    with_rules = {rule.flow.origin.letter for rule in scene.rules.rules if rule.flow.origin is not None}
    assert {"d", "f", "h", "i", "j", "k"} <= {flow.origin.letter for flow in flows if flow.origin is not None}
    assert with_rules == set(letters)
    assert all(rule.ruling.decider is Decider.SWITCH for rule in scene.rules.rules)
