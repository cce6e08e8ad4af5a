"""What is remembered of decisions that were removed: of control, and so many."""

from __future__ import annotations

from inband.bridge.removed import MAX_PAIRS, Removed
from inband.datapath.base import Megaflow
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.pipeline.fdb import FdbKey
from inband.pipeline.translation import Translation
from inband.vocabulary.addresses import Mac

RULE = Flow(Match(), OpenFlowPriority(1), ())
TO = FdbKey(0, Mac(0x020000000002))


def host(number: int) -> FdbKey:
    return FdbKey(0, Mac(0x020000010000 + number))


def decision(source: FdbKey, port: int, used: float, *, hidden: Flow | None = RULE) -> Megaflow:
    translation = Translation((), 0, fdb_keys=(source, TO), source=(source, PortNo(port)), hidden=hidden)
    return Megaflow(Match(), translation, used=used)


def test_the_last_use_of_each_port_is_remembered() -> None:
    removed = Removed()
    for port, used in ((1, 5.0), (2, 7.0), (1, 3.0)):
        removed.note(decision(host(1), port, used))

    assert dict(removed.between(host(1), TO)) == {1: 5.0, 2: 7.0}
    assert not dict(removed.between(TO, host(1)))


def test_decisions_about_data_are_not() -> None:
    removed = Removed()

    removed.note(decision(host(1), 1, 5.0, hidden=None))

    assert not dict(removed.between(host(1), TO))


def test_so_many_are_the_latest_ones() -> None:
    removed = Removed()
    for number in range(MAX_PAIRS):
        removed.note(decision(host(number), 1, 1.0))

    removed.note(decision(host(0), 1, 2.0))
    removed.note(decision(host(MAX_PAIRS), 1, 2.0))

    kept = [number for number in range(MAX_PAIRS + 1) if dict(removed.between(host(number), TO))]
    assert kept == [0, *range(2, MAX_PAIRS + 1)]
