"""Where control traffic passes, and how much of it."""

from __future__ import annotations

from inband.bridge.control_traffic import BUSY, WINDOW_S, ControlTraffic
from inband.datapath.base import Megaflow
from inband.flow.actions import Output
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import HiddenPriority
from inband.pipeline.translation import Translation

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
ALL = (P1, P2, P3)


def control(in_port: PortNo, *out: PortNo) -> Megaflow:
    rule = Flow(Match(), HiddenPriority(300_000), ())
    return Megaflow(Match.of(in_port=in_port), Translation(tuple(map(Output, out)), 0, hidden=rule))


def test_nothing_is_quiet_before_it_was_watched_for_a_while() -> None:
    traffic = ControlTraffic()

    assert traffic.quiet(ALL, 10.0) == frozenset()
    assert traffic.quiet(ALL, 10.0 + WINDOW_S / 2) == frozenset()
    assert traffic.quiet(ALL, 10.0 + WINDOW_S) == frozenset(ALL)


def test_ports_in_and_out_are_busy_from_the_packet_on_that_makes_them_so() -> None:
    traffic = ControlTraffic()
    traffic.quiet(ALL, 0.0)
    traffic.quiet(ALL, WINDOW_S)
    passing = control(P1, P2)

    traffic.count(passing, BUSY - 1)
    assert traffic.quiet(ALL, WINDOW_S + 0.1) == frozenset(ALL)
    traffic.count(passing, 1)
    assert traffic.quiet(ALL, WINDOW_S + 0.2) == {P3}
    assert traffic.quiet(ALL, 2 * WINDOW_S) == {P3}, "a window later"
    assert traffic.quiet(ALL, 3 * WINDOW_S) == frozenset(ALL), "nothing has come since"


def test_data_makes_no_port_busy() -> None:
    traffic = ControlTraffic()
    traffic.quiet(ALL, 0.0)

    traffic.count(Megaflow(Match.of(in_port=1), Translation((Output(P2),), 0)), 1_000_000)

    assert traffic.quiet(ALL, WINDOW_S) == frozenset(ALL)
