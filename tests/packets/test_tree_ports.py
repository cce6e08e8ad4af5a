"""A port that the spanning tree closes, on every datapath: no data in or out, and what in-band control says passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inband.bridge.tree import TreeConfig
from inband.control.letters import LETTERS
from inband.flow.actions import ApplyActions, Output
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.ports import NORMAL, PortNo
from inband.packet.frame import Frame
from inband.stp.bpdu import Bpdu, Kind, encode, is_bpdu
from inband.stp.settings import PortTreeSettings
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.packets.columns import COLUMNS, Column
from tests.packets.rows import P1, P2, P3
from tests.packets.test_slow_decisions import Stage

pytestmark = pytest.mark.root

ROOT = BridgeId(0, Mac(9))
EVERYONE = "ff:ff:ff:ff:ff:ff"
DATA = Frame(packets.tcp(dst=EVERYONE))
QUESTION = Frame(packets.arp_request())


@pytest.fixture(scope="module", params=list(COLUMNS))
def column(request: pytest.FixtureRequest) -> Iterator[Column]:
    with COLUMNS[request.param]() as column:
        yield column


@pytest.fixture
def stage(column: Column) -> Stage:
    """Port 1 leads to the root, port 2 too and is closed, port 3 leads to hosts; ARP is in-band control's."""
    stage = Stage(column)
    stage.flow(ANY, ApplyActions((Output(NORMAL),)))
    stage.bridge.pipeline.in_band = True
    arp = Flow(Match.of(eth_type=0x0806), LETTERS["h"].priority, (ApplyActions((Output(NORMAL),)),))
    arp.origin = LETTERS["h"].origin("192.0.2.1")
    stage.bridge.tables.install_hidden(arp)
    stage.bridge.configure_tree(TreeConfig(ports={P3: PortTreeSettings(is_edge=True)}))
    for port in (P1, P2):
        stage.send(port, bpdu(port))
    return stage


def bpdu(port: PortNo) -> Frame:
    """What the root says on the cable to a port."""
    return encode(Bpdu(Kind.RST, PriorityVector(ROOT, 0, ROOT, 0x8000 + port), Times()), Mac(9))


def sent(stage: Stage, port: PortNo, frame: Frame) -> dict[PortNo, list[bytes]]:
    """What leaves when a frame arrives, but BPDUs."""
    left = stage.send(port, frame)
    return {number: [data for data in frames if not is_bpdu(data)] for number, frames in left.items()}


def test_data_neither_enters_nor_leaves_by_a_closed_port(stage: Stage) -> None:
    for _ in range(3):  # unknown, known to the cache, and known well
        assert sent(stage, P3, DATA) == {P1: [DATA.data], P2: [], P3: []}
        assert sent(stage, P2, DATA) == {P1: [], P2: [], P3: []}
        assert sent(stage, P1, DATA) == {P1: [], P2: [], P3: [DATA.data]}


def test_control_passes_it_both_ways(stage: Stage) -> None:
    from_hosts = sent(stage, P3, QUESTION)
    stage.now += 1.0
    from_behind = sent(stage, P2, QUESTION)

    assert from_hosts == {P1: [QUESTION.data], P2: [QUESTION.data], P3: []}
    assert from_behind == {P1: [QUESTION.data], P2: [], P3: [QUESTION.data]}


def test_no_bpdu_is_forwarded_and_no_cached_decision_keeps_one_away(stage: Stage) -> None:
    stage.flow(Match.of(in_port=P2), ApplyActions((Output(P3),)), priority=2)
    for _ in range(3):
        sent(stage, P2, DATA)
    before = stage.bridge.tree.status()

    left = sent(stage, P2, bpdu(P2))

    after = stage.bridge.tree.status()
    assert before is not None
    assert after is not None
    assert after.ports[1].rx_count == before.ports[1].rx_count + 1
    assert left[P3] == []


def test_the_closed_port_takes_over_when_the_other_link_goes(stage: Stage) -> None:
    sent(stage, P3, DATA)

    stage.bridge.link_changed(P1, link_up=False, mac=Mac(1))
    stage.column.left()

    assert sent(stage, P3, DATA) == {P1: [], P2: [DATA.data], P3: []}
