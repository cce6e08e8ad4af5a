"""A port's VLANs change while the bridge runs: what was decided and learned by the old ones is gone, no more."""

from __future__ import annotations

import pytest

from inband.flow.actions import ApplyActions, Output
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.vocabulary.addresses import Mac
from tests.unit.bridge.test_groups import P1, P2, P3, US, Stage

TEN, TWENTY = VlanMembership(VlanMode.ACCESS, 10), VlanMembership(VlanMode.ACCESS, 20)


@pytest.fixture
def stage() -> Stage:
    """A learning switch that has cached a decision and learned an address."""
    stage = Stage()
    stage.flow(ApplyActions((Output(NORMAL),)))
    assert stage.sent() == [P2, P3, LOCAL]
    stage.bridge.take(1)
    return stage


def test_the_next_packet_follows_it(stage: Stage) -> None:
    stage.bridge.set_memberships({P1: TEN, P2: TEN, P3: TWENTY})
    assert stage.sent() == [P2, LOCAL]

    stage.bridge.set_memberships({P1: TEN, P2: TWENTY, P3: TEN})
    assert stage.sent() == [P3, LOCAL]

    stage.bridge.set_memberships({})
    assert stage.sent() == [P2, P3, LOCAL]


def test_what_was_learned_behind_a_changed_port_is_forgotten_and_no_more(stage: Stage) -> None:
    stage.bridge.set_memberships({P2: TEN})
    assert [port for _, port, _ in stage.bridge.fdb.entries()] == [P1]

    stage.bridge.set_memberships({P1: TEN, P2: TEN})

    assert stage.bridge.fdb.entries() == []


def test_no_controller_is_told_and_the_same_again_is_no_change(stage: Stage) -> None:
    stage.bridge.set_memberships({P1: TEN})
    stage.sent()

    stage.bridge.set_memberships({P1: TEN})

    assert len(stage.bridge.fdb.entries()) == 1
    assert list(stage.bridge.take(1)) == []


def test_a_port_that_comes_later_is_a_member_from_its_first_packet(stage: Stage) -> None:
    later = PortNo(4)

    stage.bridge.set_memberships({P1: TEN, later: TWENTY})
    stage.datapath.add_port(later, "p4")
    stage.bridge.add_port(later, "p4", Mac.parse(US))

    assert later not in stage.sent()
