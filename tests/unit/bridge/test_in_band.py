"""The engine's commands in a bridge: what is believed of the tables is true also when a table or a cache refuses."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from inband.bridge.in_band import InBand
from inband.bridge.megaflows import MegaflowCache
from inband.control import events as ev
from inband.control.rules import InBandRule
from inband.datapath.base import Megaflow
from inband.datapath.simulated import SimulatedDatapath
from inband.errors import HostError
from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.pipeline.fdb import Fdb
from inband.pipeline.ports import PortTable
from inband.pipeline.translate import Pipeline
from inband.pipeline.translation import Translation
from inband.table.changes import Changes
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from lab.silent_host import SilentHost

CONTROLLER = ev.Remote(ip_address("192.0.2.1"), 6653, ev.RemoteKind.CONTROLLER)
MAC = Mac(0x020000000001)


class StubbornTables(TableSet):
    """Tables that take ``gives`` hidden flows out, or ``takes`` in, and then refuse; None: all of them."""

    gives: int | None = None
    takes: int | None = None

    def remove_hidden(self, flow: Flow) -> Changes:
        """As TableSet's, or HostError."""
        self.gives = _count_down(self.gives)
        return super().remove_hidden(flow)

    def install_hidden(self, flow: Flow, now: float = 0.0) -> Changes:
        """As TableSet's, or HostError."""
        self.takes = _count_down(self.takes)
        return super().install_hidden(flow, now)


def _count_down(left: int | None) -> int | None:
    if left == 0:
        raise HostError("change a table", "it refuses")
    return None if left is None else left - 1


class StubbornDatapath(SimulatedDatapath):
    """A cache that gives nothing up while ``refuses``."""

    refuses = False

    def remove(self, megaflows: Iterable[Megaflow]) -> None:
        """As SimulatedDatapath's, or HostError."""
        if self.refuses:
            raise HostError("remove a cached decision", "it refuses")
        super().remove(megaflows)


class Stage:
    """In-band control with one controller, over tables and a cache that may refuse."""

    def __init__(self) -> None:
        self.tables = StubbornTables()
        self.datapath = StubbornDatapath(clock=lambda: 0.0)
        self.megaflows = MegaflowCache(self.datapath, Pipeline(self.tables, PortTable(), Fdb()))
        self.in_band = InBand(self.tables, self.megaflows, SilentHost(), lambda _, __: None, lambda _: None)
        for event in (ev.InBandEnabled(True), ev.LocalMacChanged(MAC), ev.RemotesChanged(added=[CONTROLLER])):
            self.in_band.handle(event, 0.0)

    @property
    def is_right(self) -> bool:
        """Whether table and notes have just the rules that are wanted."""
        wanted, noted = self.in_band.engine.rules, self.in_band.flows
        return _entries(self.tables.hidden()) == _entries(noted) == _entries(wanted)


def _entries(flows: Iterable[Flow | InBandRule]) -> set[tuple[int, Match]]:
    return {(flow.priority, flow.match) for flow in flows}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("gives", range(9))
def test_rules_that_a_table_does_not_give_up_are_not_taken_for_gone(stage: Stage, gives: int) -> None:
    stage.tables.gives = gives

    with pytest.raises(HostError):
        stage.in_band.handle(ev.InBandEnabled(False), 1.0)

    assert len(stage.tables.hidden()) == len(stage.in_band.flows) == 9 - gives
    stage.tables.gives = None
    stage.in_band.handle(ev.TimePassed(), 2.0)
    assert stage.tables.hidden() == stage.in_band.flows == []


def test_rules_that_a_table_did_not_give_up_stay_when_they_are_wanted_again(stage: Stage) -> None:
    stage.tables.gives = 4
    with pytest.raises(HostError):
        stage.in_band.handle(ev.InBandEnabled(False), 1.0)
    left = stage.tables.hidden()

    stage.in_band.handle(ev.InBandEnabled(True), 2.0)

    assert stage.is_right
    assert set(left) <= set(stage.tables.hidden()), "those were not touched"


def test_rules_that_a_table_does_not_take_are_not_taken_for_installed(stage: Stage) -> None:
    other = ev.Remote(ip_address("192.0.2.2"), 6653, ev.RemoteKind.CONTROLLER)
    stage.tables.takes = 3
    with pytest.raises(HostError):
        stage.in_band.handle(ev.RemotesChanged(added=[other]), 1.0)
    assert not stage.is_right

    stage.tables.takes = None
    stage.in_band.handle(ev.TimePassed(), 2.0)

    assert stage.is_right


def test_what_a_cache_does_not_give_up_is_given_up_before_the_next_packet(stage: Stage) -> None:
    (flow,) = [flow for flow in stage.in_band.flows if flow.origin and flow.origin.letter == "h"]
    stage.megaflows.install(FlowKey(flow.match.value), flow.match, Translation((), 0, credits=((0, flow),)), 0.0)
    stage.datapath.refuses = True
    with pytest.raises(HostError):
        stage.in_band.handle(ev.InBandEnabled(False), 1.0)
    assert len(stage.datapath.megaflows()) == 1

    stage.datapath.refuses = False
    stage.megaflows.settle()

    assert stage.datapath.megaflows() == []
    assert stage.tables.hidden() == []
